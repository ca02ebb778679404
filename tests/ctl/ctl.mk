# SPDX-License-Identifier: BSD-3-Clause
test-programs: $(BUILD)/test/ctl_client
$(BUILD)/test/ctl_client: tests/ctl/client.c $(tests_lib) $(tests_headers)
	$(test_link)
