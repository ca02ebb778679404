# SPDX-License-Identifier: BSD-3-Clause
test-programs: $(BUILD)/test/serve_client
$(BUILD)/test/serve_client: tests/serve/client.c $(tests_lib) $(tests_headers) src/vfio_user/wire.h
	$(test_link)
test-programs: $(BUILD)/test/serve_effects
$(BUILD)/test/serve_effects: tests/serve/effects.c $(tests_headers) src/vfio_user/wire.h \
		tests/soak/client.h
	$(test_link)
test-programs: $(BUILD)/test/serve_state
$(BUILD)/test/serve_state: $(addprefix tests/,serve/state.c drivers/igb.c drivers/nvme.c \
		drivers/pci.c) \
		$(tests_lib) $(tests_headers)
	$(test_link)
test-programs: $(BUILD)/test/serve_stuck.so
$(BUILD)/test/serve_stuck.so: tests/serve/stuck.c include/uvfio/model.h
	$(test_model)
