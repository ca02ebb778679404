# SPDX-License-Identifier: BSD-3-Clause
# The device with SR-IOV that tests/sriov.sh runs programs on.
$(BUILD)/test/sriov_model.so: tests/sriov_model.c include/uvfio/model.h
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) -std=gnu17 -D_GNU_SOURCE -O1 -g $(WARN) -fPIC -shared -fvisibility=hidden -Iinclude -o $@ $<
test-programs: $(BUILD)/test/sriov_model.so
