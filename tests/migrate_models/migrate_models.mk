# SPDX-License-Identifier: BSD-3-Clause
# What tests/migrate_models.sh runs: drivers of libc alone that move from one device to another.
$(BUILD)/test/migrate_models: $(addprefix tests/migrate_models/,move.c nvme.c igb.c)
$(BUILD)/test/migrate_models: src/vfio/uapi_defs.h $(tests_lib) $(tests_headers)
	$(test_link)
shim-programs: $(BUILD)/test/migrate_models
