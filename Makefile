# SPDX-License-Identifier: BSD-3-Clause
# uvfio. `make` builds, `make check` sets up and tests, `make demo` shows the main job. Variants:
# make BUILD=build-asan SANITIZE=address,undefined; make CC=clang; make V=1 for the commands.

# ---- settings

# make's own default for CC is cc, which ?= would keep
ifeq ($(origin CC),default)
CC := gcc
endif
V ?=
Q := $(if $(V),,@)
say = $(if $(V),,@echo "  $(1)	$(2)")
BUILD    ?= build
OPT      ?= -O2
SANITIZE ?=
WERROR   ?=
PREFIX   ?= /usr/local
DESTDIR  ?=
comma := ,
VERSION  := 0.1.0
SOVERSION := 0

.PHONY: all examples clean FORCE
all:

# ---- flags

# the kernel's structs end in arrays, and tests put them into others with room for them
WARN := -Wall -Wextra -Wno-gnu-variable-sized-type-not-at-end -Wmissing-prototypes \
	-Wstrict-prototypes -Wpointer-arith -Wundef -Wvla -Wno-unused-parameter
# Variables of a thread lie at a known place, also in the shared objects: no call of the loader's
# for each RCU read section, and for none in a signal handler. They are some 300 bytes, for which
# libc has room in a program that loads libuvfio.so late.
# DWARF 4, since valgrind 3.19 gives up a program that loads what clang writes as DWARF 5.
CFLAGS_ALL := -std=gnu17 -D_GNU_SOURCE $(OPT) -g -gdwarf-4 -fPIC -fvisibility=hidden \
	-fno-strict-aliasing -ftls-model=initial-exec -fno-omit-frame-pointer \
	$(WARN) -Iinclude -DUVFIO_VERSION='"$(VERSION)"' \
	$(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-sanitize-recover=all) $(CFLAGS)
# a shared object under a sanitizer takes its run time from the program that loads it
LDFLAGS_ALL := $(if $(SANITIZE),-fsanitize=$(SANITIZE),-Wl,--no-undefined) $(LDFLAGS)
LIBS := -luring -lZydis -lpthread -ldl
# the command's alone: for `uvfio serve --sandbox`, and names in the checker's reports
LIBS_CLI := -lseccomp -ldw

# What has been built with other flags is built again: this file changes when they do. A compiler
# is known by its program (cc may be gcc), and -Werror changes nothing that is built.
compiler = $(filter-out ccache,$(CC))
flags_now := $(shell readlink -f "$$(command -v $(firstword $(compiler)))") \
	$(wordlist 2,9,$(compiler)) $(CFLAGS_ALL) $(LDFLAGS_ALL) $(LIBS)
FLAGS := $(BUILD)/flags
ifneq ($(strip $(flags_now)),$(strip $(file <$(FLAGS))))
$(FLAGS): FORCE
endif
$(FLAGS):
	@mkdir -p $(@D)
	@printf '%s\n' '$(subst ','\'',$(flags_now))' >$@
CFLAGS_ALL += $(if $(WERROR),-Werror)

# ---- folders

# A line for each folder of src/, the highest first, which is the order that the linker wants:
#	$(call folder,NAME,SEES,TESTS)
# NAME is compiled with include/, its own headers and those that it SEES on its path, and no others,
# so that an include against the arrows of docs/architecture.md is an error. SEES are folders, of
# which all but internal.h, or single headers. Its unit tests see the folders of TESTS besides, with
# internal.h and test_*.h, and link with these folders alone: a call against the arrows is an
# undefined symbol.
folder = $(eval folders += $(1))$(eval sees_$(1) = $(2))$(eval tests_$(1) = $(1) $(2) $(3))
$(call folder,shim,check/check.h fault/fault.h trace/trace.h ctl far uapi v3/v3.h machine \
	machine/run machine/view pci/face.h vfio iommu x86 base,$$(core))
$(call folder,cli,check/check.h check/show/show.h trace/trace.h trace/show/show.h \
	trace/show/replay.h serve/serve.h conform ctl own machine machine/run \
	pci/face.h vfio iommu fault base,check/show trace/show $$(core))
$(call folder,conform,base)
$(call folder,check/show,check/check.h check/shared.h base,check)
$(call folder,trace/show,trace vfio/nodes.h vfio/kernel.h base)
$(call folder,vmm,machine pci/face.h vfio iommu fault/fault.h base,$$(core))
$(call folder,serve,vfio_user/server/server.h vfio_user/server/limits.h lasting machine \
	pci/face.h vfio iommu fault/fault.h base,$$(core))
$(call folder,api,machine pci/face.h vfio iommu fault base,$$(core))
$(call folder,ctl,machine machine/run pci/face.h vfio iommu fault base,$$(core))
$(call folder,own,far uapi machine pci/face.h vfio iommu fault/fault.h base,$$(core))
$(call folder,machine,machine/run machine/view v3 vfio_pci host \
	vfio_user/client/client.h vfio models models/net pci iommu \
	fault base,vfio_user vfio_user/client $$(models))
