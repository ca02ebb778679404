#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# selftests.sh: the Linux kernel's own VFIO selftests (tools/testing/selftests/vfio of 7.3, 141
# cases), unmodified, on igb and testdev. Every case that the group and type1 interface can serve
# must pass, by name; every other must fail, as there is no /dev/iommu; and the table in
# docs/compatibility.md must have the numbers that come out. So a case that starts to pass fails
# this test as one that stops does.
#
# vfio_pci_driver_test and vfio_pci_device_test open their device with the library's default mode,
# iommufd, before anything else; no option and no variable of the environment says otherwise.
# Therefore they also run relinked: the same object files, and one more that sets libvfio's variable
# default_iommu_mode before main() (tests/selftests/relink). Those are counted apart. Huge pages:
# four cases skip by themselves where there are none.
set -uo pipefail
# shellcheck source=tests/lib/part.sh
. "$(dirname "$0")/lib/part.sh"
bin=$("$top/tools/kernel-vfio-selftests") || { echo "SKIP: the kernel's selftests could not be built"; exit 77; }
programs=(vfio_dma_mapping_test vfio_dma_mapping_mmio_test vfio_pci_device_init_perf_test vfio_pci_device_test vfio_pci_driver_test
	vfio_pci_sriov_uapi_test vfio_iommufd_setup_test)
declare -A must row_built row_huge row_relinked
no() { failed=$((failed + 1)); echo "FAIL $*"; }

# The cases that must pass, "HOW PROGRAM" or "DEVICE HOW PROGRAM": one a line.
for m in vfio_type1_iommu vfio_type1v2_iommu; do
	for size in "" _hugetlb_2mb _hugetlb_1gb; do must["built vfio_dma_mapping_test"]+="vfio_dma_mapping_test.${m}_anonymous$size.dma_map_unmap "; done
	for t in unmap_range unmap_all overflow; do must["built vfio_dma_mapping_test"]+="vfio_dma_map_limit_test.$m.$t "; done
	for t in map_full_bar map_partial_bar map_bar_misaligned; do must["built vfio_dma_mapping_mmio_test"]+="vfio_dma_mapping_mmio_test.$m.$t "; done
	must["built vfio_pci_device_init_perf_test"]+="vfio_pci_device_init_perf_test.$m.init "
	for t in init_remove memcpy_success memcpy_from_unmapped_iova memcpy_to_unmapped_iova send_msi mix_and_match memcpy_storm; do
		must["relinked vfio_pci_driver_test"]+="vfio_pci_driver_test.$m.$t "
	done
done
# testdev has no SR-IOV
for m in vfio_type1_iommu vfio_type1v2_iommu; do
	for u in same diff null; do
		for t in init_token_match pf_early_close override_token; do
			must["igb built vfio_pci_sriov_uapi_test"]+="vfio_pci_sriov_uapi_test.${m}_${u}_uuid.$t "
		done
	done
done
must["relinked vfio_pci_device_test"]="vfio_pci_device_test.config_space_read_write vfio_pci_device_test.validate_bars vfio_pci_device_test.reset
	vfio_pci_irq_test.msi.enable_trigger_disable vfio_pci_irq_test.msix.enable_trigger_disable "

# run NAME DEVICE PROGRAM ARG...
run() {
	local name=$1 device=$2; shift 2
	timeout 1500 "$build/uvfio" run --memlock unlimited --log none --device "$device" -- "$@" 0000:01:00.0 >"$tmp/$name" 2>&1
}

# result NAME DEVICE HOW PROGRAM LOG...: what must have passed has, and nothing else. Adds to the
# row of PROGRAM if DEVICE is igb.
result() {
	local name=$1 device=$2 how=$3 prog=$4 line case; shift 4
	local -A want=()
	for case in ${must["$how $prog"]-} ${must["$device $how $prog"]-}; do
		want[$case]=1
		line=$(cat "$@" | grep -E "^(not )?ok [0-9]+ $case( |$)")
		case $line in
		ok*SKIP*mmap*) skipped=$((skipped + 1)); echo "skip $name $case:${line#*SKIP}" ;;
		ok*SKIP* | not* | "") no "$name $case: ${line:-it did not run}"; cat "$@" | grep -A12 "RUN *$case "; continue ;;
		*) passed=$((passed + 1)); echo "ok   $name $case" ;;
		esac
		[[ $device == igb ]] || continue
		if [[ $how == relinked ]]; then row_relinked[$prog]+="$case "
		elif [[ $case == *hugetlb* ]]; then row_huge[$prog]+="$case "
		else row_built[$prog]+="$case "; fi
	done
	while read -r case; do
		[[ ${want[$case]-} ]] || no "$name $case: passes, but is not expected to: change $0 and docs/compatibility.md"
	done < <(cat "$@" | sed -nE 's/^ok [0-9]+ ([^ ]*).*/\1/p' | grep -v '^#')
}

