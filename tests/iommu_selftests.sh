#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# iommu_selftests.sh: the Linux kernel's selftests of iommufd (tools/testing/selftests/iommu of 7.3,
# 246 cases) pass, skip and fail as they do on Linux 7.3 (tests/selftests/iommu-7.3.txt): 26 need
# no mock devices of the kernel's own and pass, 5 skip, and the rest asks for these and fails, here
# as there. Two requests to the mock, which every case would fail by, are taken out of them
# (tools/kernel-vfio-selftests).
#   -R  write that list anew, by the kernel (make kernel-7.3)
set -uo pipefail
# shellcheck source=tests/lib/part.sh
. "$(dirname "$0")/lib/part.sh"
bin=$("$top/tools/kernel-vfio-selftests" iommu) || { echo "SKIP: the kernel's selftests could not be built"; exit 77; }
want=$top/tests/selftests/iommu-7.3.txt
results() { sed -nE 's/^ok [0-9]+ ([^ ]+) +# SKIP.*/skip \1/p; t; s/^(ok|not ok) [0-9]+ ([^ ]+).*/\1 \2/p' "$1"; }
if [[ ${1-} == -R ]]; then
	GUEST_MB=4096 QEMU=$top/tools/qemu-newest "$top/tools/kernel-vfio-guest" -k 7.3 -a hugepagesz=2M -a hugepages=32 \
		-f "$bin/iommufd" -- 'cd /tmp; iommufd 2>&1' >"$tmp/log"
	results "$tmp/log" >"$want"
	exit 0
fi
timeout 300 "$build/uvfio" run --log none --device edu -- "$bin/iommufd" >"$tmp/log" 2>&1
results "$tmp/log" >"$tmp/got"
# RLIMIT_MODE wants CAP_SYS_RESOURCE (24), which root of a container may lack: EPERM, as in the kernel
capable=$((0x$(sed -n 's/^CapEff:\t//p' /proc/self/status) >> 24 & 1))
while read -r line; do
	name=${line##* }
	if [[ $name == iommufd.global_options && $capable -eq 0 ]]; then
		skipped=$((skipped + 1)); echo "skip $name: no CAP_SYS_RESOURCE"; continue
	fi
	same "$name" "$line" "$(grep -E " ${name//./\\.}\$" "$tmp/got")"
done <"$want"
same "how many cases" "$(wc -l <"$want")" "$(wc -l <"$tmp/got")"
counts
