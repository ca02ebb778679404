# SPDX-License-Identifier: BSD-3-Clause
# What tests/hot_reset.sh runs.
hot_reset_programs := $(addprefix $(BUILD)/test/hot_reset_,client hammer)
$(hot_reset_programs): $(BUILD)/test/hot_reset_%: tests/hot_reset/%.c $(tests_lib) $(tests_headers)
	$(test_link)
.PHONY: hot-reset-programs
hot-reset-programs: $(hot_reset_programs)
test-programs: hot-reset-programs
