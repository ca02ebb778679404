#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# sriov.sh [-K] : SR-IOV under uvfio: the kernel's answers to tests/sriov/client.c, as recorded
# (with -K recorded anew; with UVFIO_LONG, as make interop sets it, two kernels in QEMU with its igb
# are asked whether they still say so, which takes a minute); then what only uvfio has to get right:
# writers of sriov_numvfs of every kind, several processes of a run, what PF and VFs do to each
# other.
set -uo pipefail
# shellcheck source=tests/lib/part.sh
. "$(dirname "$0")/lib/part.sh"
recorded=$top/tests/sriov/kernel-6.12.txt
P=0000:01:00.0 V0=0000:01:10.0 V1=0000:01:10.2
T=aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee T2=11111111-2222-3333-4444-555555555555
model=$build/test/sriov_model.so use=$build/test/sriov_use
N=/sys/bus/pci/devices/$P/sriov_numvfs
run() { timeout 300 "$build/uvfio" run --log-file "$tmp/log" --device "$model${opts-}" -- "$@" 2>"$tmp/err"; }
shell() { run sh -c "$1" - "${@:2}"; }
export P V0 V1 T T2 N use tmp

echo "# the kernel's answers"
kernel() { # VERSION
	QEMU=$top/tools/qemu-newest "$top/tools/kernel-vfio-guest" -k "$1" -p -d igb -f "$build/test/sriov_client" -- \
		"echo Y >/sys/module/vfio_pci/parameters/enable_sriov; sriov_client $P"
}
if [[ ${1-} == -K ]]; then kernel 6.12 >"$tmp/kernel" && cp "$tmp/kernel" "$recorded"; fi
if [[ ${UVFIO_LONG-} ]]; then
	for k in 6.1 6.12; do same "Linux $k says what is recorded" "" "$(kernel $k | diff "$recorded" - 2>&1)"; done
fi
echo "# the same asked of igb here"
same "all of them" "" "$(timeout 300 "$build/uvfio" run --log none --device igb -- "$build/test/sriov_client" $P | diff "$recorded" - 2>&1)"
for k in 6.1 6.12; do same "--kernel $k: all of them" "" "$(timeout 300 "$build/uvfio" run --kernel $k --log none --device igb -- "$build/test/sriov_client" $P | diff "$recorded" - 2>&1)"; done
echo "# and of the test's own device, one by one"
run "$build/test/sriov_client" $P >"$tmp/client"
exec 3<"$tmp/client"
while IFS= read -r want; do
	IFS= read -r got <&3 || got="(nothing)"
	same "${want%: *}" "$want" "$got"
done <"$recorded"
same "as many answers as the kernel's" "$(wc -l <"$recorded")" "$(wc -l <"$tmp/client")"

echo "# writers"
for sh in dash bash busybox; do
	command -v $sh >/dev/null || { echo "     $sh is not here"; continue; }
	[[ $sh == busybox ]] && cmd=(busybox sh -c) || cmd=($sh -c)
	[[ $sh == busybox ]] && ! ldd "$(command -v busybox)" >/dev/null 2>&1 && { echo "     busybox is static here"; continue; }
	same "$sh: echo" "2 0 1 0" "$(run "${cmd[@]}" 'echo 2 >$N && cat $N && echo 0 >$N && cat $N; echo 9 >$N; echo $?; cat $N' | xargs)"
	has "$sh: says that it failed" "$sh|echo|I/O error|write error" "$tmp/err"
