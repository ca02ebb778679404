# SPDX-License-Identifier: BSD-3-Clause
# Users of real devices, for a guest with the kernel's VFIO: of the provider itself, of uvfio.h.
host_programs := $(addprefix $(BUILD)/test/host_,client config bars memory vmm)
$(host_programs): $(BUILD)/test/host_%: tests/host/%.c $(tests_headers) $(archives)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS_ALL) -Itests -Isrc -MMD -MP -MF $@.d -o $@ $< $(archives) \
		$(LDFLAGS_ALL) $(LIBS)
test-programs: $(host_programs)
$(BUILD)/test/host_native: tests/host/native.c include/uvfio/uvfio.h $(tests_lib) \
		$(tests_headers) $(LIBUVFIO)
	$(test_link) -Iinclude $(LIBUVFIO) -Wl,-rpath,'$$ORIGIN:$$ORIGIN/..'
test-programs: $(BUILD)/test/host_native
