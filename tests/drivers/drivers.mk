# SPDX-License-Identifier: BSD-3-Clause
# User-level drivers of libc alone: the same binaries run under uvfio and in a guest on the kernel's
# vfio-pci.
driver_programs := $(BUILD)/test/nvme_driver $(BUILD)/test/igb_driver
$(BUILD)/test/nvme_driver: $(addprefix tests/drivers/,nvme_driver.c nvme_check.c nvme.c pci.c)
$(BUILD)/test/igb_driver: $(addprefix tests/drivers/,igb_driver.c igb.c pci.c)
$(driver_programs): TEST_OPT := -O2
$(driver_programs): $(tests_lib) $(tests_headers)
	$(test_link)
.PHONY: driver-programs
driver-programs: $(driver_programs)
test-programs: driver-programs
