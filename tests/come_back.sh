#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# come_back.sh: a server of `--state` is killed and started again, seen from programs of each kind
# that have its device: by VFIO under `uvfio run`, in Python, by uvfio/uvfio.h and uvfio/vmm.h. What
# waits and what does not; what the log says. Each message of the way back is in
# src/vfio_user/client/resume_test.c, and a driver that works all the time in serve_state.sh.
set -u
# shellcheck source=tests/lib/part.sh
. "$(dirname "$0")/lib/part.sh"; cd "$top"
export TMPDIR=$tmp; unset XDG_RUNTIME_DIR
U=$build/uvfio P=$build/test/come_back N=$build/test/come_back_native s=$tmp/sock log=$tmp/log
mkdir "$tmp/state" "$tmp/other"; mkfifo "$tmp/says" "$tmp/in" "$tmp/answers"

# serve [SPEC [DIRECTORY]]: have a server, which clients can connect to when this returns; $pid
serve() {
	"$U" serve --log none --state "$tmp/${2-state}" --device "${1-edu}" --socket "$s" \
		>"$tmp/says" 7>&- 8<&- & pid=$!
	read -r _ <"$tmp/says"
}
die() { kill -KILL "$pid"; wait "$pid" 2>/dev/null; }
# begin OPTIONS COMMAND...: have it in a run, with &7 as its input and &8 its output, until it says
# that it is ready; $run
begin() {
	local options=$1; shift
	: >"$log"
	start "$U" run --memlock unlimited --log info --log-file "$log" \
		--device "socket=$s$options" -- "$@"
	same "it has the device${options:+, $options}" ready "$(hear)"
}
# start COMMAND...: with &7 as its input, and &8 its output; $run
start() {
	timeout 100 "$@" <"$tmp/in" >"$tmp/answers" 2>>"$tmp/err" & run=$!
	exec 7>"$tmp/in" 8<"$tmp/answers"
}
hear() { local line; read -r -t 60 line <&8; echo "$line"; }
# ask LINE: let the program do it, and print what it says
ask() { echo "$1" >&7; hear; }
# over: the input ends; $rc
over() { exec 7>&-; wait "$run"; rc=$?; exec 8<&-; }
# since WHAT SECONDS COMMAND...: it takes less than that
since() {
	local what=$1 most=$2 from=$EPOCHSECONDS; shift 2
	"$@"
	check "$what" test $((EPOCHSECONDS - from)) -lt "$most"
}
gone() { for ((i = 0; i < 500; i++)); do grep -q 'is connected to again' "$log" && return; sleep 0.02; done; }

# ---- a program by VFIO
serve
begin ,reconnect=600 "$P" 0000:01:00.0
same "memory is mapped" "map ok" "$(ask 'map 1000')"
same "a store" stored "$(ask 'store 4 12345678')"
die; gone
# what is asked for while it is away waits, and is done when it is back
echo "load 4" >&7; echo "map 2000" >&7; echo "unmap 1000" >&7; echo "read 4" >&7; echo fork >&7
sleep 0.2
serve
same "a load waits, and has what was stored" edcba987 "$(hear)"
same "so do a mapping" "map ok" "$(hear)"
same "the end of one" "unmap ok" "$(hear)"
same "and a read" "read ok" "$(hear)"
same "a child lives and ends meanwhile" "child ok" "$(hear)"
same "nothing else was noticed" "err 0" "$(ask err)"
has "the log says that it is away" "warn: 0000:01:00.0: its server \($s\) is gone: it is connected to again, for up to 600 s"
has "and that it is back" "is back after [0-9]+ ms, and the device goes on where it was"
same "each once" 2 "$(grep -c 'is gone\|is back' "$log")"
# handlers run when the call that waits is over
same "it has a handler" handles "$(ask handle)"
die
echo "load 4" >&7
child=$(pgrep -P "$run")
for ((i = 0; i < 500; i++)); do grep -q "is gone" <(tail -n 1 "$log") && break; sleep 0.02; done
kill -USR1 "$child"
serve
same "a signal does not end the wait" edcba987 "$(hear)"
same "and is handled" "signals 1" "$(ask signals)"
# without its state
die; rm -rf "$tmp/state"; mkdir "$tmp/state"
echo "load 4" >&7; serve
same "a server without the state: the device is reset" 0 "$(hear)"
same "its user hears ERR" "err 1" "$(ask err)"
has "the log says why" "error: .* but the device was reset \(.+\), its user is told by ERR"
same "it can be reset" "reset ok" "$(ask reset)"
same "and used" "stored 5" "$(ask 'store 4 fffffffa') $(ask 'load 4')"
die
gone
since "closing does not wait" 20 same "it is closed" closed "$(ask close)"
serve; over
same "the program ends well" 0 "$rc"

