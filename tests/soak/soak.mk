# SPDX-License-Identifier: BSD-3-Clause
# Eight clients on eight devices of one server, for SOAK seconds: memory and descriptors stay.
SOAK ?= 600
.PHONY: soak
soak: $(UVFIO) $(BUILD)/test/soak
	@$(BUILD)/test/soak $(SOAK) $(UVFIO)
$(BUILD)/test/soak: tests/soak/soak.c $(tests_headers) src/vfio_user/wire.h
	$(test_link)
test-programs: $(BUILD)/test/soak
