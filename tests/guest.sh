#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# guest.sh: what happens to a disk after the first boot: the guest's nvme driver comes and goes,
# functions and controllers are reset, the guest suspends, reboots (QEMU resets the device), CPUs go
# away; two controllers, two namespaces, 4096-byte blocks, read-only. And a second NVMe driver that
# nobody here wrote: SeaBIOS boots from the disk.
set -uo pipefail
# shellcheck source=tests/lib/part.sh
. "$(dirname "$0")/lib/part.sh"
says() { # COUNT LINE
	local n; n=$(grep -cxF "guest: $2" "$tmp/console")
	if [[ $n -eq $1 ]]; then ok "$mode: $2"; else no "$mode: '$2' $n times, not $1"; fi
}

vm=$("$top/tools/guest-initrd" -M nvme -i "$top/tests/guest/init" -o "$tmp/initrd") || exit 1
life() { # MODE KERNEL-PARAMETER BOOTS MMAP: trap, BARs are mapped into QEMU and the guest's accesses are QEMU's loads and stores; off
	local rc n=${#3} mapped; mode=$1
	rm -f "$tmp"/disk?; truncate -s 48M "$tmp/disk0" "$tmp/disk1"; printf %c "$3" | dd of="$tmp/disk0" conv=notrunc status=none
	{ printf 'unchanged'; head -c 8M /dev/zero; } >"$tmp/disk2"; truncate -s 8M "$tmp/disk2"
	timeout 1500 "$build/uvfio" run --log-file "$tmp/log" --memlock unlimited --device "nvme,image=$tmp/disk0,image=$tmp/disk1,mmap=$4" \
		--device "nvme,image=$tmp/disk2,readonly=on,blocksize=4096" -- qemu-system-x86_64 -machine q35 -accel tcg -cpu max -m 256 -smp 2 \
		-display none -nodefaults -serial stdio -device vfio-pci,host=0000:01:00.0 -device vfio-pci,host=0000:02:00.0 -trace vfio_region_mmap -kernel "$vm" \
		-initrd "$tmp/initrd" -append "no_timer_check console=ttyS0 quiet panic=-1 loglevel=4 no_console_suspend $2" </dev/null 2>"$tmp/qemu" |
		tr -d '\r' >"$tmp/console"
	rc=${PIPESTATUS[0]}
	if [[ $rc -eq 0 ]]; then ok "$mode: QEMU ends well"; else no "$mode: QEMU ends with $rc"; fi
	mapped=$(grep -c 'vfio_region_mmap.*0000:01:00.0 BAR 0' "$tmp/qemu")
	case $4 in off) [[ $mapped -eq 0 ]];; *) [[ $mapped -gt 0 ]];; esac && ok "$mode: BAR 0 with mmap=$4" || no "$mode: BAR 0 is mapped $mapped times with mmap=$4"
	says $((2 * n)) "first 98304 sectors, block 512, read-only 0"
	says $n "second 16384 sectors, block 4096, read-only 1"
	says $n "read-only says unchanged"
	for b in $(fold -w1 <<<"$3"); do says 1 "boot $b"; done
	for w in "fresh" "bound again" "function reset" "controller reset under load" "slept" "suspend under load" "on one CPU" "0 bytes left after discard"; do
		says $n "$w"
	done
	says 1 "done"
	if grep -q '^guest: BAD' "$tmp/console"; then no "$mode: $(grep -m1 '^guest: BAD' "$tmp/console")"; else ok "$mode: nothing bad"; fi
	if [[ -s $tmp/log ]]; then no "$mode: uvfio complains"; cat "$tmp/log"; else ok "$mode: uvfio has nothing to say"; fi
	[[ $failed -eq 0 ]] || { tail -n 40 "$tmp/console"; cat "$tmp/qemu"; }
}
life MSI-X "" abc trap
life INTx pci=nomsi c off

boot() { # QEMU...
	local sum got
	sum=$(tail -c +513 "$tmp/boot" | head -c 262144 | od -An -v -tu1 | awk '{for(i=1;i<=NF;i++)s+=$i} END{printf "%08x", s}')
	got=$(timeout 500 "$build/uvfio" run --device "nvme,image=$tmp/boot" --memlock unlimited -- "$@" -machine q35 -accel tcg -m 64 -display none -nodefaults \
		-serial stdio -device isa-debug-exit,iobase=0xf4 -device vfio-pci,host=0000:01:00.0,bootindex=0 </dev/null 2>"$tmp/qemu" | tail -n1 | tr -d '\r')
	if [[ $got == "boot sector runs, sum $sum end" ]]; then ok "$(basename "$1"): SeaBIOS boots from the disk and reads it"
	else no "$(basename "$1"): SeaBIOS should read sum $sum: $got"; cat "$tmp/qemu"; fi
}
if gcc -c -m32 -o "$tmp/boot.o" "$top/tests/guest/boot.S" && ld -m elf_i386 -Ttext 0x7c00 --oformat binary -o "$tmp/boot" "$tmp/boot.o"; then
	head -c 262144 /dev/urandom >>"$tmp/boot"; truncate -s 4M "$tmp/boot"
	boot qemu-system-x86_64
	boot "$top/tools/qemu-newest"
else
	no "the boot sector was not built"
fi
counts
