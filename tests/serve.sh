#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# serve.sh: `uvfio serve` as a command: sockets and their files, one client after the other and two
# at once, signals, what the log says, descriptors of systemd's; and the example with a device of
# its own. What clients can send is in the unit tests of src/vfio_user/server/.
set -u
# shellcheck source=tests/lib/part.sh
. "$(dirname "$0")/lib/part.sh"; cd "$top"
BUILD=${BUILD:-build}
U=$top/$BUILD/uvfio C=$top/$BUILD/test/serve_client E=$top/$BUILD/examples/serve
log=$tmp/log
export TMPDIR=$tmp; unset XDG_RUNTIME_DIR

# serve ARGUMENT...: start it, and wait until it says where its sockets are ($tmp/says); $pid
start() {
	rm -f "$tmp/says"; mkfifo "$tmp/says"
	"$@" >"$tmp/says" 2>"$log" & pid=$!
	exec 9<"$tmp/says"
	out=
	for ((i = 0; i < lines; i++)); do read -r line <&9 || break; out+=$line$'\n'; done
	exec 9<&-
}
serve() { start "$U" serve "$@"; }
# stop WHAT SIGNAL: end it, which is to be status 0
stop() { kill -"$2" "$pid"; wait "$pid"; same "$1" 0 $?; }
lines=1

s=$tmp/edu.sock
serve --device edu --socket "$s"
same "it says where" "0000:01:00.0 edu $s" "${out%$'\n'}"
same "the socket is its user's alone" 600 "$(stat -c %a "$s")"
same "a client reads the device's id" 11e81234 "$("$C" "$s" 'get 7:0')"
same "and writes: BAR0 is 1 MiB" fff00000 "$("$C" "$s" 'put 7:10=ffffffff' 'get 7:10')"
same "the next one finds it as at first" "010000ed 00" "$("$C" "$s" 'get 0:0') $("$C" "$s" 'get 7:10' | cut -c7-)"
exec 8< <("$C" "$s" hold)
read -r line <&8
same "one at a time" EBUSY "$("$C" "$s" 'get 7:0')"
same "a second server does not take its socket" \
	"uvfio: serve: $s: another server listens there" "$("$U" serve --device edu --socket "$s" 2>&1)"
stop "SIGTERM: status 0" TERM
read -r line <&8
same "the client sees it" "hung up" "$line"
exec 8<&-
check "the socket is gone" test ! -e "$s"
has "the log names clients" "info: 0000:01:00.0 client 2: connected"
has "and who gets the device" "client 2: has the device"
has "and who not" "client 6: refused: Device or resource busy"
has "and how they end" "client 2: disconnected"

lines=2
serve --mode 666 --log none --device edu --socket "$s" --device testdev,vectors=3
other=$(sed -n 's/.* testdev //p' <<<"$out")
same "each device has a socket of its own" "0000:02:00.0 testdev $other" "$(sed -n 2p <<<"$out")"
same "in a place of ours, if none is said" "$tmp/uvfio-$pid-1.sock" "$other"
same "--mode" "666 666" "$(stat -c %a "$s") $(stat -c %a "$other")"
same "and a device" "7e571234" "$("$C" "$other" 'get 7:0')"
kill -KILL "$pid"; wait "$pid" 2>/dev/null
check "a server that is killed leaves its socket" test -S "$s"
lines=1
serve --log none --device edu --socket "$s"
same "which the next one takes" 11e81234 "$("$C" "$s" 'get 7:0')"
rm "$s"; echo mine >"$s"
stop "SIGINT: status 0" INT
same "a file that took its place stays" mine "$(cat "$s")"
same "and is not replaced" "uvfio: serve: $s: there is something else" \
	"$("$U" serve --device edu --socket "$s" 2>&1)"
rm "$s"

# sockets that listen already
for how in "" "--socket fd:3"; do
	# shellcheck disable=SC2086
	start "$C" listen "$s" "$U" serve --log none --device edu $how
	same "a socket of systemd's: it has no path of ours ${how:-(LISTEN_FDS)}" "0000:01:00.0 edu -" "${out%$'\n'}"
	same "and is served" 11e81234 "$("$C" "$s" 'get 7:0')"
	stop "it ends well" TERM
	check "and the socket's file is not ours to remove" test -S "$s"
	rm "$s"
