# SPDX-License-Identifier: BSD-3-Clause
test-programs: $(BUILD)/test/fault_driver
$(BUILD)/test/fault_driver: tests/fault/driver.c $(tests_lib) $(tests_headers)
	$(test_link)
