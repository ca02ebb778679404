#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# selftests.sh: the Linux kernel's own VFIO selftests (tools/testing/selftests/vfio of 7.3), as they
# are built, on igb and testdev. On igb all 141 cases pass, which is what they do on Linux 7.3 itself,
# in all five modes: group and container with type1 and type1v2, cdev and iommufd, and an iommufd in
# the container's place with both. testdev has no driver in their library and no virtual functions:
# two programs say so, the others pass. The table in docs/compatibility.md has these numbers.
#
# Ten cases want huge pages (2 MiB and 1 GiB, a page each). Root reserves what is missing for the time
# of the test; where there are none, these cases skip by themselves, and are named.
set -uo pipefail
# shellcheck source=tests/lib/part.sh
. "$(dirname "$0")/lib/part.sh"
bin=$("$top/tools/kernel-vfio-selftests") || { echo "SKIP: the kernel's selftests could not be built"; exit 77; }
programs=(vfio_dma_mapping_test vfio_dma_mapping_mmio_test vfio_pci_device_init_perf_test vfio_pci_device_test vfio_pci_driver_test
	vfio_pci_sriov_uapi_test vfio_iommufd_setup_test)
modes=(vfio_type1_iommu vfio_type1v2_iommu iommufd_compat_type1 iommufd_compat_type1v2 iommufd)

# ---- huge pages
declare -A reserved
unreserve() {
	local f
	for f in "${!reserved[@]}"; do echo $(($(<"$f") - reserved[$f])) >"$f"; done 2>/dev/null
}
trap 'unreserve; rm -rf "$tmp"' EXIT
reserve() { # SIZE-IN-KIB PAGES: have as many that are free
	local d=/sys/kernel/mm/hugepages/hugepages-$1kB want before
	[[ -w $d/nr_hugepages ]] || return 0
	want=$(($2 - $(<"$d/free_hugepages"))) before=$(<"$d/nr_hugepages")
	[[ $want -gt 0 ]] || return 0
	echo $((before + want)) 2>/dev/null >"$d/nr_hugepages" || return 0
	reserved[$d/nr_hugepages]=$(($(<"$d/nr_hugepages") - before))
}
# two devices, and five modes one after the other: one page at a time each
reserve 2048 2
reserve 1048576 1

# ---- running

# run NAME DEVICE PROGRAM ARG... : once more if their limit of 30 seconds for a case ended one, which
# a busy machine may need to fill a gigabyte; the killed child still had the device for the next ones.
run() {
	local name=$1 device=$2 prog=$3 try; shift 3
	for try in 1 2; do
		timeout 600 "$build/uvfio" run --memlock unlimited --log none --device "$device" -- "$bin/$prog" "$@" 0000:01:00.0 >"$tmp/$name" 2>&1
		grep -q "Test terminated by timeout" "$tmp/$name" || return 0
		[[ $try -eq 2 ]] || echo "     $name: a case took more than 30 seconds; once more"
	done
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

# result DEVICE PROGRAM LOG...: all cases have passed
result() {
	local device=$1 prog=$2 line name n=0; shift 2
	while read -r line; do
		name=$(sed -E 's/^(not )?ok [0-9]+ ([^ ]+).*/\2/' <<<"$line") n=$((n + 1))
		case $line in
		ok*SKIP*) if [[ $name == *hugetlb* ]]; then skipped=$((skipped + 1)); echo "skip $device $name:${line#*SKIP}"; else no "$device $line"; fi ;;
		ok*) ok "$device $name" ;;
		*) no "$device $name"; cat "$@" | grep -A12 "RUN *$name " ;;
		esac
	done < <(cat "$@" | grep -E "^(not )?ok [0-9]+ ")
	same "$device $prog: how many cases" "$(cases "$prog")" "$n"
}

# The programs sleep more than they work. vfio_pci_driver_test waits half a minute in each mode for
# interrupts that must not come: five of it beside the rest.
for m in "${modes[@]}"; do
	others=()
	for o in "${modes[@]}"; do [[ $o == "$m" ]] || others+=(-V "$o"); done
	run "driver-$m" igb vfio_pci_driver_test "${others[@]}" &
done
for device in testdev igb; do
	for prog in "${programs[@]}"; do
		[[ $device-$prog != igb-vfio_pci_driver_test ]] || continue
		case $device-$prog in
		testdev-vfio_pci_driver_test)
			run testdev-driver testdev "$prog" -t send_msi
			has "testdev $prog: wants a driver" "driver" "$tmp/testdev-driver" ;;
		testdev-vfio_pci_sriov_uapi_test)
			run testdev-sriov testdev "$prog"
			has "testdev $prog: wants SR-IOV" "SR-IOV" "$tmp/testdev-sriov" ;;
		*)
			run "$device-$prog" $device "$prog"
			result $device "$prog" "$tmp/$device-$prog" ;;
		esac
	done
done
wait
result igb vfio_pci_driver_test "${modes[@]/#/$tmp/driver-}"

# ---- the documentation has these numbers
sum=0
documented() { # PROGRAM CASES
	has "documented: $1" "^\| $1 \| $2 \| $2 \|\$" "$top/docs/compatibility.md"
}
for prog in "${programs[@]}"; do
	n=$(cases "$prog")
	documented "$prog" "$n"
	sum=$((sum + n))
done
documented all "$sum"
same "how many cases" 141 "$sum"
counts
