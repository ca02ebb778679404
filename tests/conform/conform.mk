# SPDX-License-Identifier: BSD-3-Clause
# The program of tests/conform.sh.
$(BUILD)/test/conform_client: tests/conform/client.c $(tests_headers) $(LIBUVFIO)
	$(test_link) -Iinclude $(LIBUVFIO) -Wl,-rpath,'$$ORIGIN:$$ORIGIN/..'
test-programs: $(BUILD)/test/conform_client
