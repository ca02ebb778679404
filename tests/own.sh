#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# own.sh: devices in a process of their own (process=own), which several processes use at once as
# with the kernel: children, programs behind an exec, processes that got descriptors. User-level
# drivers must say what they say with the device inside of them. (DPDK: own_dpdk.sh.)
set -uo pipefail
# shellcheck source=tests/lib/part.sh
. "$(dirname "$0")/lib/part.sh"
export TMPDIR=$tmp/runs; mkdir "$TMPDIR"
own() { timeout 300 "$build/uvfio" run --memlock unlimited --log-file "$tmp/log" "$@"; }

own --device edu,process=own -- "$build/test/own_client" >"$tmp/said" 2>&1
cases "$tmp/said" "" ""

# ---- the same answers as in the program ----
truncate -s 64M "$tmp/image"
declare -A spec=([nvme]="nvme,image=$tmp/image" [igb]=igb)
for d in nvme igb; do
	timeout 300 "$build/uvfio" run --memlock unlimited --log none --device "${spec[$d]}" -- "$build/test/${d}_driver" check 0000:01:00.0 >"$tmp/in" 2>&1
	own --device "${spec[$d]},process=own" -- "$build/test/${d}_driver" check 0000:01:00.0 >"$tmp/own" 2>&1
	same "the $d driver ends well" 0 $?
	same "and its $(wc -l <"$tmp/in") answers are those of a device in its process" "" "$(diff "$tmp/in" "$tmp/own" | head -n 20)"
done

# ---- the kernel's answers ----
{ printf '\x55\xaa'; head -c 22 /dev/zero; printf '\x1c\0\0\0PCIR\0\0\0\0\0\0\x18\0\0\0\0\0\1\0\0\0\0\x80'; } >"$tmp/rom"
truncate -s 4096 "$tmp/rom"
all=() addresses=()
for d in edu "nvme,image=$tmp/image" igb "testdev,romfile=$tmp/rom" testdev,no_soft_reset=on; do
	all+=(--device "$d,process=own"); addresses+=("0000:0$((${#addresses[@]} + 1)):00.0")
done
own "${all[@]}" -- "$build/test/oracle" "${addresses[@]}" >"$tmp/there" 2>/dev/null; status=$?
{ grep -vE '\| (handles\.child:|memory\.a child)' "$top/tests/oracle/expected-differences"; cat "$top/tests/own/expected-differences"; } >"$tmp/expected"
"$top/tests/oracle/compare" -s $status 7.3 "$tmp/expected" "$top/tests/oracle/kernel-7.3.txt" "$tmp/there" >"$tmp/result"
same "tests/oracle: $(tail -n 1 "$tmp/result")" "" "$(grep FAIL "$tmp/result" | head -n 20)"
check "there are some thousand answers" [ "$(wc -l <"$tmp/there")" -gt 3000 ]

# ---- driver and devices are debugged and sanitized apart ----
cat >"$tmp/script" <<'END'
exec 3<>/dev/vfio/1
pid=$(sed -n 's/.*the devices are in process \([0-9]*\)$/\1/p' "$1")
grep -c libasan "/proc/$pid/maps" >"$2"
! type gdb || timeout 60 gdb -p "$pid" -batch -ex bt
shift 2; exec 3<&- "$@"
END
: >"$tmp/log"
if ldd "$build/uvfio" | grep -q 'lib[at]san\|libubsan'; then
	echo "SKIP: a sanitizer in the driver alone, gdb, valgrind: the build has one"; skipped=$((skipped + 1))
elif gcc -std=gnu17 -D_GNU_SOURCE -O1 -g -fsanitize=address -I"$top/tests" -I"$top/src" -o "$tmp/asan" "$top"/tests/{sanitized/client,lib/vfio}.c -lpthread; then
	own --log info --device testdev,process=own -- bash "$tmp/script" "$tmp/log" "$tmp/mapped" "$tmp/asan" >"$tmp/said" 2>&1
	same "a driver with AddressSanitizer works" 6 "$(grep -c '^ok' "$tmp/said")"
	same "and its devices' process, which the log tells, has none" 0 "$(cat "$tmp/mapped")"
	# not where only a parent may (Yama), or nobody
	if type gdb >/dev/null 2>&1 && ! grep -q 'ptrace: Operation not permitted' "$tmp/said"; then has "a debugger is attached to it" 'in own_serve ' "$tmp/said"; fi
	own --device testdev,process=own -- "$tmp/asan" overflow >"$tmp/said" 2>&1
	has "it finds what it is there for" 'AddressSanitizer: heap-buffer-overflow' "$tmp/said"
	if type valgrind >/dev/null 2>&1; then
		timeout 300 valgrind --error-exitcode=9 --trace-children=yes --trace-children-skip='*/own_client' "$build/uvfio" run --memlock unlimited --log none --device edu,process=own -- "$build/test/own_client" >"$tmp/said" 2>&1
		same "the devices under valgrind, the driver not: its end" 0 $?
		same "and neither the devices' process nor uvfio run has errors" 2 "$(grep -c 'ERROR SUMMARY: 0 errors' "$tmp/said")"
	fi
else
	no "gcc -fsanitize=address"
fi

# ---- the process itself ----
cat >"$tmp/script" <<'END'
exec 3<>/dev/vfio/1
for p in /proc/[0-9]*; do
	grep -qaF "own-process" "$p/cmdline" && grep -qaF "$UVFIO_RUN_DIR" "$p/cmdline" && kill -9 "${p#/proc/}"
