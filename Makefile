# SPDX-License-Identifier: BSD-3-Clause
# uvfio. `make` builds, `make check` sets up and tests, `make demo` shows the main job. Variants: make BUILD=build-asan
# SANITIZE=address,undefined; make CC=clang. Each folder of src/ becomes an archive of its own, so that a unit test links only
# with what lies below it: an arrow that the design does not draw is then an undefined symbol.

# make's own default for CC is cc, which ?= would keep
ifeq ($(origin CC),default)
CC := gcc
endif
# make V=1 shows the commands
V ?=
Q := $(if $(V),,@)
say = $(if $(V),,@echo "  $(1)	$(2)")
BUILD    ?= build
OPT      ?= -O2
SANITIZE ?=
PREFIX   ?= /usr/local
DESTDIR  ?=
VERSION  := 0.1.0
SOVERSION := 0

# the kernel's structs end in arrays, and tests put them into others with room for them
WARN   := -Wall -Wextra -Wno-gnu-variable-sized-type-not-at-end -Wmissing-prototypes -Wstrict-prototypes -Wpointer-arith -Wundef -Wvla -Wno-unused-parameter
WERROR ?=
# Variables of a thread lie at a known place, also in the shared objects: no call of the loader's for each RCU read section, and for none in a signal handler.
# They are some 300 bytes, for which libc has room in a program that loads libuvfio.so late.
# DWARF 4, since valgrind 3.19 gives up a program that loads what clang writes as DWARF 5.
CFLAGS_ALL := -std=gnu17 -D_GNU_SOURCE $(OPT) -g -gdwarf-4 -fPIC -fvisibility=hidden -fno-strict-aliasing -ftls-model=initial-exec -fno-omit-frame-pointer \
	$(WARN) $(if $(WERROR),-Werror) -Iinclude -Isrc -DUVFIO_VERSION='"$(VERSION)"' \
	$(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-sanitize-recover=all) $(CFLAGS)
LDFLAGS_ALL := $(if $(SANITIZE),-fsanitize=$(SANITIZE)) -Wl,--no-undefined $(LDFLAGS)
ifneq ($(SANITIZE),)
# a shared object under a sanitizer takes its run time from the program that loads it
LDFLAGS_ALL := $(if $(SANITIZE),-fsanitize=$(SANITIZE)) $(LDFLAGS)
endif
LIBS := -luring -lZydis -lpthread -ldl

# Models with a folder of their own; igb has the ports of net.
model_dirs := models/nvme models/igb models/net models/testdev
# The folders in the order of the arrows (docs/architecture.md), lowest last, as the linker wants archives.
core_dirs := api uapi machine vfio_pci vfio models $(model_dirs) pci iommu x86 base
below_base     := base
below_x86      := x86 base
below_iommu    := iommu base
below_pci      := pci iommu base
below_models   := models $(model_dirs) pci iommu base
below_models/nvme    := models/nvme pci iommu base
below_models/igb     := models/igb models/net pci iommu base
below_models/net     := models/net pci iommu base
below_models/testdev := models/testdev pci iommu base
below_vfio     := vfio iommu base
below_vfio_pci := vfio_pci vfio $(below_models)
below_machine  := machine $(below_vfio_pci)
below_uapi     := uapi vfio iommu base
below_api      := $(core_dirs)
below_shim     := $(core_dirs)
below_cli      := $(core_dirs)

