# SPDX-License-Identifier: BSD-3-Clause
# A user of real devices, for a guest with the kernel's VFIO.
$(BUILD)/test/host_client: tests/host/client.c $(tests_headers) $(archives)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS_ALL) -Itests -Isrc -MMD -MP -MF $@.d -o $@ $< $(archives) \
		$(LDFLAGS_ALL) $(LIBS)
test-programs: $(BUILD)/test/host_client
