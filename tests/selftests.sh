#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# selftests.sh: the Linux kernel's own VFIO selftests (tools/testing/selftests/vfio of 7.3, 141 cases), unmodified, on testdev. What the group and type1
# interface can serve must pass, each by name (below); the cases of iommufd cannot, since there is no /dev/iommu. Those that need huge pages skip by themselves
# where there are none, and are counted as skipped.
set -uo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
build=${BUILD:-build}; [[ $build == /* ]] || build=$top/$build
bin=$("$top/tools/kernel-vfio-selftests") || { echo "SKIP: the kernel's selftests could not be built"; exit 77; }
tmp=$(mktemp -d); trap 'rm -rf "$tmp"' EXIT
passed=0 failed=0 skipped=0
# PROGRAM CASE... : the cases that must pass, or skip for want of huge pages
suite() {
	local prog=$1 name line; shift
	(cd "$tmp" && VFIO_SELFTESTS_BDF=0000:01:00.0 timeout 300 "$build/uvfio" run --memlock unlimited --log none --device testdev -- "$bin/$prog" >"$tmp/$prog.log" 2>&1)
	for name in "$@"; do
		line=$(grep -E "^(not )?ok [0-9]+ $name( |$)" "$tmp/$prog.log")
		case $line in
		ok*SKIP*) skipped=$((skipped + 1)); echo "skip $name:${line#*SKIP}" ;;
		ok*) passed=$((passed + 1)); echo "ok   $name" ;;
		*) failed=$((failed + 1)); echo "FAIL $name: ${line:-it did not run}"; grep -A12 "RUN *$name " "$tmp/$prog.log" ;;
		esac
	done
}
for m in vfio_type1_iommu vfio_type1v2_iommu; do
	map+=("vfio_dma_mapping_test.${m}_anonymous.dma_map_unmap" "vfio_dma_mapping_test.${m}_anonymous_hugetlb_2mb.dma_map_unmap"
		"vfio_dma_mapping_test.${m}_anonymous_hugetlb_1gb.dma_map_unmap" "vfio_dma_map_limit_test.$m.unmap_range" "vfio_dma_map_limit_test.$m.unmap_all"
		"vfio_dma_map_limit_test.$m.overflow")
	mmio+=("vfio_dma_mapping_mmio_test.$m.map_full_bar" "vfio_dma_mapping_mmio_test.$m.map_partial_bar" "vfio_dma_mapping_mmio_test.$m.map_bar_misaligned")
	init+=("vfio_pci_device_init_perf_test.$m.init")
done
suite vfio_dma_mapping_test "${map[@]}"
suite vfio_dma_mapping_mmio_test "${mmio[@]}"
suite vfio_pci_device_init_perf_test "${init[@]}"
echo "$passed passed, $failed failed$([[ $skipped -gt 0 ]] && echo ", $skipped skipped")"
[[ $failed -eq 0 && $passed -gt 0 ]]