$(call folder,machine/run,machine/view vfio/abi.h pci/face.h base,v3 vfio_pci vfio pci iommu fault)
$(call folder,machine/view,v3/map.h vfio/abi.h vfio/kernel.h vfio/nodes.h pci/face.h iommu base,\
	v3 vfio_pci vfio pci fault)
$(call folder,uapi,far v3/v3.h vfio iommu fault base,$$(core))
$(call folder,v3,vfio_pci/reset.h vfio pci iommu fault base,vfio_pci models/testdev)
$(call folder,vfio_pci,vfio pci iommu fault base,models/testdev)
$(call folder,host,vfio iommu fault base)
$(call folder,vfio_user/client,vfio_user vfio iommu fault base)
$(call folder,vfio_user/server,vfio_user lasting vfio iommu fault/fault.h base,$$(core))
$(call folder,far,base)
$(call folder,vfio_user,base)
$(call folder,lasting,base)
$(call folder,vfio,iommu fault base)
$(call folder,models,$$(models),pci iommu fault base)
$(call folder,models/nvme,,pci iommu fault base)
$(call folder,models/igb,models/net,pci iommu fault base)
$(call folder,models/net,,pci iommu fault base)
$(call folder,models/testdev,,pci iommu fault base)
$(call folder,pci,iommu fault base)
$(call folder,iommu,fault base)
$(call folder,fault,base)
$(call folder,x86,base)
$(call folder,check,base)
$(call folder,trace,base)
$(call folder,base)
models := $(filter models/%,$(folders))
# All but these, which are programs' and not the library's
core := $(filter-out shim cli conform check/show trace/show,$(folders))
# in the order of the lines above
below = $(filter $(tests_$(1)),$(folders))

