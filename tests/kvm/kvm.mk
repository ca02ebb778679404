# SPDX-License-Identifier: BSD-3-Clause
# What tests/kvm.sh runs: monitors of the installed headers', with the shared library.
kvm_programs := $(addprefix $(BUILD)/test/,kvm_cases kvm_assign)
$(BUILD)/test/kvm_assign: include/uvfio/kvm_assign.h
$(kvm_programs): $(BUILD)/test/%: tests/kvm/%.c tests/kvm/guest.h tests/lib/cases.h \
		src/base/test_count.h include/uvfio/vmm.h $(LIBUVFIO)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(test_cc) $(if $(SANITIZE),-fsanitize=$(SANITIZE)) -Itests -Isrc -Iinclude \
		-o $@ $< $(LIBUVFIO) -Wl,-rpath,'$$ORIGIN/..' -lpthread
test-programs: $(kvm_programs)
# of libc alone: the same program under uvfio and on the kernel's vfio-pci
$(BUILD)/test/kvm_slot: tests/kvm/kvm_slot.c
	$(test_link)
test-programs: $(BUILD)/test/kvm_slot
