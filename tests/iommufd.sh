#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# iommufd.sh: what /dev/iommu, the character devices and the groups of edu, igb and nvme answer to
# some 2500 questions each is what Linux 7.3 answered (tests/iommufd/run), and with --kernel what
# older ones did; and of an edu without an IOMMU. The long form boots the kernels, 7.3 if it is
# built.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
recorded=-r; [[ ! ${UVFIO_LONG-} ]] || recorded=
ok=0 no=0 skipped=0
# without an IOMMU CAP_SYS_RAWIO (17) and CAP_SYS_ADMIN (21) are asked for
caps=$(sed -n 's/^CapEff:\t//p' /proc/self/status)
for k in 6.1 6.12 7.3 "7.3 -n"; do
	r=$recorded; [[ $k != 7.3* ]] || "$here/../tools/kernel-iommufd" >/dev/null 2>&1 || r=-r
	if [[ $k == *-n && ! ($EUID -eq 0 && $((0x$caps >> 17 & 0x11)) -eq 17) ]]; then
		echo "SKIP: what is without an IOMMU: it asks as root with all capabilities"
		skipped=$((skipped + 1)); continue
	fi
	# shellcheck disable=SC2086
	out=$("$here/iommufd/run" -k $k $r); rc=$?
	sed '$d' <<<"$out"
	read -r a _ b _ <<<"$(tail -n 1 <<<"$out")"
	[[ $rc -eq 0 || ${b:-0} -gt 0 ]] || b=1
	ok=$((ok + a)) no=$((no + b)) skipped=$((skipped + $(grep -c '^SKIP: ' <<<"$out")))
done
echo "$ok passed, $no failed$([[ $skipped -eq 0 ]] || echo ", $skipped skipped")"
[[ $no -eq 0 && $ok -gt 0 ]]