done 2>/dev/null
exec 4<>/dev/vfio/1
END
: >"$tmp/log"
own --device edu,process=own -- bash "$tmp/script" >"$tmp/said" 2>&1
has "when their process is killed the answer is ENODEV" "No such device" "$tmp/said"
has "and a line says so" "the process that has the run's devices does not answer"

# ---- a driver that fails leaves its devices to be looked at ----
# Run the doomed driver, to end as "$2 $3" says, with the options $1; look at the devices when they are held. Its status is in $status.
dies() {
	local run=()
	: >"$tmp/held"; : >"$tmp/looked"
	timeout 100 "$build/uvfio" run --memlock unlimited --log-file "$tmp/log" $1 --device "nvme,image=$tmp/image,process=own" -- "$build/test/own_doomed" "$2" "$3" 2>"$tmp/held" &
	for ((i = 0; i < 1000; i++)); do
		[[ -s $tmp/held ]] && break
		kill -0 $! 2>/dev/null || break
		sleep 0.02
	done
	run=($(sed -n 's/.*--run \([^ ]*\) list.*gdb -p \([0-9]*\).*to process \([0-9]*\).*/\1 \2 \3/p' "$tmp/held"))
	if [[ ${#run[@]} -eq 3 ]]; then look "${run[@]}" >"$tmp/looked" 2>&1; fi
	wait $! 2>/dev/null; status=$?
}
held() { grep -c 'its devices are held as it left them' "$tmp/held"; }
look() {
	"$build/uvfio" ctl --run "$1" list
	"$build/uvfio" ctl --run "$1" show 01:00.0 >"$tmp/shown" 2>&1
	! type gdb >/dev/null 2>&1 || timeout 60 gdb -p "$2" -batch -ex bt 2>&1
	kill "$3"
}
dies --hold signal 9
same "the run of a driver that is killed ends, with its signal, when the run gets SIGTERM" 137 $status
has "meanwhile the devices are held" "the program was ended by SIGKILL, and its devices are held as it left them" "$tmp/held"
has "open in their process" '^0000:01:00.0 *nvme .* D0 .*uvfio-devices \([0-9]*\) by group' "$tmp/looked"
has "with the registers that the driver wrote" '^ *BAR0 CC \(0x0014\): 0x00460001$' "$tmp/shown"
has "and its interrupts" '^ *MSI-X is on, 65 vectors$' "$tmp/shown"
same "and its queues" "  submission queue 0: 32 entries at 0x10000000,    head 2, tail 2, doorbell 2; 2 commands fetched, 0 under way; completes to queue 0,  completion queue 0: 32 entries at 0x10001000,    tail 2 with phase 1, head 0, doorbell 0; vector 0, interrupts on" "$(grep -A3 'submission queue' "$tmp/shown" | paste -sd,)"
if type gdb >/dev/null 2>&1 && ! grep -q 'ptrace: Operation not permitted' "$tmp/looked"; then has "a debugger is attached to it" 'in own_serve ' "$tmp/looked"; fi
look() { kill -INT "$3"; }
dies --hold signal 11
same "^C ends it, too" "139 1" "$status $(held)"
look() { "$build/uvfio" ctl --run "$1" release; }
dies --hold status 7
same "and uvfio ctl release, of a driver that ended with a status" "7 1" "$status $(held)"
dies --hold status 0
same "one that ended well holds nothing" "0 0" "$status $(held)"
dies --hold=always,1 status 0
same "but with always" "0 1" "$status $(held)"
look() { :; }
dies --hold=1 signal 9
same "one second is enough for it" "137 1" "$status $(held)"
look() { kill -9 "$2"; }
dies --hold signal 9
same "nor does it wait for devices whose process was killed" "137 1" "$status $(held)"
has "and says so" "the devices' process has ended" "$tmp/held"
has "only devices with a process of their own" "only devices with process=own can be held" <("$build/uvfio" run --hold --device edu -- true 2>&1)
has "--hold=never" "write always, a number of seconds, or both" <("$build/uvfio" run --hold=never --device edu,process=own -- true 2>&1)
same "nothing is left of all these runs" "" "$(ls -d "$TMPDIR"/uvfio-* 2>/dev/null)"
# a shell that goes on: the driver's devices are as they were until somebody comes
cat >"$tmp/script" <<'END'
"$1" signal 9
"$2" ctl list >"$3"
"$1" signal 9
"$2" ctl unplug 01:00.0
END
: >"$tmp/looked"
own --hold --device "nvme,image=$tmp/image,process=own" -- bash "$tmp/script" "$build/test/own_doomed" "$build/uvfio" "$tmp/looked" >"$tmp/said" 2>&1
same "a shell whose drivers are killed, the second one on the devices that the first left: its end" 0 $?
has "between them they are open" '^0000:01:00.0 *nvme .* D0 .*by group' "$tmp/looked"
has "and to be unplugged they are given up" "0000:01:00.0 is gone" "$tmp/said"

for wrong in "edu,process=mine|process=mine: write own or program" "socket=/x,process=own|process=own is for models" "nvme,process=own,migration=on|not with migration=on"; do
	has "refused: --device ${wrong%|*}" "${wrong#*|}" <("$build/uvfio" run --device "${wrong%|*}" -- true 2>&1)
done
has "all devices of a run, or none" "for all devices of a run, or for none" <("$build/uvfio" run --device edu,process=own --device edu -- true 2>&1)
has "not with the interface of 2010" "not with --abi v3" <("$build/uvfio" run --abi v3 --device edu,process=own -- true 2>&1)
has "not without an IOMMU" "not with --noiommu" <("$build/uvfio" run --noiommu all --device edu,process=own -- true 2>&1)
counts
