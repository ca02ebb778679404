#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# migrate_models.sh: a driver at work (tests/migrate_models) moves from one device to another, and
# back, twenty times, with its memory and with whatever was under way: an nvme with reads and writes
# in flight, of which none may be lost, done twice or wrong; an igb, or a virtual function of one,
# with a partner at the end of its cable, whose frames may get lost on the way but not come twice or
# damaged.
set -uo pipefail
# shellcheck source=tests/lib/part.sh
. "$(dirname "$0")/lib/part.sh"
prog=$build/test/migrate_models
[[ -x $prog ]] || { echo "migrate_models: $prog is missing: make shim-programs" >&2; exit 1; }
moves=20; [[ ${UVFIO_LONG-} ]] && moves=500
disk() { # OPTIONS ARG...: of both devices
	local opts=$1; shift
	rm -f "$tmp/disk"; truncate -s 1M "$tmp/disk"
	timeout 300 "$build/uvfio" run --memlock unlimited --log-file "$tmp/log" --device "nvme,image=$tmp/disk,serial=one,migration=on$opts" \
		--device "nvme,image=$tmp/disk,serial=one,migration=on,incoming=on$opts" -- "$prog" nvme 0000:01:00.0 0000:02:00.0 $moves "$tmp/disk" "$@"
}
quiet() { [[ ! -s $tmp/log ]] || { cat "$tmp/log"; return 1; }; }
for o in "" ",latency=0-2ms" ",mmap=trap,poll=0"; do
	for a in "" "interrupts" "buffers" "buffers interrupts"; do
		# shellcheck disable=SC2086
		check "nvme$o ${a:-polling}" disk "$o" $a
	done
done
check "the disks had nothing to say" quiet
port() { # OPTIONS DRIVER FROM TO: the ports stay in their processes, whether they move or their VFs
	rm -f "$tmp"/s?
	timeout 300 "$build/uvfio" run --memlock unlimited --log-file "$tmp/log" --device "igb,migration=on,net=unix:$tmp/s1:$tmp/s3$1" \
		--device "igb,migration=on,net=unix:$tmp/s2:$tmp/s3$1" -- "$prog" "$2" "$3" "$4" $moves "$tmp/s3"
}
check "igb" port "" igb 0000:01:00.0 0000:02:00.0
V=,driver=igb,sriov_numvfs=2
check "a virtual function" port $V igbvf 0000:01:10.0 0000:02:10.0
check "a virtual function becomes another one" port $V igbvf 0000:01:10.0 0000:02:10.2
check "the ports had nothing to say" quiet
counts
