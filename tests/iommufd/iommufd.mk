# SPDX-License-Identifier: BSD-3-Clause
# The client that asks iommufd and the character devices: libc alone, so that one binary runs here
# and in a guest on the kernel's.
IOMMUFD_PROBE := $(BUILD)/test/iommufd_probe
$(IOMMUFD_PROBE): $(wildcard tests/iommufd/*.c) $(tests_headers)
	$(test_link)
.PHONY: iommufd-probe
iommufd-probe: $(IOMMUFD_PROBE)
test-programs: iommufd-probe
