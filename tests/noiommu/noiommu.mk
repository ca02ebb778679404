# SPDX-License-Identifier: BSD-3-Clause
# What tests/noiommu.sh runs: a VFIO client of libc alone.
$(BUILD)/test/noiommu_client: tests/noiommu/client.c
	$(test_link)
test-programs: $(BUILD)/test/noiommu_client