done
same "echo, a program" "3" "$(shell '/bin/echo 3 >$N; cat $N')"
shell '/bin/echo 9 >$N'; same "echo, a program: its status" 1 $?
has "echo, a program: the kernel's error" "Numerical result out of range" "$tmp/err"
shell '/bin/echo 2 >$N; /bin/echo 1 >$N'; has "a number while there are others" "Device or resource busy" "$tmp/err"
same "printf without a line break, append" "1" "$(shell '/usr/bin/printf 1 >>$N; cat $N')"
same "tee" "4 4" "$(shell 'echo 4 | tee $N; cat $N' | xargs)"
same "a descriptor that was opened before" "2" "$(shell 'exec 5>$N; /bin/echo 2 >&5; cat $N')"
same "dd" "2" "$(shell 'echo 2 | dd of=$N conv=notrunc status=none; cat $N')"
command -v python3 >/dev/null && same "python" "2" "$(run python3 -c "open('$N','w').write('2'); print(open('$N').read().strip())")"
command -v perl >/dev/null && same "perl" "2" "$(run perl -e 'open(F,">",$ENV{N}); print F "2\n"; close(F) or die; print `cat $ENV{N}`')"
same "fprintf and fclose" "stdio 2: 0x0|stdio 9: ERANGE|stdio 0: 0x0" "$(run "$use" stdio $P 2 stdio $P 9 stdio $P 0 | paste -sd'|')"
same "other attributes cannot be written" "1 1" "$(shell 'echo 1 2>/dev/null >/sys/bus/pci/devices/$P/sriov_totalvfs; echo $?; (echo 1 >/sys/bus/pci/devices/$P/sriov_offset) 2>/dev/null; echo $?' | sed 's/2/1/' | xargs)"
same "by another way: through the group" "2" "$(shell 'echo 2 >/sys/kernel/iommu_groups/1/devices/$P/sriov_numvfs; cat $N')"
same "by another way: from a VF" "2 0" "$(shell 'echo 2 >$N; cat $N; echo 0 >/sys/bus/pci/devices/$V0/physfn/sriov_numvfs; cat $N' | xargs)"
same "a shell's output goes on" "a b" "$(shell 'echo a; echo 2 >$N; echo b' | xargs)"

echo "# what there is"
opts=,sriov_numvfs=3
same "from the start" "3 1 2 3 4 devices vfio" "$(shell 'cat $N; ls /dev/vfio' | xargs)"
same "lspci sees them" "3" "$(run lspci -d 1234:5f02 2>/dev/null | wc -l)"
same "lspci of the PF tells how many" "Number of VFs: 3" "$(run lspci -vvs $P 2>/dev/null | grep -o 'Number of VFs: [0-9]*')"
same "and after a change" "Number of VFs: 1" "$(shell 'echo 0 >$N; echo 1 >$N; lspci -vvs $P 2>/dev/null' | grep -o 'Number of VFs: [0-9]*')"
opts=
same "nothing stays behind" "" "$(shell 'cd $UVFIO_RUN_DIR; find sys dev | sort >$tmp/before; echo 4 >$N; echo 0 >$N; find sys dev | sort | diff $tmp/before -')"
same "groups are taken where they are free" "2 3 4" "$(shell 'echo 3 >$N; for v in 0 1 2; do basename $(readlink /sys/bus/pci/devices/$P/virtfn$v/iommu_group); done' | xargs)"
same "modes" "644 444" "$(shell 'stat -Lc %a $N /sys/bus/pci/devices/$P/sriov_totalvfs' | xargs)"
for wrong in "sriov_numvfs=5:has 4 virtual functions" "sriov_numvfs=x:not a number" "driver=igb:it can have vfio-pci, pci-stub, none or sriovtest"; do
	timeout 100 "$build/uvfio" run --device "$model,${wrong%%:*}" -- true 2>"$tmp/err"; same "${wrong%%:*}: status" 2 $?
	has "${wrong%%:*}: says why" "${wrong#*:}" "$tmp/err"
done
timeout 100 "$build/uvfio" run --device edu,sriov_numvfs=1 -- true 2>"$tmp/err"; has "of a device without SR-IOV" "has 0 virtual functions" "$tmp/err"
timeout 100 "$build/uvfio" run --device "$model" --device edu,addr=01:10.2 -- true 2>"$tmp/err"; has "another device in a VF's place" "01:10.2 is taken.*virtual function" "$tmp/err"
timeout 100 "$build/uvfio" run --device edu,addr=01:10.2 --device "$model" -- true 2>"$tmp/err"; has "a VF in another device's place" "virtual function 1 would be at 0000:01:10.2" "$tmp/err"
same "dump" "3" "$("$build/uvfio" dump --device "$model,sriov_numvfs=2" | grep -c '^0000')"

