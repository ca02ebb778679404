# SPDX-License-Identifier: BSD-3-Clause
# The programs of tests/cdev.sh, for dirty pages, page requests and PASIDs: libc alone.
cdev_programs := $(addprefix $(BUILD)/test/cdev_,dirty pages pasids)
$(cdev_programs): $(BUILD)/test/cdev_%: tests/cdev/%.c $(tests_headers)
	$(test_link)
test-programs: $(cdev_programs)
