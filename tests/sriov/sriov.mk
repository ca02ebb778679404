# SPDX-License-Identifier: BSD-3-Clause
# What tests/sriov.sh runs: a device with SR-IOV as a plug-in, and clients of libc alone.
sriov_programs := $(addprefix $(BUILD)/test/sriov_,model.so client use)
$(BUILD)/test/sriov_model.so: tests/sriov/model.c include/uvfio/model.h
	$(test_model)
$(BUILD)/test/sriov_client $(BUILD)/test/sriov_use: $(BUILD)/test/sriov_%: tests/sriov/%.c \
		$(tests_lib) $(tests_headers)
	$(test_link)
.PHONY: sriov-programs
sriov-programs: $(sriov_programs)
test-programs: sriov-programs
