# SPDX-License-Identifier: BSD-3-Clause
# Programs that tests/shim.sh runs under the shim: VFIO clients of libc alone, but one that is static.
shim_programs := $(patsubst tests/%.c,$(BUILD)/test/%,$(wildcard tests/shim_*.c))
$(BUILD)/test/shim_static: SHIM_LINK := -static
$(shim_programs): $(BUILD)/test/%: tests/%.c tests/shim.h
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) -std=gnu17 -D_GNU_SOURCE -O1 -g $(WARN) $(SHIM_LINK) -o $@ $< -lpthread
.PHONY: shim-programs
shim-programs: $(shim_programs)
test-programs: $(shim_programs)

# The device of tests/polled.sh: a plug-in, built as a user would.
POLLED_MODEL := $(BUILD)/test/polled_model.so
$(POLLED_MODEL): tests/polled_model.c include/uvfio/model.h
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) -std=gnu17 -D_GNU_SOURCE -O1 -g $(WARN) $(if $(WERROR),-Werror) -Iinclude -fvisibility=hidden -shared -fPIC -o $@ $<
shim-programs: $(POLLED_MODEL)
test-programs: $(POLLED_MODEL)
