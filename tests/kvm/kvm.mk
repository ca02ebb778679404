# SPDX-License-Identifier: BSD-3-Clause
# What tests/kvm.sh runs: a monitor of the installed header's, with the shared library.
$(BUILD)/test/kvm_cases: tests/kvm/kvm_cases.c tests/kvm/guest.h tests/lib/cases.h \
		include/uvfio/vmm.h $(LIBUVFIO)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(test_cc) -Wno-unused-parameter $(if $(SANITIZE),-fsanitize=$(SANITIZE)) -Itests -Isrc \
		-Iinclude -o $@ $< $(LIBUVFIO) -Wl,-rpath,'$$ORIGIN/..' -lpthread
test-programs: $(BUILD)/test/kvm_cases
