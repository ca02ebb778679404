#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# kvm.sh: devices of uvfio/vmm.h in guests of KVM's: this machine's KVM, if it has one that will do,
# and that of tools/kvm-guest, where the kernel's vfio-pci has an edu besides, and where Linux boots
# in examples/vmm with a disk of nvme's. The long form boots it with each kind of interrupt, with
# two network ports joined by a cable, with a disk that goes and comes, and with a real one; and in
# two QEMUs on KVM.
set -uo pipefail
# shellcheck source=tests/lib/part.sh
. "$(dirname "$0")/lib/part.sh"
long=${UVFIO_LONG-}
vm=$("$top/tools/guest-initrd" -M nvme -M igb -i "$top/tests/kvm/init" -o "$tmp/initrd") ||
	no "no guest could be made"
files=(-f "$build/libuvfio.so.0=/guest/libuvfio.so.0" -f "$build/examples/vmm=/guest/examples/vmm"
	-f "$build/uvfio=/guest/uvfio" -f "$build/libuvfio-shim.so=/guest/libuvfio-shim.so"
	-f "$vm=/guest/vmlinuz" -f "$tmp/initrd=/guest/initrd" -f "$top/tests/kvm/monitors")
run_cases() { # WHERE COMMAND...: what it prints is cases
	local where=$1; shift
	"$@" >"$tmp/cases" 2>"$tmp/log" </dev/null
	local rc=$?
	cases "$tmp/cases" "$where: " ""
	if [[ $rc -gt 1 || $rc -ne 0 && $(grep -c '^FAIL' "$tmp/cases") -eq 0 ]]; then
		no "$where: status $rc" "$(tail -n 20 "$tmp/log")"
	fi
}
in_guest() { # with one more try: an emulated processor with KVM may hang
	local rc i
	for i in 1 2; do
		"$top/tools/kvm-guest" -t $((long ? 1200 : 150)) "$@" >"$tmp/run" 2>"$tmp/err"; rc=$?
		[[ $rc -eq 125 ]] || break
		echo "     try $i: no result after: $(tail -n 1 "$tmp/run")"
	done
	cat "$tmp/run"; cat "$tmp/err" >&2
	return $rc
}
if "$top/tools/kvm-guest" -n >/dev/null; then
	run_cases "this machine" timeout 300 "$build/test/kvm_cases" ${long:+long}
	run_cases "this machine" timeout 300 "$build/test/kvm_assign"
fi
run_cases kvm-guest in_guest -d edu -f "$build/test/kvm_cases=/guest/test/kvm_cases" \
	-f "$build/test/kvm_assign=/guest/test/kvm_assign" \
	-f "$build/test/kvm_slot=/guest/test/kvm_slot" "${files[@]}" -- "
		test/kvm_cases 0000:00:04.0 ${long:+long} 2>/tmp/err; rc=\$?
		test/kvm_assign 2>>/tmp/err; rc2=\$?
		./uvfio run --device host=0000:00:04.0 -- test/kvm_slot 0000:00:04.0 \
			2>>/tmp/err | sed 's/ok  /& by way of the shim:/; s/FAIL/& by way of the shim:/'
		sh monitors boot
		cat /tmp/err; exit \$((rc > rc2 ? rc : rc2))"
[[ $long ]] || { counts; exit; }

for how in "" --nomsix --nomsi; do # (test 77)
	check "demo --vmm $how" "$top/tools/demo" --build "$build" --brief --vmm $how
done
# On the kernel's vfio-pci, which has QEMU's nvme: the same binary (test 78), or a QEMU (test 83).
real_disk() { # vmm|QEMU-VERSION MODE [KERNEL-OPTION]
	local append="console=ttyS0 quiet loglevel=4 panic=-1 no_timer_check role=disk ${3-}" more=() run
	run="examples/vmm --kernel vmlinuz --initrd initrd --append '$append' --device 0000:00:04.0"
	if [[ $1 != vmm ]]; then
		more=(-m 2500 -q "$1")
		run="qemu-system-x86_64 -accel kvm -m 256 -cpu host,-xsave -display none -nodefaults"
		run+=" -no-reboot -serial stdio -kernel vmlinuz -initrd initrd -append '$append'"
		run+=" -M q35 -device vfio-pci,host=0000:00:04.0 </dev/null"
	fi
	head -c 16M /dev/urandom >"$tmp/disk"
	in_guest -d nvme,drive=d0,serial=real -Q -drive -Q "file=$tmp/disk,format=raw,if=none,id=d0" \
		"${more[@]}" "${files[@]}" -- "$run" | tr -d '\r' | tee "$tmp/real"
	sum() { sha256sum | cut -c1-16; }
	grep -q "disk: read $(head -c 4M "$tmp/disk" | sum)" "$tmp/real" &&
		grep -q "disk: wrote $(dd if="$tmp/disk" bs=64k skip=128 count=16 status=none | sum)" "$tmp/real" &&
		grep -q "disk: interrupts $2\$" "$tmp/real" && grep -q "disk: done" "$tmp/real" &&
		! grep -q BAD "$tmp/real"
}
check "vmm on vfio-pci's nvme: MSI-X" real_disk vmm msix
check "vmm on vfio-pci's nvme: INTx" real_disk vmm "" pci=nomsi
check "QEMU 7.2 on vfio-pci's nvme: MSI-X" real_disk 7.2 msix
check "the newest QEMU on vfio-pci's nvme: INTx" real_disk newest "" pci=nomsi
run_cases "kvm-guest" in_guest -m 2500 -q 7.2 "${files[@]}" -- sh monitors vmm qemu
run_cases "kvm-guest" in_guest -m 2500 -q newest "${files[@]}" -- sh monitors qemu
counts
