# SPDX-License-Identifier: BSD-3-Clause
# tests/mmio_codegen.sh: one source by each compiler at each level, each linked with the emulation. -native: with all vectors that this
# processor has.
mmio_compilers ?= gcc clang
mmio_levels := O0 O1 O2 O3 Os O2-native O3-native
mmio_programs := $(foreach c,$(mmio_compilers),$(foreach l,$(mmio_levels),$(BUILD)/test/mmio_$(c)_$(l)))
$(BUILD)/test/mmio_codegen.o: tests/mmio_codegen.c tests/mmio_codegen.h
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<
define mmio_rule
$(BUILD)/test/mmio_$(1)_$(2): tests/mmio_ops.c tests/mmio_codegen.h $(BUILD)/test/mmio_codegen.o $(BUILD)/lib/x86.a $(BUILD)/lib/base.a
	$$(call say,LINK,$$@)
	$$(Q)$(1) -std=gnu17 -$(firstword $(subst -, ,$(2))) $(if $(findstring native,$(2)),-march=native) -g $(WARN) -fno-strict-aliasing -c -o $$@.o $$<
	$$(Q)$$(CC) $$(CFLAGS_ALL) -o $$@ $$@.o $$(filter-out %.h,$$(wordlist 3,9,$$^)) $$(LDFLAGS_ALL) $$(LIBS)
endef
$(foreach c,$(mmio_compilers),$(foreach l,$(mmio_levels),$(eval $(call mmio_rule,$(c),$(l)))))
.PHONY: mmio-programs
mmio-programs: $(mmio_programs)
test-programs: $(mmio_programs)
