# SPDX-License-Identifier: BSD-3-Clause
# What tests/own.sh runs: clients of libc alone.
$(BUILD)/test/own_client: tests/own/client.c $(tests_lib) $(tests_headers)
	$(test_link)
$(BUILD)/test/own_doomed: tests/own/doomed.c $(tests_lib) $(tests_headers)
	$(test_link)
test-programs: $(BUILD)/test/own_client $(BUILD)/test/own_doomed