done
same "a descriptor that there is not" "uvfio: serve: --socket fd:77: there is no such descriptor" \
	"$("$U" serve --device edu --socket fd:77 2>&1)"
same "one that does not listen" \
	"uvfio: serve: the descriptor 0 is no stream socket of AF_UNIX that listens" \
	"$("$U" serve --device edu --socket fd:0 2>&1 </dev/null)"

lines=1
start "$E" "$tmp/tally.sock" start=7
same "the example serves a device of its own" "00000007" "$("$C" "$tmp/tally.sock" 'put 7:4=2' 'get 0:0')"
same "which adds up" "0000000c" "$("$C" "$tmp/tally.sock" 'put 7:4=2' 'put 0:4=5' 'get 0:0')"
same "and is reset for the next client" "00000007" "$("$C" "$tmp/tally.sock" 'put 7:4=2' 'get 0:0')"
stop "it ends well" TERM
check "and removes its socket" test ! -e "$tmp/tally.sock"

# devices come and go: `uvfio ctl`
before=$(find "$tmp" -name 'uvfio-*' -prune) # of the server that was killed
serve --device edu --socket "$s"
ctl() { "$U" ctl --run "$pid" "$@"; }
listed() { ctl list | sed 1d | awk '{ print $1, $2, $5 }'; }
same "ctl list" "0000:01:00.0 edu closed" "$(listed)"
same "ctl plug" "0000:02:00.0, IOMMU group 2" "$(ctl plug testdev,vectors=3)"
has "the log says where" "0000:02:00.0: testdev is served at $tmp/uvfio-$pid-plug-0.sock"
same "it is served" 7e571234 "$("$C" "$tmp/uvfio-$pid-plug-0.sock" 'get 7:0')"
has "what cannot be plugged" "there is no model 'nope'" <(ctl plug nope 2>&1)
exec 8< <("$C" "$s" hold)
read -r line <&8
same "ctl list: who has a client" "0000:01:00.0 edu D0" "$(listed | head -1)"
same "a client that keeps its device" "uvfio: ctl: 0000:01:00.0: its client keeps it" \
	"$(ctl unplug --timeout 0 01:00.0 2>&1)"
has "it was asked" "no device request channel registered"
same "and has it still" "0000:01:00.0 edu D0" "$(listed | head -1)"
check "ctl aer" ctl aer 01:00.0 fatal
same "no other requests" "uvfio: ctl: link: devices that are served have no such request" \
	"$(ctl link 01:00.0 down 2>&1)"
# unplug_waits: `ctl unplug` of it, which has to wait; $waits
unplug_waits() {
	"$U" ctl --run "$pid" unplug 01:00.0 >"$tmp/waits" 2>&1 & waits=$!
	state_is leaving
}
# state_is STATE: wait until a device has it; status 1: the list does not come
state_is() {
	local all=
	until [[ $all == *" $1 "* ]]; do
		all=$(timeout 10 "$U" ctl --run "$pid" list) || return 1
		sleep 0.05
	done
}
check "others are served while an unplug waits" unplug_waits
kill "$waits"; wait "$waits"
check "one that is killed is over: the device stays" state_is D0
has "the log says so" "0000:01:00.0: it stays: nobody waits any more for it to go"
check "another one waits" unplug_waits
check "ctl unplug --surprise" timeout 10 "$U" ctl --run "$pid" unplug --surprise 01:00.0
wait "$waits"; same "which ends the one that waits" 0 $?
read -r line <&8
exec 8<&-
same "the client is hung up on" "hung up" "$line"
check "the socket is gone" test ! -e "$s"
check "ctl unplug" ctl unplug 02:00.0
same "ctl list: nothing is left" "" "$(listed)"
same "ctl plug: the place is free again" "0000:01:00.0, IOMMU group 1" "$(ctl plug edu)"
stop "it ends well" TERM
same "and leaves nothing" "$before" "$(find "$tmp" -name 'uvfio-*' -prune)"

# what options and requests do, as clients see it
F=$top/$BUILD/test/serve_effects
serve --log none --device testdev,migration=on --socket "$s" --ioeventfd 2:0x24:4=0x77 --limit \
	maps=3,files=2,memory=8M,fds=1,eventfds=2,data=4K,queue=1 \
	--limit migration=8K,dirty-log=4K,dma-timeout=20
