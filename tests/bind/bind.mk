# SPDX-License-Identifier: BSD-3-Clause
# What tests/bind.sh runs: a VFIO client of libc alone.
$(BUILD)/test/bind_client: tests/bind/client.c $(tests_lib) $(tests_headers)
	$(test_link)
test-programs: $(BUILD)/test/bind_client