# cases PROGRAM: how many there are, by the symbols that the harness makes: a fixture's tests times
# its variants.
cases() {
	nm -S "$bin/$1" | awk '$4 ~ /^_.*_object$/ { n = substr($4, 2, length($4) - 8); size[n] = $2 + 0 }
		END {
			for (f in size) if (f ~ /_fixture$/) {
				x = substr(f, 1, length(f) - 7); tests = variants = 0
				for (n in size) if (n != f && index(n, x) == 1) { if (size[n] == 8) tests++; else variants++ }
				sum += tests * (variants ? variants : 1)
			}
			print sum + 0
		}'
}
different() { tr ' ' '\n' <<<"$1" | sort -u | grep -c .; }

for prog in vfio_pci_driver_test vfio_pci_device_test; do "$top/tests/selftests/relink" $prog "$tmp/$prog.relinked" || exit 1; done
# This one sleeps more than it works: two of them beside the rest.
relinked() { local mode=$1; shift; SELFTESTS_IOMMU_MODE=$mode run "$@"; }
relinked vfio_type1_iommu driver-v1 igb "$tmp/vfio_pci_driver_test.relinked" -V vfio_type1v2_iommu & v1=$!
relinked vfio_type1v2_iommu driver-v2 igb "$tmp/vfio_pci_driver_test.relinked" -v vfio_type1v2_iommu & v2=$!
for device in testdev igb; do
	for prog in "${programs[@]}"; do
		run "$device-$prog" $device "$bin/$prog"
		result $device $device built "$prog" "$tmp/$device-$prog"
	done
	for mode in vfio_type1_iommu vfio_type1v2_iommu; do
		relinked $mode $device-relinked $device "$tmp/vfio_pci_device_test.relinked"
		result "$device $mode" $device relinked vfio_pci_device_test "$tmp/$device-relinked"
	done
done
wait $v1 $v2
result igb igb relinked vfio_pci_driver_test "$tmp/driver-v1" "$tmp/driver-v2"
# those that cannot begin say why
begins() { # PROGRAM WORDS WHY [DEVICE]
	local log=$tmp/${4-igb}-$1
	if grep -q "$2" "$log"; then passed=$((passed + 1)); echo "ok   $1 as built: $3"; else no "$1 as built: did not say $2"; tail -n 5 "$log"; fi
}
begins vfio_pci_driver_test "/dev/iommu\|iommufd" "wants /dev/iommu"
begins vfio_pci_device_test "/dev/iommu\|iommufd" "wants /dev/iommu"
begins vfio_iommufd_setup_test "vfio-dev" "wants the character device of the device"
begins vfio_pci_sriov_uapi_test "SR-IOV" "wants SR-IOV" testdev

# The documentation has these numbers.
sum=(0 0 0 0)
documented() { # PROGRAM CASES BUILT HUGE RELINKED
	local row="| $1 | $2 | $3 | $4 | $5 | $(($2 - $3 - $4 - $5)) |"
	if grep -qF "$row" "$top/docs/compatibility.md"; then passed=$((passed + 1)); echo "ok   documented: $row"
	else no "docs/compatibility.md does not have this row: $row"; fi
}
for prog in "${programs[@]}"; do
	n=("$(cases "$prog")" "$(different "${row_built[$prog]-}")" "$(different "${row_huge[$prog]-}")" "$(different "${row_relinked[$prog]-}")")
	documented "$prog" "${n[@]}"
	for i in 0 1 2 3; do sum[i]=$((sum[i] + n[i])); done
done
documented "all" "${sum[@]}"
[[ ${sum[0]} -eq 141 ]] || no "${sum[0]} cases instead of 141"
counts