srcs_of = $(filter-out %_test.c,$(wildcard src/$(1)/*.c))
objs_of = $(patsubst %.c,$(BUILD)/obj/%.o,$(call srcs_of,$(1))) $(patsubst %.S,$(BUILD)/obj/%.o,$(wildcard src/$(1)/*.S))
core_objs := $(foreach d,$(core_dirs),$(call objs_of,$(d)))
archives  := $(foreach d,$(core_dirs),$(BUILD)/lib/$(d).a)

LIBUVFIO := $(BUILD)/libuvfio.so.$(SOVERSION)
SHIM     := $(BUILD)/libuvfio-shim.so
UVFIO    := $(BUILD)/uvfio

.PHONY: all
all: $(UVFIO) $(LIBUVFIO) $(SHIM) examples

# What one function may take of a stack. The wrappers in src/shim/ run on the program's, and may need 1 KiB more than libc's functions
# (tests/shim_stacks.c): three or four frames, one of which has a struct shim_path. All else runs on stacks of the shim's, which are 256 KiB.
# A sanitizer's frames are larger, and so are those that nobody optimized. gcc and clang spell the error differently.
frame = $(if $(or $(SANITIZE),$(filter -O0,$(OPT))),,$(if $(findstring clang,$(CC)),\
	-Wframe-larger-than=$(FRAME) -Werror=frame-larger-than,-Werror=frame-larger-than=$(FRAME)))
$(BUILD)/obj/%.o: FRAME = 24576
$(BUILD)/obj/src/shim/%.o: FRAME = 768
$(patsubst %,$(BUILD)/obj/src/shim/%.o,attrs handles keep left openat2 shim sigopen vfs walk): FRAME = 24576
# writes the view for `uvfio run`, on the stack of its main thread
$(BUILD)/obj/src/machine/view.o: FRAME = 163840
$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(CFLAGS_ALL) $(frame) -MMD -MP -c -o $@ $<
$(BUILD)/obj/%.o: %.S
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

define archive_rule
$(BUILD)/lib/$(1).a: $(call objs_of,$(1))
	@mkdir -p $$(@D)
	@rm -f $$@
	$$(Q)ar rcs $$@ $$^
endef
$(foreach d,$(core_dirs),$(eval $(call archive_rule,$(d))))

# The core goes whole into each of the three, and only uvfio_* is visible: inside another program, a global pci_find_cap() of ours would
# replace libpci's, and a log_line() of the program's would replace ours.
$(LIBUVFIO): $(core_objs) src/libuvfio.map
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS_ALL) -shared -Wl,-soname,libuvfio.so.$(SOVERSION) -Wl,--version-script=src/libuvfio.map -o $@ $(core_objs) $(LDFLAGS_ALL) $(LIBS)
	$(Q)ln -sf libuvfio.so.$(SOVERSION) $(BUILD)/libuvfio.so
$(SHIM): $(call objs_of,shim) $(core_objs)
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS_ALL) -shared -Wl,-soname,libuvfio-shim.so -Wl,-Bsymbolic-functions -Wl,-z,now -o $@ $^ $(LDFLAGS_ALL) $(LIBS)
$(UVFIO): $(call objs_of,cli) $(core_objs)
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS_ALL) -rdynamic -o $@ $^ $(LDFLAGS_ALL) $(LIBS)

# Unit tests: src/DIR/NAME_test.c becomes $(BUILD)/test/DIR-NAME_test
unit_tests := $(foreach t,$(wildcard src/*/*_test.c src/*/*/*_test.c),$(BUILD)/test/$(subst /,-,$(patsubst src/%.c,%,$(t))))
define unit_rule
$(BUILD)/test/$(subst /,-,$(1))-%: src/$(1)/%.c $(foreach d,$(below_$(1)),$(BUILD)/lib/$(d).a)
	@mkdir -p $$(@D)
	$$(call say,TEST,$$@)
	$$(Q)$(CC) $(CFLAGS_ALL) -MMD -MP -MF $$@.d -o $$@ $$< $$(filter %.a,$$^) $$(LDFLAGS_ALL) -lcmocka $(LIBS)
endef
$(foreach d,$(core_dirs),$(eval $(call unit_rule,$(d))))

.PHONY: unit unit-%
unit: $(unit_tests)
	@tests/run-units $(BUILD)/test $(notdir $(unit_tests))
# make unit-iommu: one folder's unit tests
unit-%:
	@$(MAKE) --no-print-directory $(filter $(BUILD)/test/$*-%,$(unit_tests))
	@tests/run-units $(BUILD)/test $(notdir $(filter $(BUILD)/test/$*-%,$(unit_tests)))

.PHONY: examples
examples:

-include $(shell test -d $(BUILD) && find $(BUILD) -name '*.d')
include $(wildcard */*.mk)

.PHONY: clean
clean:
	rm -rf build build-*
