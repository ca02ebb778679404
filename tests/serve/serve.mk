# SPDX-License-Identifier: BSD-3-Clause
test-programs: $(BUILD)/test/serve_client
$(BUILD)/test/serve_client: tests/serve/client.c $(tests_lib) $(tests_headers) src/vfio_user/wire.h
	$(test_link)
