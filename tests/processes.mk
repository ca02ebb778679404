# SPDX-License-Identifier: BSD-3-Clause
# What tests/processes.sh runs: a VFIO client of libc alone.
$(BUILD)/test/processes: tests/processes.c
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) -std=gnu17 -D_GNU_SOURCE -O1 -g $(WARN) $(if $(WERROR),-Werror) -o $@ $<
test-programs: $(BUILD)/test/processes
