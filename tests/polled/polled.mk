# SPDX-License-Identifier: BSD-3-Clause
# What tests/polled.sh runs: a device as a plug-in, built as a user would, and clients of libc
# alone.
$(BUILD)/test/polled_model.so: tests/polled/model.c include/uvfio/model.h
	$(test_model)
$(BUILD)/test/polled_client: tests/polled/client.c $(tests_lib) $(tests_headers)
	$(test_link) -lpthread
$(BUILD)/test/polled_memory: tests/polled/memory.c $(tests_lib) $(tests_headers)
	$(test_link)
shim-programs: $(BUILD)/test/polled_model.so $(BUILD)/test/polled_client \
	$(BUILD)/test/polled_memory
