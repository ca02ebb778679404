#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# foreign.sh: the models at work in memory that is somebody else's, and that only calls reach
# (iommu/peer.h): their unit tests once more, with all memory of that kind (pci/test_platform.h).
# Not those that have the processor trap a store of a device (shadow_test, killed_test,
# killed_load_test), and those about time.
set -uo pipefail
cd "$(dirname "$0")/.."
. tests/lib/part.sh
export UVFIO_TEST_FOREIGN=1
for t in "$build"/test/models-{edu,nvme,igb,testdev}*_test; do
	case $t in *-shadow_test | *-killed_test | *-killed_load_test | *-poll_test | *-delay_test) continue ;; esac
	check "${t##*/}" timeout 120 "$t"
done
counts