# ---- it does not come back
begin ,reconnect=600 "$P" 0000:01:00.0
die; gone
since "a program that ends does not wait" 20 over
same "and ends well" 0 "$rc"
serve
begin ,reconnect=1 "$P" 0000:01:00.0
die
same "its registers read as ones" ffffffff "$(ask 'load 4')"
same "and its user hears ERR" "err 1" "$(ask err)"
has "when the seconds are over" "has not come back in 1 s \(.*is its server running\?\): registers read as ones, writes go nowhere, its user is told by ERR"
over
serve
begin ,reconnect=600 "$P" 0000:01:00.0
die; serve testdev other
same "another device is there now" ffffffff "$(ask 'load 4')"
has "which the log says" "came back, but cannot be used \(another device is there now: 1234:7e57, it was 1234:11e8\)"
over
die; serve
begin ,reconnect=0 "$P" 0000:01:00.0
die; serve
same "reconnect=0: it is gone" ffffffff "$(ask 'load 4')"
has "as any other's" "is gone \(it closed the connection\)"
over
begin ,reconnect=600 "$P" 0000:01:00.0
die; gone
echo "load 4" >&7
"$U" ctl unplug --surprise 01:00.0 >"$tmp/unplug" 2>&1 7>&- 8<&- & unplug=$!
since "uvfio ctl unplug --surprise" 20 same "that ends the wait" ffffffff "$(hear)"
over
wait "$unplug"
same "a wrong number of seconds" \
	"uvfio: run: socket=$s: reconnect=3601: write seconds, 0 to 3600" \
	"$("$U" run --device "socket=$s,reconnect=3601" -- true 2>&1)"

# ---- other ways to have it
serve
begin "" python3 -c 'import fcntl, os, struct, sys
group = os.open("/dev/vfio/1", os.O_RDWR); container = os.open("/dev/vfio/vfio", os.O_RDWR)
fcntl.ioctl(group, 0x3b68, struct.pack("i", container)); fcntl.ioctl(container, 0x3b66, 3)
d = fcntl.ioctl(group, 0x3b6a, bytearray(b"0000:01:00.0\0"))
os.pwrite(d, struct.pack("H", 2), (7 << 40) + 4); os.pwrite(d, struct.pack("I", 5), 4)
print("ready", flush=True); sys.stdin.readline()
print("%x" % struct.unpack("I", os.pread(d, 4, 4)), flush=True)'
die; serve
same "Python: it goes on" fffffffa "$(ask x)"
over
for how in open assign; do
	start "$N" "$how" "$s"
	same "uvfio_$how: it has the device" ready "$(hear)"
	die; echo >&7; sleep 0.1; serve
	same "uvfio_$how: it goes on" "it goes on" "$(hear)"
	over
done
kill -TERM "$pid"; wait "$pid"

# ---- a network port: its causes of interrupts are read once, whoever answers
serve igb
begin "" "$P" 0000:01:00.0
same "igb: a register, and causes" "stored stored" "$(ask 'store 38 81008100') $(ask 'store c8 44')"
die; serve igb
same "the causes are there" 44 "$(ask 'load c0')"
die; serve igb
same "and were read" 0 "$(ask 'load c0')"
same "the register is as it was" 81008100 "$(ask 'load 38')"
same "nothing was noticed" "err 0" "$(ask err)"
over
kill -TERM "$pid"; wait "$pid"
counts
