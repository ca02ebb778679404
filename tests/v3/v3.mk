# SPDX-License-Identifier: BSD-3-Clause
# The clients of tests/v3.sh: libc, and the public header of 2010's interface.
$(BUILD)/test/v3_checks: $(addprefix tests/v3/,main.c checks.c work.c nvme.c v3.c) \
		$(tests_headers) include/uvfio/vfio_v3.h
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(test_cc) -Itests -Isrc -Iinclude -o $@ $(filter %.c,$^)
$(BUILD)/test/v3_vf82576: tests/v3/vf82576.c include/uvfio/vfio_v3.h
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(test_cc) -Iinclude -o $@ $<
$(BUILD)/test/v3_odd.so: tests/v3/odd.c include/uvfio/model.h
	$(test_model)
test-programs: $(addprefix $(BUILD)/test/v3_,checks odd.so vf82576)
