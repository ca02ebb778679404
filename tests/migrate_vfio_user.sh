#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# migrate_vfio_user.sh: a driver at work (tests/migrate_models) moves from one server of vfio-user
# to another and back, twenty times: an nvme with reads and writes in flight, and an igb with a
# partner at the end of its cable. Then from a server to a device of the process and back, and single
# states each way: a stream is the same wherever its device is.
set -uo pipefail
# shellcheck source=tests/lib/part.sh
. "$(dirname "$0")/lib/part.sh"
prog=$build/test/migrate_models client=$build/test/migrate_client
for p in "$prog" "$client"; do
	[[ -x $p ]] || { echo "migrate_vfio_user: $p is missing: make test-programs" >&2; exit 1; }
done
moves=20; [[ ${UVFIO_LONG-} ]] && moves=200
servers=()
trap 'kill "${servers[@]}" 2>/dev/null; rm -rf "$tmp"' EXIT
serve() { # SOCKET DEVICE: in the background, until `stopped`
	rm -f "$tmp/$1"
	"$build/uvfio" serve --log warn --log-file "$tmp/served" --device "$2" --socket "$tmp/$1" \
		>"$tmp/$1.said" & servers+=($!)
	for _ in $(seq 200); do [[ -S $tmp/$1 ]] && return; sleep 0.05; done
	return 1
}
stopped() {
	local p rc=0
	for p in "${servers[@]}"; do kill "$p"; wait "$p" || rc=1; done
	servers=()
	return $rc
}
run() { timeout 100 "$build/uvfio" run --memlock unlimited --log-file "$tmp/log" "$@"; }
fresh() { rm -f "$tmp/disk"; truncate -s 1M "$tmp/disk"; }
nvme=nvme,image=$tmp/disk,serial=one,migration=on

disk() { # OPTIONS OF THE SOCKETS' ARG...
	local o=$1 rc; shift
	fresh
	serve a "$nvme" && serve b "$nvme,incoming=on" || return
	run --device "socket=$tmp/a$o" --device "socket=$tmp/b$o" -- \
		"$prog" nvme 0000:01:00.0 0000:02:00.0 $moves "$tmp/disk" "$@"; rc=$?
	stopped && return $rc
}
check "nvme, from server to server" disk ""
check "nvme, by interrupts and doorbell buffers" disk "" interrupts buffers
check "nvme, its memory by messages" disk ,memory=messages interrupts
home() {
	local rc
	fresh
	serve a "$nvme" || return
	run --device "socket=$tmp/a" --device "$nvme,incoming=on" -- \
		"$prog" nvme 0000:01:00.0 0000:02:00.0 $moves "$tmp/disk"; rc=$?
	stopped && return $rc
}
check "nvme, from a server into the process, and back" home
port() {
	local rc
	serve a "igb,migration=on,net=unix:$tmp/s1:$tmp/s3" &&
		serve b "igb,migration=on,net=unix:$tmp/s2:$tmp/s3" || return
	run --device "socket=$tmp/a" --device "socket=$tmp/b" -- \
		"$prog" igb 0000:01:00.0 0000:02:00.0 $moves "$tmp/s3"; rc=$?
	stopped && return $rc
}
check "igb, from server to server" port

t=testdev,migration=on
serve a $t && serve b $t
state() { # FROM TO: by a pipe, with DMA and a timer in flight
	run --device "$1" -- "$client" save | run --device "$2" -- "$client" load >"$tmp/out" 2>&1
	cases "$tmp/out" "$3: " ""
	grep -q '^ok' "$tmp/out" || no "$3" "$(tail -n 3 "$tmp/out")"
}
state "socket=$tmp/a" "socket=$tmp/b" "from server to server"
state $t "socket=$tmp/b" "from a process to a server"
state "socket=$tmp/a" $t "from a server to a process"
check "the servers end well" stopped
# the driver ends without stopping its controller, which looks for doorbells until its reset
check "the servers had nothing to say" \
	eval '! grep -vE "bus mastering is off|shadow doorbell cannot be read" "$tmp/served"'
# what the interface says; a stream behind a socket polls as readable always (docs/vfio-user.md)
serve c $t && serve d $t && serve e edu
run --device "socket=$tmp/c" --device "socket=$tmp/d" --device "socket=$tmp/e" -- "$client" cases >"$tmp/cases" 2>&1
same "migrate_client cases, but for two which poll" $'FAIL precopy\nFAIL waiting' "$(grep ^FAIL "$tmp/cases")"
check "there are many more" eval '[[ $(grep -c ^ok "$tmp/cases") -ge 8 ]]'
check "these end well, too" stopped
counts
