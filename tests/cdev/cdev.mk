# SPDX-License-Identifier: BSD-3-Clause
# The program of tests/cdev.sh that asks for dirty pages: libc alone.
$(BUILD)/test/cdev_dirty: tests/cdev/dirty.c $(tests_headers)
	$(test_link)
test-programs: $(BUILD)/test/cdev_dirty