echo "# PF and VFs in one process"
run "$use" open $P $T vfs $P read $P 0xc stdio $P 2 vfs $P read $P 0xc open $V0 $T open $V1 $T read $V0 0 read $V1 0 \
	write $V1 0x40 0x77 read $P 0x44 read $V0 0x40 write $P 0x40 0x99 read $V0 0x40 dma $V0 dma $V1 alias $V0 $V1 dma $P msi $V0 msi $V1 msi $P \
	map $V1 0 map $P 0 close $V0 close $V1 numvfs $P 0 vfs $P read $P 0xc open $V0 $T numvfs $P 1 open $V0 $T read $V0 8 open $V1 $T >"$tmp/out"
same "the whole story" "open $P: 0x0
vfs $P: 0x0
read $P: 0x0
stdio 2: 0x0
vfs $P: 0x2
read $P: 0x2
open $V0: 0x0
open $V1: 0x0
read $V0: 0x100
read $V1: 0x101
write $V1: 0x0
read $P: 0x77
read $V0: 0x0
write $P: 0x0
read $V0: 0x99
dma $V0: 0x100
dma $V1: 0x101
alias $V0: 0x0
dma $P: 0x5046
msi $V0: 0x1
msi $V1: 0x1
msi $P: 0x1
map $V1: 0x101
map $P: 0x5046
numvfs 0: 0x1
vfs $P: 0x0
read $P: 0x0
open $V0: ENOENT
numvfs 1: 0x1
open $V0: 0x0
read $V0: 0x5
open $V1: ENOENT" "$(cat "$tmp/out")"
same "a process with devices sees what another one writes" "open $P: 0x0|ready|open $V0: 0x0|vfs $P: 0x1" \
	"$(shell 'mkfifo $tmp/go; (sleep 0.5; echo 1 >$N; echo >$tmp/go) & $use open $P $T wait open $V0 $T vfs $P <$tmp/go; wait' | paste -sd'|')"
rm -f "$tmp/go"

