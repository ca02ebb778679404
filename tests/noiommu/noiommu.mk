# SPDX-License-Identifier: BSD-3-Clause
# What tests/bind.sh runs: a VFIO client of libc alone.
$(BUILD)/test/bind_noiommu: tests/bind/noiommu.c
	$(test_link)
test-programs: $(BUILD)/test/bind_noiommu
