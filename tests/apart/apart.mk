# SPDX-License-Identifier: BSD-3-Clause
# What tests/apart.sh runs: a device as a plug-in, built as a user would, and a client of libc
# alone.
$(BUILD)/test/apart_model.so: tests/apart/model.c include/uvfio/model.h
	$(test_model)
$(BUILD)/test/apart_client: tests/apart/client.c $(tests_headers)
	$(test_link) -lpthread
shim-programs: $(BUILD)/test/apart_model.so $(BUILD)/test/apart_client
