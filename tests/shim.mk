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

# The devices of tests/polled.sh and tests/scope.sh: plug-ins, built as a user would; and the program of the second.
TEST_MODELS := $(BUILD)/test/polled_model.so $(BUILD)/test/scope_model.so
$(TEST_MODELS): $(BUILD)/test/%.so: tests/%.c include/uvfio/model.h
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) -std=gnu17 -D_GNU_SOURCE -O1 -g $(WARN) $(if $(WERROR),-Werror) -Iinclude -fvisibility=hidden -shared -fPIC -o $@ $<
$(BUILD)/test/scope: tests/scope.c tests/shim.h
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) -std=gnu17 -D_GNU_SOURCE -O1 -g $(WARN) $(if $(WERROR),-Werror) -o $@ $< -lpthread
shim-programs: $(TEST_MODELS) $(BUILD)/test/scope
test-programs: $(TEST_MODELS) $(BUILD)/test/scope
