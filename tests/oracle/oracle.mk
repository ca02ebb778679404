# SPDX-License-Identifier: BSD-3-Clause
# The oracle's client: libc alone, so that one binary runs here and in a guest on the kernel's
# vfio-pci.
ORACLE := $(BUILD)/test/oracle
$(ORACLE): $(wildcard tests/oracle/*.c) $(tests_lib) $(tests_headers)
	$(test_link)
.PHONY: oracle
oracle: $(ORACLE)
test-programs: oracle
