# SPDX-License-Identifier: BSD-3-Clause
# Tests that need more than one folder: tests/run-all is `make check`.

# A program of these is $(BUILD)/test/FOLDER_NAME for tests/FOLDER/NAME.c, by a rule of
# tests/FOLDER/FOLDER.mk. Most are of libc alone, and some of these run in a guest on the kernel's
# VFIO.
tests_lib := $(wildcard tests/lib/*.c)
tests_headers := $(wildcard tests/*/*.h) src/models/testdev/regs.h
TEST_OPT := -O1
test_cc = $(CC) -std=gnu17 -D_GNU_SOURCE $(TEST_OPT) -g $(WARN) $(if $(WERROR),-Werror)
define test_link
@mkdir -p $(@D)
$(call say,LINK,$@)
$(Q)$(test_cc) -Itests -Isrc -o $@ $(filter %.c %.a,$^)
endef
# a device as a plug-in, built as a user would
define test_model
@mkdir -p $(@D)
$(call say,LINK,$@)
$(Q)$(test_cc) -Iinclude -fvisibility=hidden -fPIC -shared -o $@ $(filter %.c,$^)
endef
include $(sort $(wildcard tests/*/*.mk))

# The whole suite: sets itself up on a fresh Debian 12, builds, runs everything, ends with `N
# passed, N failed`. As many parts at the same time as there are processors, or JOBS.
.PHONY: check interop demo demo-vmm setup sanitize test-programs
setup:
	@tools/setup
check: setup
	@BUILD=$(BUILD) CC="$(CC)" tests/run-all $(PARTS)
# The long form of what check does with programs that nobody here wrote: minutes each. A
# tests/NAME.sh is in it by looking at UVFIO_LONG.
interop: setup
	@BUILD=$(BUILD) CC="$(CC)" tests/run-all --long $(PARTS)
# everything that tests run but do not build themselves; the folders' .mk files add to it
test-programs: $(unit_tests)

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

# The same with the disk in a server of its own, by vfio-user
.PHONY: demo-vfio-user
demo-vfio-user: setup
	@$(MAKE) --no-print-directory all
	@tools/demo --build $(BUILD) --vfio-user $(DEMO)

# The same in a guest of examples/vmm.c, by MSI-X, MSI and INTx: libuvfio as a monitor has it
demo-vmm: setup
	@$(MAKE) --no-print-directory all
	@tools/demo --build $(BUILD) --vmm $(DEMO)
	@tools/demo --build $(BUILD) --vmm --nomsix $(DEMO)
	@tools/demo --build $(BUILD) --vmm --nomsi $(DEMO)

# Unit tests under AddressSanitizer with UBSan, then under ThreadSanitizer.
sanitize:
	@CC="$(CC)" tests/sanitize $(BUILD)

# Tests that make each allocation and system call of an operation fail in turn
# (src/base/test_fault.h)
fault_memory := pool_take pages_take heap_alloc heap_array heap_resize \
	$(if $(SANITIZE),malloc calloc realloc)
fault_calls := sys_call sys_open sys_read sys_pread sys_pwrite fd_make_private fd_dup_private \
	fd_of_ours pthread_create mmap
fault_tests := $(filter %fault_test,$(unit_tests))
$(fault_tests): LDFLAGS_ALL += $(addprefix -Wl$(comma)--wrap=,$(fault_memory) $(fault_calls))

# its KVM is made up
$(BUILD)/test/vmm-kvm_test: LDFLAGS_ALL += -Wl,--wrap=sys_ioctl

# The unit tests of address spaces with a million mappings each, and the processor time that they
# take; make check has fewer.
.PHONY: million
million: $(addprefix $(BUILD)/test/,$(addprefix vfio-,type1_test iommufd_ioas_test \
		ioas_target_test) vfio_user-server-many_maps_test)
	@for t in $^; do \
		UVFIO_TEST_MAPPINGS=1000000 $$t >$$t.log 2>&1 || { cat $$t.log; exit 1; }; \
		grep ' mappings: ' $$t.log; done

# Linux 7.3 with /dev/iommu, for the long forms of the parts oracle and iommufd: 22 minutes, once.
.PHONY: kernel-7.3
kernel-7.3: setup
	@tools/kernel-iommufd -b >/dev/null
# Both against the kernel itself; `make check` goes by its recorded answers.
.PHONY: oracle-7.3
oracle-7.3: kernel-7.3 all test-programs
	@BUILD=$(BUILD) tests/oracle/run -k 7.3
	@BUILD=$(BUILD) tests/iommufd/run
