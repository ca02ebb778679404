#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# iommufd.sh: what /dev/iommu, the character devices and the groups of edu, igb and nvme answer to
# some 2500 questions each is what Linux 7.3 answered (tests/iommufd/run). The long form boots that
# kernel, if it is built.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
if [[ ${UVFIO_LONG-} ]] && "$here/../tools/kernel-iommufd" >/dev/null; then exec "$here/iommufd/run"; fi
exec "$here/iommufd/run" -r
