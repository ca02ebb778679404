#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# migrate.sh: devices that move (tests/migrate/client.c): what the interface says, between two
# processes of two runs over a pipe with I/O in flight, a model that is a user's shared object, and
# states that a device cannot take, each with a line that says why. With UVFIO_LONG the newest QEMU
# migrates with the device, too.
set -uo pipefail
# shellcheck source=tests/lib/part.sh
. "$(dirname "$0")/lib/part.sh"
U=$build/uvfio C=$build/test/migrate_client
[[ -x $C ]] || { echo "migrate: $C is missing: make migrate-programs" >&2; exit 1; }
run() { timeout 100 "$U" run --log-file "$tmp/log" "$@"; }

echo "# the interface"
run --device testdev,migration=on --device testdev,migration=on --device edu -- "$C" cases >"$tmp/out" 2>&1
cases "$tmp/out" "" ""
grep -q '^ok' "$tmp/out" || no "migrate_client cases" "$(tail -n 3 "$tmp/out")"

echo "# from one process to another"
save() { run --device testdev,migration=on"${1-}" -- "$C" save; }
save | run --device testdev,migration=on -- "$C" load >"$tmp/out" 2>&1
cases "$tmp/out" "" ", over a pipe"
grep -q '^ok' "$tmp/out" || no "save | load" "$(tail -n 3 "$tmp/out")"
save >"$tmp/stream" || no "save"
run --device testdev,migration=on,mmap=trap -- "$C" load <"$tmp/stream" >"$tmp/out" 2>&1
cases "$tmp/out" "" ", by a file"

echo "# other models"
check "edu moves at work" run --device edu,migration=on --device edu,migration=on -- "$C" edu
check "the example moves" run --device "$build/examples/counter.so,migration=on" --device "$build/examples/counter.so,migration=on" -- "$C" counter

if [[ ${UVFIO_LONG-} ]]; then
	echo "# the newest QEMU"
	qemu() { run --memlock unlimited --device testdev,migration=on -- "$top/tests/migrate/qemu" "$1" "$tmp/vm"; }
	same "it saves a machine with the device, live" $'Status: \t\tcompleted\nall of BAR0, and more' "$(qemu save 2>&1)"
	same "which goes on with the device's state" $'VM status: running\n0x5ca1ab1e' "$(qemu load 2>&1)"
fi

echo "# what a device cannot take"
refused() { # WHAT LINE WRITE STREAM DEVICE
	: >"$tmp/log"
	same "$1" "write: $3"$'\nSTOP: Invalid argument, state 4' "$(run --device "$5" -- "$C" refused <"$4" 2>&1)"
	has "$1: the line" "$2"
}
T=testdev,migration=on
head -c 1000 "$tmp/stream" >"$tmp/short"
refused "cut short" "the stream is cut short" all "$tmp/short" $T
refused "nothing" "the stream is cut short" all /dev/null $T
{ head -c 40000 "$tmp/stream"; printf xxxx; tail -c +40005 "$tmp/stream"; } >"$tmp/damaged"
refused "damaged" "the stream is damaged: record" "Invalid argument" "$tmp/damaged" $T
{ cat "$tmp/stream"; printf x; } >"$tmp/long"
refused "too long" "goes on behind its end" "Invalid argument" "$tmp/long" $T
refused "of another model" "whose model is 'testdev', not 'edu'" "Invalid argument" "$tmp/stream" edu,migration=on
refused "of another size" "whose size of BAR0 is 65536 .*, not 131072" "Invalid argument" "$tmp/stream" $T,ram=128K
refused "with other capabilities" "whose config space has 0x" "Invalid argument" "$tmp/stream" $T,msix=off
refused "with other vectors" "whose config space has 0x3f at" "Invalid argument" "$tmp/stream" $T,vectors=32

refused "with a region more" "whose region is 0 .*, not 1" "Invalid argument" "$tmp/stream" $T,region=on

echo "# what it says before the source stops"
early() { # WHAT LINE DEVICE OTHER: the line is "" of two that are alike
	: >"$tmp/log"
	local says=all; [[ $2 ]] && says="Invalid argument"
	same "$1" "write: $says; the source is in state 6" "$(run --device "$3" --device "$4" -- "$C" early 2>&1)"
	[[ ! $2 ]] || has "$1: the line" "$2"
}
truncate -s 1M "$tmp/disk"
N=nvme,image=$tmp/disk,serial=one,migration=on E=edu,migration=on I=igb,migration=on X=$build/examples/counter.so,migration=on
early "testdev: nothing" "" $T $T
early "edu: nothing" "" $E $E
early "the example: nothing" "" "$X" "$X"
early "nvme: nothing" "" "$N" "$N,incoming=on"
early "nvme: other options" "whose mdts is" "$N" "$N,incoming=on,mdts=3"
early "igb: nothing" "" $I $I
early "igb: other options" "has 0x18 at" $I $I,vectors=10
early "another model" "whose model is 'igb', not 'testdev'" $I $T

echo "# who cannot save"
run --device "$build/test/polled_model.so,migration=on" -- true >"$tmp/out" 2>&1; same "the device is not made" 2 $?
has "and says why" "migration=on: the model cannot save its state" "$tmp/out"
counts
