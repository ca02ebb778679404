# SPDX-License-Identifier: BSD-3-Clause
# The programs of tests/cdev.sh, which ask for dirty pages and serve page requests: libc alone.
cdev_programs := $(BUILD)/test/cdev_dirty $(BUILD)/test/cdev_pages
$(cdev_programs): $(BUILD)/test/cdev_%: tests/cdev/%.c $(tests_headers)
	$(test_link)
test-programs: $(cdev_programs)
