#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# drivers_oracle.sh [DEVICE] : user-level drivers (tests/drivers) on uvfio's models, and the same
# binaries on QEMU's models of the same chips behind the kernel's vfio-pci. They must see the same;
# what differs stands in tests/drivers/expected-differences with a reason. With UVFIO_LONG also the
# kernel's own driver test for the 82576, of its VFIO selftests (on uvfio's it is a part of
# selftests.sh).
set -uo pipefail
# shellcheck source=tests/lib/part.sh
. "$(dirname "$0")/lib/part.sh"
here=$top/tests/drivers
devices=(nvme igb); [[ $# -gt 0 ]] && devices=("$@")
for d in "${devices[@]}"; do [[ -x $build/test/${d}_driver ]] || { echo "drivers_oracle: $build/test/${d}_driver is missing: make driver-programs" >&2; exit 1; }; done
"$top/tools/qemu-newest" --version >"$tmp/version" 2>&1 || { cat "$tmp/version"; echo "SKIP: the newest QEMU of Debian (tools/qemu-newest)"; exit 77; }
truncate -s 64M "$tmp/qemu.img" "$tmp/uvfio.img"
declare -A model=([nvme]="nvme,serial=x,drive=d0" [igb]=igb) spec=([nvme]="nvme,image=$tmp/uvfio.img" [igb]=igb)

# One guest for all: the devices in the order of their names here, a status after what each driver
# said.
args=() run=""
for i in "${!devices[@]}"; do
	prog=${devices[i]}_driver
	args+=(-d "${model[${devices[i]}]}" -f "$build/test/$prog")
	run+="$prog check 0000:0$((i + 1)):00.0 2>&1; echo status \$? $prog; "
done
QEMU=$top/tools/qemu-newest "$top/tools/kernel-vfio-guest" -k 6.12 -p "${args[@]}" -Q -drive -Q if=none,id=d0,format=raw,file="$tmp/qemu.img" -- "$run" >"$tmp/guest" ||
	{ cat "$tmp/guest"; echo "FAIL the guest"; }
[[ $(head -n 1 "$tmp/version") =~ version\ ([0-9.]+) ]] && echo "QEMU ${BASH_REMATCH[1]}, $(grep -c ': ' "$tmp/guest") answers"
for d in "${devices[@]}"; do
	status=0
	sed "/^status .* ${d}_driver\$/,\$d" "$tmp/guest" | tac | sed '/^status /,$d' | tac >"$tmp/$d.qemu"
	grep -q "^status 0 ${d}_driver$" "$tmp/guest" || { failed=$((failed + 1)); echo "FAIL $d: the driver failed in the guest"; tail -n 3 "$tmp/$d.qemu"; }
	timeout 1000 "$build/uvfio" run --memlock unlimited --log-file "$tmp/log" --device "${spec[$d]}" -- "$build/test/${d}_driver" check 0000:01:00.0 \
		>"$tmp/$d.uvfio" 2>&1 || status=$?
	"$top/tests/oracle/compare" -s $status "$d" "$here/expected-differences" "$tmp/$d.qemu" "$tmp/$d.uvfio" >"$tmp/result" || tail -n 15 "$tmp/log"
	grep -v ' passed, ' "$tmp/result"
	read -r ok _ no _ < <(grep ' passed, ' "$tmp/result" || echo "0 passed, 1 failed")
	passed=$((passed + ok)) failed=$((failed + no))
done
if [[ ${UVFIO_LONG-} && " ${devices[*]} " == *" igb "* ]]; then
	"$top/tests/selftests/relink" vfio_pci_driver_test "$tmp/vfio_pci_driver_test" || exit 1
	# in huge pages: a case has 30 s, and the emulated machine takes half of that to map 1 GiB
	# in small ones
	GUEST_MB=2600 GUEST_TIMEOUT=1200 QEMU=$top/tools/qemu-newest "$top/tools/kernel-vfio-guest" -k 6.12 -p -d igb -f "$tmp/vfio_pci_driver_test" -- \
		"echo always >/sys/kernel/mm/transparent_hugepage/shmem_enabled; export SELFTESTS_IOMMU_MODE=vfio_type1v2_iommu;
		vfio_pci_driver_test -v vfio_type1v2_iommu 0000:01:00.0" >"$tmp/out" 2>&1
	for c in init_remove memcpy_success memcpy_from_unmapped_iova memcpy_to_unmapped_iova send_msi mix_and_match memcpy_storm; do
		name=vfio_pci_driver_test.vfio_type1v2_iommu.$c
		if grep -Eq "^ok [0-9]+ $name\$" "$tmp/out"; then passed=$((passed + 1)); echo "ok   $name on QEMU's igb, too"
		elif grep -q "^# $c: Test terminated by timeout" "$tmp/out"; then skipped=$((skipped + 1)); echo "SKIP: $name: this machine is too slow for its 30 s"
		else failed=$((failed + 1)); echo "FAIL $name on QEMU's igb"; grep -A12 "RUN *$name " "$tmp/out"; fi
	done
fi
counts
