# SPDX-License-Identifier: BSD-3-Clause
# tests/mmio_codegen.sh: one source by each compiler at each level, each linked with the emulation.
# -v3, -v4, -native: with the vectors of that level of x86-64, or all that this processor has.
# clang-newest is tools/clang-newest; it is fetched, so tests/mmio_codegen.sh asks for it.
mmio_compilers ?= gcc clang
mmio_flags := $(file < /proc/cpuinfo)
mmio_levels := O0 O1 O2 O3 Os O2-native O3-native \
	$(if $(filter avx2,$(mmio_flags)),O2-v3 O3-v3) $(if $(filter avx512vl,$(mmio_flags)),O3-v4)
mmio_march = $(if $(findstring native,$(1)),-march=native) \
	$(if $(findstring -v,$(1)),-march=x86-64-$(lastword $(subst -, ,$(1))))
mmio_programs := $(foreach c,$(mmio_compilers),$(foreach l,$(mmio_levels),\
	$(BUILD)/test/mmio_$(c)_$(l)))
$(BUILD)/test/mmio_main.o: tests/mmio/main.c tests/mmio/ops.h
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(CFLAGS_ALL) -Isrc -MMD -MP -c -o $@ $<
mmio_link := $(BUILD)/test/mmio_main.o $(BUILD)/lib/x86.a $(BUILD)/lib/base.a
define mmio_rule
$(BUILD)/test/mmio_$(1)_$(2): tests/mmio/ops.c tests/mmio/ops.h $(mmio_link)
	$$(call say,LINK,$$@)
	$$(Q)$(patsubst %-newest,tools/%-newest,$(1)) -std=gnu17 -$(firstword $(subst -, ,$(2))) \
		$(call mmio_march,$(2)) -g $(WARN) -fno-strict-aliasing -c -o $$@.o $$<
	$$(Q)$$(CC) $$(CFLAGS_ALL) -o $$@ $$@.o $$(mmio_link) $$(LDFLAGS_ALL) $$(LIBS)
endef
$(foreach c,$(mmio_compilers),$(foreach l,$(mmio_levels),$(eval $(call mmio_rule,$(c),$(l)))))
.PHONY: mmio-programs
mmio-programs: $(mmio_programs)
test-programs: mmio-programs
