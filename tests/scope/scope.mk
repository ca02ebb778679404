# SPDX-License-Identifier: BSD-3-Clause
# What tests/scope.sh runs: a device as a plug-in, built as a user would, and a client of libc
# alone.
$(BUILD)/test/scope_model.so: tests/scope/model.c include/uvfio/model.h
	$(test_model)
$(BUILD)/test/scope_client: tests/scope/client.c $(tests_lib) $(tests_headers)
	$(test_link) -lpthread
shim-programs: $(BUILD)/test/scope_model.so $(BUILD)/test/scope_client
