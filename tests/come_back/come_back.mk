# SPDX-License-Identifier: BSD-3-Clause
test-programs: $(BUILD)/test/come_back $(BUILD)/test/come_back_native
$(BUILD)/test/come_back: tests/come_back/program.c $(tests_lib) $(tests_headers)
	$(test_link)
$(BUILD)/test/come_back_native: tests/come_back/native.c $(LIBUVFIO)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(test_cc) -Iinclude -o $@ $< $(LIBUVFIO) -Wl,-rpath,'$$ORIGIN/..' -lpthread
