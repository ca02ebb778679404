# SPDX-License-Identifier: BSD-3-Clause
# Manual pages of the public headers, made by man/header.awk of what stands in them. The build fails
# where something has no comment. A page has links, so that `man uvfio_open` finds it.
#	$(call man_page,PAGE,SECTION,HEADER,EXAMPLE,SEE ALSO)
MAN_DATE := November 30, 2026
HEADER_AWK := awk -f man/header.awk

define man_page
man_pages += $(1).$(2)
$(BUILD)/man/$(1).$(2): include/uvfio/$(3) examples/$(4) man/header.awk man/man.mk
	@mkdir -p $$(@D)
	$$(call say,MAN,$$@)
	$$(Q)$(HEADER_AWK) -v title="$(1) $(2)" -v date="$(MAN_DATE)" -v see="$(5)" \
		-v example=examples/$(4) $$< >$$@.new && mv $$@.new $$@
man_header_$(1).$(2) := include/uvfio/$(3)
endef
$(eval $(call man_page,uvfio,3,uvfio.h,counter_native.c,\
	uvfio 1$(comma)uvfio-model 7$(comma)uvfio-vmm 7))
$(eval $(call man_page,uvfio-model,7,model.h,counter.c,uvfio 1$(comma)uvfio 3))
$(eval $(call man_page,uvfio-vmm,7,vmm.h,vmm.c,uvfio 1$(comma)uvfio-kvm-assign 7))
$(eval $(call man_page,uvfio-kvm-assign,7,kvm_assign.h,kvm_assign.c,uvfio 1$(comma)uvfio-vmm 7))
$(eval $(call man_page,uvfio-server,7,server.h,serve.c,uvfio 1$(comma)uvfio-model 7))
$(eval $(call man_page,uvfio-v3,7,vfio_v3.h,v3_driver.c,uvfio 1))

# the checker's: its kinds are in the middle of man/uvfio-check.7, and so are those of models
man_pages += uvfio-check.7
models_with_kinds := $(wildcard src/models/*/kinds.c) src/models/edu.c
$(BUILD)/man/uvfio-check.7: man/uvfio-check.7 src/check/kinds.txt man/kinds.awk \
		man/model_kinds.awk $(models_with_kinds)
	@mkdir -p $(@D)
	$(call say,MAN,$@)
	$(Q){ sed '/^@KINDS@$$/,$$d' $< && awk -f man/kinds.awk -v out=man src/check/kinds.txt && \
		sed '1,/^@KINDS@$$/d; /^@MODELS@$$/,$$d' $< && \
		awk -f man/model_kinds.awk $(models_with_kinds) && \
		sed '1,/^@MODELS@$$/d' $<; } >$@.new && mv $@.new $@

.PHONY: man
man: $(addprefix $(BUILD)/man/,$(man_pages))
all: man