echo "# several processes of one run"
opts=,sriov_numvfs=2
# HELD: one process has this open while another tries the rest
pair() { shell 'set -m; mkfifo $tmp/go $tmp/said; $use open $1 $T open $2 $T wait <$tmp/go >$tmp/said 2>/dev/null & exec 4>$tmp/go; while read l && [ "$l" != ready ]; do :; done <$tmp/said
	shift 2; "$@"; exec 4>&-; wait; rm $tmp/go $tmp/said' "$@"; }
: >"$tmp/log"
same "the PF is taken: its VF" "group $V0: EBUSY" "$(pair $P $P $use group $V0)"
has "and a line says why" "WARN|warn.*another process has $P or a virtual function" "$tmp/log"
same "the PF is taken: itself" "group $P: EBUSY" "$(pair $P $P $use group $P)"
same "a VF is taken: the PF, the other VF, itself" "group $P: EBUSY|group $V1: EBUSY|group $V0: EBUSY" "$(pair $P $V0 $use group $P group $V1 group $V0 | paste -sd'|')"
same "VFs of a PF that another process has can be disabled" "numvfs 0: 0x1" "$(pair $P $P $use numvfs $P 0)"
: >"$tmp/log"
same "while one is open there the writer waits, and the others go" "waits|first gone|numvfs 0: 0x1" \
	"$(shell 'mkfifo $tmp/go $tmp/said; $use open $P $T open $V1 $T wait <$tmp/go >$tmp/said 2>/dev/null & exec 4>$tmp/go; while read l && [ "$l" != ready ]; do :; done <$tmp/said
	$use numvfs $P 0 >$tmp/w 4>&- & sleep 0.5; [ -s $tmp/w ] || echo waits; [ -e /sys/bus/pci/devices/$V0 ] || echo first gone; exec 4>&-; wait; cat $tmp/w; rm $tmp/go $tmp/said' | paste -sd'|')"
has "and a line says which" "$V1: it is open; the writer waits" "$tmp/log"
: >"$tmp/log"
same "so while a descriptor is left of one whose process ended" "waits|closed|numvfs 0: 0x1" \
	"$(shell 'mkfifo $tmp/go $tmp/said; (exec 9<>/dev/vfio/3; (echo >$tmp/said; read l <$tmp/go; exec 9>&-; echo closed >$tmp/said) & read l <$tmp/said); $use numvfs $P 0 >$tmp/w & sleep 0.5; [ -s $tmp/w ] || echo waits; echo >$tmp/go; cat $tmp/said; wait; cat $tmp/w; rm $tmp/go $tmp/said' | paste -sd'|')"
has "which a line says, too" "group 3: process [0-9]+ still has it open" "$tmp/log"
same "after its end it can" "open $V0: EACCES|open $P: 0x0|open $V0: 0x0|numvfs 0: 0x1" "$(shell '$use open $V0 $T open $P $T open $V0 $T; $use numvfs $P 0' | paste -sd'|')"
same "a token outlives the process that set it" "open $P: 0x0|open $V0: EACCES|open $V0: EACCES|open $V1: 0x0" \
	"$(shell '$use open $P $T; $use open $V0 - open $V0 $T2 open $V1 $T' | paste -sd'|')"
same "and the feature's, and not into another run" "open $V0: EACCES" "$(run "$use" open $V0 $T)"

echo "# writers and users at once"
opts=,driver=sriovtest
cat >"$tmp/crowd" <<'END'
end=$(($(date +%s) + 3))
flip() { while [ $(date +%s) -lt $end ]; do for v in 2 0 3 0 1 0; do echo $v >$N; done; done 2>/dev/null; }
busy() { while [ $(date +%s) -lt $end ]; do $use open $V0 - read $V0 0 2>/dev/null; done; }
flip & flip & busy & busy & wait
echo 0 >$N && echo 4 >$N && $use open $V0 - read $V0 0 && ls /dev/vfio
END
run sh "$tmp/crowd" | sort >"$tmp/out"
same "nothing else happens than that it is there, not there, or busy" "" "$(grep -vE "^(open $V0: (0x0|ENOENT|EBUSY|ENODEV)|read $V0: (0x100|not open)|[0-9]|vfio|devices)$" "$tmp/out")"
has "it is there at times" "^read $V0: 0x100" "$tmp/out"
same "and at the end all is as it should be" "2 3 4 5 vfio" "$(grep -E '^([0-9]|vfio)$' "$tmp/out" | xargs)"

echo "# a driver of the host"
opts=,sriov_numvfs=2,driver=sriovtest
same "VFs take no token" "open $V0: 0x0|read $V0: 0x100|open $V1: EINVAL" "$(run "$use" open $V0 - read $V0 0 open $V1 $T | paste -sd'|')"
same "the PF is nobody's" "open $P: ENOENT" "$(run "$use" open $P -)"
same "and sysfs shows it" "sriovtest vfio-pci 2 3 devices vfio" "$(shell 'basename $(readlink /sys/bus/pci/devices/$P/driver); basename $(readlink /sys/bus/pci/devices/$V0/driver); ls /dev/vfio' | xargs)"
same "two VFs in two processes" "group $V1: EBUSY" "$(shell 'mkfifo $tmp/go $tmp/said; $use open $V0 - wait <$tmp/go >$tmp/said 2>/dev/null & exec 4>$tmp/go; while read l && [ "$l" != ready ]; do :; done <$tmp/said; $use group $V1; exec 4>&-; wait; rm $tmp/go $tmp/said')"
same "VFs can be changed" "0x0" "$(shell 'echo 0 >$N; echo 3 >$N; $use open 0000:01:10.4 -' | sed 's/.*: //')"

counts
