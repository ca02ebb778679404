# SPDX-License-Identifier: BSD-3-Clause
# The examples, built as a user would build them: nothing but the installed headers and, for the
# native ones, libuvfio.
EXAMPLE_CFLAGS := -std=gnu17 -D_GNU_SOURCE $(OPT) -g $(WARN) $(if $(WERROR),-Werror) -Iinclude

EXAMPLES := $(addprefix $(BUILD)/examples/,counter.so counter_driver counter_native \
	kvm_assign serve v3_driver vmm vmm_soft)
examples: $(EXAMPLES)
$(EXAMPLES): $(FLAGS)

$(BUILD)/examples/%.so: examples/%.c include/uvfio/model.h
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(EXAMPLE_CFLAGS) -fvisibility=hidden -shared -fPIC -o $@ $<
$(BUILD)/examples/v3_driver: include/uvfio/vfio_v3.h
$(BUILD)/examples/counter_driver $(BUILD)/examples/v3_driver: $(BUILD)/examples/%: examples/%.c
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(EXAMPLE_CFLAGS) -o $@ $<
$(BUILD)/examples/counter_native: include/uvfio/uvfio.h
$(BUILD)/examples/kvm_assign: include/uvfio/kvm_assign.h include/uvfio/vmm.h
$(BUILD)/examples/serve: include/uvfio/model.h include/uvfio/server.h
$(BUILD)/examples/vmm $(BUILD)/examples/vmm_soft: include/uvfio/vmm.h
$(addprefix $(BUILD)/examples/,counter_native kvm_assign serve vmm vmm_soft): $(BUILD)/examples/%: \
		examples/%.c $(LIBUVFIO)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(EXAMPLE_CFLAGS) $(if $(SANITIZE),-fsanitize=$(SANITIZE)) -o $@ $< \
		$(LIBUVFIO) -Wl,-rpath,'$$ORIGIN/..' -lpthread
