/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine/run/state_test.c: the state of PFs as processes of a run read it, and attributes by their
 * paths.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/report.h"
#include "machine/run/internal.h"

static char dir[] = "/tmp/uvfio-state-XXXXXX";

static void write_state(const char *text)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "%s/sriov", dir);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void pfs(void **state)
{
	static const char *const bad[] = {
		"0000:01:00.0 8 128 2",	    "0000:01:00.0 8 128 2 9", "0000:01:00.0 256 128 2 0",
		"0000:01:00.0 8 128 2 2 5", "01:00 8 128 2 0",	      "words",
	};
	struct run_pf all[2] = {
		{ .address = { .bus = 1 }, .total = 8, .offset = 128, .stride = 2 },
		{ .address = { .bus = 2, .function = 1 }, .total = 255, .offset = 1, .stride = 1 },
	};
	struct run_pf *got;
	unsigned n;

	assert_int_equal(run_pfs_read(dir, &got, &n), -ENOENT);
	assert_int_equal(run_init(dir, all, 2), 0);
	assert_int_equal(run_pfs_read(dir, &got, &n), 0);
	assert_int_equal(n, 2);
	assert_string_equal(got[1].addr, "0000:02:00.1");
	assert_true(pci_address_equal(&got[1].address, &all[1].address));
	assert_int_equal(got[1].total, 255);
	assert_int_equal(got[1].num, 0);
	free(got);
	all[0].num = 2;
	all[0].groups[0] = 7;
	all[0].groups[1] = 65535;
	assert_int_equal(run_pfs_write(dir, all, 2), 0);
	assert_int_equal(run_pfs_read(dir, &got, &n), 0);
	assert_int_equal(got[0].num, 2);
	assert_int_equal(got[0].groups[1], 65535);
	free(got);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		write_state(bad[i]);
		assert_int_equal(run_pfs_read(dir, &got, &n), -EIO);
		assert_null(got);
		assert_int_equal(n, 0);
	}
	/* what is not there, and more than there are */
	assert_int_equal(run_pfs_write(dir, all, 2), 0);
	assert_int_equal(run_set_numvfs(dir, "0000:03:00.0", 1, NULL), -ENODEV);
	assert_int_equal(run_set_numvfs(dir, "0000:01:00.0", 9, NULL), -ERANGE);
	assert_int_equal(run_set_numvfs(dir, "0000:01:00.0", 3, NULL), -EBUSY);
	assert_int_equal(run_set_numvfs(dir, "0000:01:00.0", 2, NULL), 0);
}

static void attributes(void **state)
{
	assert_true(run_acts("/sys/devices/pci0000:01/0000:01:00.0/sriov_numvfs"));
	assert_true(run_acts("/sys/devices/pci0000:01/0000:01:00.0/driver_override"));
	assert_true(run_acts("/sys/bus/pci/drivers/vfio-pci/bind"));
	assert_true(run_acts("/sys/bus/pci/drivers/vfio-pci/unbind"));
	assert_true(run_acts("/sys/bus/pci/drivers_probe"));
	assert_true(run_acts("/sys/bus/pci/drivers/vfio-pci/new_id"));
	assert_true(run_acts("/sys/devices/pci0000:01/0000:01:00.0/remove"));
	assert_true(run_acts("/sys/bus/pci/rescan"));
	assert_true(run_acts("/sys/devices/pci0000:01/0000:01:00.0/reset"));
	assert_true(run_acts("/sys/devices/pci0000:01/0000:01:00.0/reset_method"));
	assert_false(run_acts("/sys/devices/pci0000:01/0000:01:00.0/vendor"));
	assert_false(run_acts("/sys/bus/pci/drivers/vfio-pci/sriov_numvfs"));
	assert_false(run_acts(""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pfs),
		cmocka_unit_test(attributes),
	};
	char command[64];
	int rc;

	log_set(-1, LOG_NONE);
	if (!mkdtemp(dir))
		return 1;
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	return system(command) ? 1 : rc;
}