same "each --limit is met" "maps: ok, then ENOSPC
files: ok, then ENOSPC
memory: ok, then ENOSPC
eventfds: ok, then ENOSPC
data: ok, then EINVAL
migration: ok, then ENOSPC
dirty-log: ok, pages of $((1 << 33))
dma-timeout: status 3" "$("$F" "$s" limits)"
same "--ioeventfd: a signal is a write" "0x24: 0x77" "$("$F" "$s" ioeventfd)"
exec 8< <("$F" "$s" irq 3)
read -r line <&8
ctl aer 01:00.0 fatal
read -r line <&8
same "ctl aer: ERR of the client" "signalled 1" "$line"
exec 8<&-
exec 8< <("$F" "$s" irq 4)
read -r line <&8
check "ctl unplug waits for the client, which goes" ctl unplug 01:00.0
read -r line <&8
exec 8<&-
same "since it was asked by REQ" "signalled 1" "$line"
stop "it ends well" TERM

# all that costs the server something, over and over, and another client beside it; `make soak` does
# it for longer
check "a hostile client is within its limits" "$top/$BUILD/test/hostile" 1 "$U"

# a client that never leaves its device holds up nobody else, and the end for five seconds
lines=2
serve --device "$top/$BUILD/test/serve_stuck.so" --socket "$s" --device edu --socket "$tmp/b.sock"
"$C" "$s" 'put 7:4=2' 'get 0:0' >"$tmp/stuck" & stuck=$!
for ((i = 0; i < 400; i++)); do grep -q "it is inside" "$log" && break; sleep 0.05; done
same "another device is served while one is stuck" 11e81234 "$("$C" "$tmp/b.sock" 'get 7:0')"
check "ctl unplug --surprise of the other one" timeout 20 "$U" ctl --run "$pid" unplug --surprise 02:00.0
check "ctl plug" timeout 20 "$U" ctl --run "$pid" plug edu
kill -TERM "$pid"; wait "$pid"; same "SIGTERM: a device that is given up is status 3" 3 $?
wait "$stuck"; same "its client is hung up on" "hung up" "$(cat "$tmp/stuck")"
has "a line names it" "0000:01:00.0 client 1: was hung up on, and is still inside the device"
has "and another one the device" "0000:01:00.0: is given up: a client is still inside it"
same "and nothing is left" "$before" "$(find "$tmp" -name 'uvfio-*' -prune)"
check "nor its socket" test ! -e "$s"

# refuses TEXT ARGUMENT...: status 2 and a line that has it
refuses() {
	local text=$1 err rc; shift
	err=$("$U" serve "$@" 2>&1 >/dev/null); rc=$?
	same "serve $*: $text" "2 yes" "$rc $([[ $err == *"$text"* ]] && echo yes || echo "$err")"
}
refuses "no device to serve"
refuses "--socket: write it behind the --device" --socket "$s" --device edu
refuses "the device edu has one already" --device edu --socket "$s" --socket "$s"
refuses "write REGION:OFFSET:SIZE=VALUE" --device edu --ioeventfd 0:16
refuses "no ioeventfd of 3 bytes can be at 0x10 of region 0" --device edu --ioeventfd 0:16:3=1
refuses "write it behind the --device it is for" --ioeventfd 0:16:4=1
same "the limits are those of the man page, with its defaults" \
	"$(sed -n '/^.It Fl .-limit/,/^.El/p' "$top/man/uvfio.1" | awk '/^.It Cm/ { name = $3 } match($0, /\([0-9]+[KMGT]?\)/) { print name, substr($0, RSTART + 1, RLENGTH - 2) }' | sort)" \
	"$("$top/$BUILD/uvfio" serve --limit help | awk '{ print $1, $2 }' | sort)"
refuses "write NAME=NUMBER" --limit maps --device edu
refuses "there is no limit 'map': maps, memory, files" --limit fds=3,map=1 --device edu
refuses "the limit 'fds' cannot be 0" --limit fds=0 --device edu
refuses "write an octal number" --mode rw --device edu
refuses "there is no model 'nope'" --device nope --socket "$s"
refuses "107 bytes" --device edu --socket "/tmp/$(printf 'x%.0s' {1..120})"
refuses "No such file or directory" --device edu --socket "$tmp/none/x.sock"
refuses "one argument too many" --device edu edu
check "nothing is left" test ! -e "$s"
counts
