# SPDX-License-Identifier: BSD-3-Clause
# Tests that need more than one folder: tests/run-all is `make check`.

# The oracle's client: libc alone, so that one binary runs here and in a guest on the kernel's vfio-pci.
ORACLE := $(BUILD)/test/oracle
$(ORACLE): $(wildcard tests/oracle/*.c) tests/oracle/oracle.h
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) -std=gnu17 -D_GNU_SOURCE -O1 -g $(WARN) -o $@ $(filter %.c,$^)
.PHONY: oracle
oracle: $(ORACLE)

# The whole suite: sets itself up on a fresh Debian 12, builds, runs everything, ends with `N passed, N failed`.
.PHONY: check interop demo setup sanitize test-programs
setup:
	@tools/setup
check: setup
	@$(MAKE) --no-print-directory all test-programs
	@BUILD=$(BUILD) CC="$(CC)" tests/run-all $(PARTS)
# The long form of what check does with programs that nobody here wrote: minutes each. A tests/NAME.sh is in it by looking at UVFIO_LONG.
interop: setup
	@$(MAKE) --no-print-directory all test-programs
	@BUILD=$(BUILD) CC="$(CC)" tests/run-all --long $(PARTS)
# everything that tests run but do not build themselves; other .mk files add to it
test-programs: $(unit_tests) $(ORACLE)

# One format for all C: make format-check says where it is not kept, and is a part of the suite.
.PHONY: format format-check
format:
	@tools/format
format-check:
	@tools/format --check

# The main job, shown: make demo DEMO="--nomsi"
demo: setup
	@$(MAKE) --no-print-directory all
	@tools/demo --build $(BUILD) $(DEMO)

# Unit tests under AddressSanitizer with UBSan, then under ThreadSanitizer.
sanitize:
	@CC="$(CC)" tests/sanitize $(BUILD)
