# SPDX-License-Identifier: BSD-3-Clause
# Eight clients on eight devices of one server, for SOAK seconds: memory and descriptors stay. And
# one client that asks for all that costs something, for HOSTILE seconds.
SOAK ?= 600
HOSTILE ?= 10
.PHONY: soak
soak: $(UVFIO) $(BUILD)/test/soak $(BUILD)/test/hostile
	@$(BUILD)/test/hostile $(HOSTILE) $(UVFIO)
	@$(BUILD)/test/soak $(SOAK) $(UVFIO)
$(BUILD)/test/soak $(BUILD)/test/hostile: $(BUILD)/test/%: tests/soak/%.c $(tests_headers) \
		src/vfio_user/wire.h
	$(test_link)
$(BUILD)/test/hostile: src/base/crc32.c
test-programs: $(BUILD)/test/soak $(BUILD)/test/hostile
