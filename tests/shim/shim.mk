# SPDX-License-Identifier: BSD-3-Clause
# Programs that tests/shim.sh runs under the shim: VFIO clients of libc alone, but one that is
# static.
shim_programs := $(patsubst tests/shim/%.c,$(BUILD)/test/shim_%,$(wildcard tests/shim/*.c))
$(BUILD)/test/shim_static: SHIM_LINK := -static
# makes calls as the core itself does
$(BUILD)/test/shim_raw: SHIM_LINK := -Isrc
$(BUILD)/test/shim_raw: $(BUILD)/lib/base.a
$(shim_programs): $(BUILD)/test/shim_%: tests/shim/%.c $(tests_lib) $(tests_headers)
	$(test_link) $(SHIM_LINK) -lpthread
.PHONY: shim-programs
shim-programs: $(shim_programs)
test-programs: shim-programs
