#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# iommufd.sh: what /dev/iommu, the character devices and the groups of edu, igb and nvme answer to
# some 2500 questions each is what Linux 7.3 answered (tests/iommufd/run), and with --kernel what
# older ones did. The long form boots the kernels, 7.3 if it is built.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
recorded=-r; [[ ! ${UVFIO_LONG-} ]] || recorded=
ok=0 no=0 skipped=0
for k in 6.1 6.12 7.3; do
	r=$recorded; [[ $k != 7.3 ]] || "$here/../tools/kernel-iommufd" >/dev/null 2>&1 || r=-r
	out=$("$here/iommufd/run" -k $k $r); rc=$?
	sed '$d' <<<"$out"
	read -r a _ b _ <<<"$(tail -n 1 <<<"$out")"
	[[ $rc -eq 0 || ${b:-0} -gt 0 ]] || b=1
	ok=$((ok + a)) no=$((no + b)) skipped=$((skipped + $(grep -c '^SKIP: ' <<<"$out")))
done
echo "$ok passed, $no failed$([[ $skipped -eq 0 ]] || echo ", $skipped skipped")"
[[ $no -eq 0 && $ok -gt 0 ]]
