# SPDX-License-Identifier: BSD-3-Clause
# What tests/sriov.sh runs: a device with SR-IOV as a plug-in, and clients of libc alone.
sriov_programs := $(BUILD)/test/sriov_model.so $(BUILD)/test/sriov_client $(BUILD)/test/sriov_use
$(BUILD)/test/sriov_model.so: tests/sriov/model.c include/uvfio/model.h
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) -std=gnu17 -D_GNU_SOURCE -O1 -g $(WARN) -fPIC -shared -fvisibility=hidden -Iinclude -o $@ $<
$(BUILD)/test/sriov_client $(BUILD)/test/sriov_use: $(BUILD)/test/sriov_%: tests/sriov/%.c
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) -std=gnu17 -D_GNU_SOURCE -O1 -g $(WARN) -o $@ $<
test-programs: $(sriov_programs)
.PHONY: sriov-programs
sriov-programs: $(sriov_programs)
