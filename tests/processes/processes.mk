# SPDX-License-Identifier: BSD-3-Clause
# What tests/processes.sh and tests/view.sh run: a VFIO client of libc alone.
$(BUILD)/test/processes_client: tests/processes/client.c $(tests_lib) $(tests_headers)
	$(test_link)
test-programs: $(BUILD)/test/processes_client
