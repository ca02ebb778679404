# SPDX-License-Identifier: BSD-3-Clause
# What tests/migrate.sh runs.
migrate_programs := $(BUILD)/test/migrate_client
$(BUILD)/test/migrate_client: tests/migrate/client.c src/vfio/uapi_defs.h $(tests_lib) \
		$(tests_headers)
	$(test_link)
.PHONY: migrate-programs
migrate-programs: $(migrate_programs)
test-programs: migrate-programs
