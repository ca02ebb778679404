# SPDX-License-Identifier: BSD-3-Clause
# The program of tests/p2p.sh.
$(BUILD)/test/p2p: tests/p2p/client.c $(tests_lib) $(tests_headers)
	$(test_link) -pthread
test-programs: $(BUILD)/test/p2p