# $(BUILD)/layers/NAME has a link to each header that the folder NAME may include, and NAME-test
# to those that its unit tests may; they are made anew when the lists below change.
layer = $(BUILD)/layers/$(subst /,-,$(1))
headers_of = $(foreach d,$(1),$(patsubst src/%,%,$(wildcard $(if $(filter %.h,$(d)),src/$(d),\
	src/$(d)/*.h))))
no_tests = $(foreach h,$(1),$(if $(filter test_%,$(notdir $(h))),,$(h)))
visible = $(call no_tests,$(call headers_of,$(1)) \
	$(filter-out %/internal.h,$(call headers_of,$(sees_$(1)))))
layer_links = $(addprefix $(subst /,-,$(1))/,$(call visible,$(1))) \
	$(addprefix $(subst /,-,$(1))-test/,$(call headers_of,$(tests_$(1))))
layers_now := $(CURDIR)/src $(sort $(foreach d,$(folders),$(call layer_links,$(d))))
LAYERS := $(BUILD)/layers/list
ifneq ($(strip $(layers_now)),$(strip $(file <$(LAYERS))))
$(LAYERS): FORCE
endif
$(LAYERS):
	$(shell mkdir -p $(@D))$(file >$@.new,$(layers_now))
	@tools/layers $@.new && mv $@.new $@

# ---- the core, and the three things it goes into

srcs_of = $(filter-out %_test.c,$(wildcard src/$(1)/*.c)) $(wildcard src/$(1)/*.S)
objs_of = $(patsubst %,$(BUILD)/obj/%.o,$(basename $(call srcs_of,$(1))))
core_objs := $(foreach d,$(core),$(call objs_of,$(d)))
archives  := $(foreach d,$(core),$(BUILD)/lib/$(d).a)

LIBUVFIO := $(BUILD)/libuvfio.so.$(SOVERSION)
SHIM     := $(BUILD)/libuvfio-shim.so
UVFIO    := $(BUILD)/uvfio
all: $(UVFIO) $(LIBUVFIO) $(SHIM) examples

# What one function may take of a stack. The wrappers in src/shim/ run on the program's, and may
# need 1 KiB more than libc's functions (tests/shim/stacks.c): three or four frames, one of which
# has a struct shim_path. All else runs on stacks of the shim's, which are 256 KiB. A sanitizer's
# frames are larger, and so are those that nobody optimized. gcc and clang spell the error
# differently.
frame = $(if $(or $(SANITIZE),$(filter -O0,$(OPT))),,$(if $(findstring clang,$(CC)),\
	-Wframe-larger-than=$(FRAME) -Werror=frame-larger-than,-Werror=frame-larger-than=$(FRAME)))
$(BUILD)/obj/%.o: FRAME = 24576
$(BUILD)/obj/src/shim/%.o: FRAME = 768
deep := attrs uevents handles keep keep_file keep_remap left openat2 shim sigopen vfs walk
$(patsubst %,$(BUILD)/obj/src/shim/%.o,$(deep)): FRAME = 24576

compile = $(CC) $(CFLAGS_ALL) -I$(call layer,$(patsubst src/%/,%,$(dir $<))) -MMD -MP -c -o $@ $<
$(BUILD)/obj/%.o: %.c $(FLAGS) | $(LAYERS)
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(compile) $(frame)
$(BUILD)/obj/%.o: %.S $(FLAGS) | $(LAYERS)
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(compile)

# the table of the checker's kinds
$(BUILD)/gen/check_kinds.inc: src/check/kinds.txt man/kinds.awk
	@mkdir -p $(@D)
	$(Q)awk -f man/kinds.awk -v out=c $< >$@.new && mv $@.new $@
$(BUILD)/obj/src/check/kinds.o: $(BUILD)/gen/check_kinds.inc
$(BUILD)/obj/src/check/kinds.o: CFLAGS_ALL += -I$(BUILD)/gen

# the page that a report is
$(BUILD)/obj/src/trace/show/report_page.o: src/trace/show/report.html

define archive_rule
$(BUILD)/lib/$(1).a: $(call objs_of,$(1))
	@mkdir -p $$(@D)
	@rm -f $$@
	$$(Q)ar rcs $$@ $$^
endef
$(foreach d,$(folders),$(eval $(call archive_rule,$(d))))

# The core goes whole into each of the three, and only uvfio_* is visible: inside another program, a
# global pci_find_cap() of ours would replace libpci's, and a log_line() of the program's would
# replace ours.
$(LIBUVFIO): $(core_objs) src/libuvfio.map
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS_ALL) -shared -Wl,-soname,$(@F) -Wl,--version-script=src/libuvfio.map \
		-o $@ $(core_objs) $(LDFLAGS_ALL) $(LIBS)
	$(Q)ln -sf $(@F) $(BUILD)/libuvfio.so
$(SHIM): $(call objs_of,shim) $(core_objs)
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS_ALL) -shared -Wl,-soname,$(@F) -Wl,-Bsymbolic-functions -Wl,-z,now \
		-o $@ $^ $(LDFLAGS_ALL) $(LIBS)
$(UVFIO): $(foreach d,cli conform check/show trace/show,$(call objs_of,$(d))) $(core_objs)
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS_ALL) -rdynamic -o $@ $^ $(LDFLAGS_ALL) $(LIBS_CLI) $(LIBS)

# ---- unit tests: src/DIR/NAME_test.c becomes $(BUILD)/test/DIR-NAME_test

unit_sources := $(foreach d,$(folders),$(wildcard src/$(d)/*_test.c))
unit_tests := $(addprefix $(BUILD)/test/,$(subst /,-,$(unit_sources:src/%.c=%)))
# The shim's own open, ioctl and so on have other names in an archive for tests: neither a test
# wants to call them, nor a sanitizer's run time, which is there before all else.
unit_libs = $(foreach d,$(call below,$(1)),$(BUILD)/lib/$(d)$(if $(filter shim,$(d)),-apart).a)
$(BUILD)/lib/shim-apart.a: $(BUILD)/lib/shim.a
	$(Q)nm -g --defined-only $< | awk 'NF == 3 && $$3 !~ /^shim_/ { print $$3, "apart_" $$3 }' \
		>$@.names
	$(Q)objcopy --redefine-syms=$@.names $< $@
define unit_rule
$(BUILD)/test/$(subst /,-,$(1))-%: src/$(1)/%.c $(filter %.a,$(call unit_libs,$(1))) $(FLAGS) \
		| $(LAYERS)
	@mkdir -p $$(@D)
	$$(call say,TEST,$$@)
	$$(Q)$$(CC) $$(CFLAGS_ALL) -I$(call layer,$(1))-test -MMD -MP -MF $$@.d -o $$@ $$< \
		$(call unit_libs,$(1)) $$(LDFLAGS_ALL) -lcmocka \
		$(if $(filter cli check/show,$(1)),$$(LIBS_CLI)) $$(LIBS)
endef
$(foreach d,$(folders),$(eval $(call unit_rule,$(d))))

.PHONY: unit unit-programs unit-%
unit-programs: $(unit_tests)
unit: unit-programs
	@tests/run-units $(BUILD)/test $(notdir $(unit_tests))
# make unit-iommu: one folder's unit tests
# (the links first, which two of these at the same time would make twice)
unit-%: | $(LAYERS)
	@$(MAKE) --no-print-directory $(filter $(BUILD)/test/$*-%,$(unit_tests))
	@tests/run-units $(BUILD)/test $(notdir $(filter $(BUILD)/test/$*-%,$(unit_tests)))

-include $(shell test -d $(BUILD) && find $(BUILD) -name '*.d')
include $(wildcard */*.mk)

clean:
	rm -rf build build-*
