/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine/store_test.c: attributes by which a device gets and loses its driver: the kernel's
 * answers, and what the view shows after them.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "machine/internal.h"
#include "machine/run/run.h"

#define D1	 "0000:01:00.0"
#define DIR1	 "/sys/devices/pci0000:01/" D1
#define DRIVER	 "/sys/bus/pci/drivers/vfio-pci"
#define BIND	 DRIVER "/bind"
#define UNBIND	 DRIVER "/unbind"
#define PROBE	 "/sys/bus/pci/drivers_probe"
#define OVERRIDE DIR1 "/driver_override"

static char dir[64];

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static int make_dir(void **state)
{
	log_set(2, LOG_NONE);
	strcpy(dir, "/tmp/uvfio-store-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int drop_dir(void **state)
{
	return nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void view_of(const char *const *specs)
{
	struct machine *m = machine_new();
	char *err;

	for (; *specs; specs++)
		if (machine_add(m, *specs, &err))
			fail_msg("%s", err);
	assert_int_equal(machine_write_view(m, dir), 0);
	machine_free(m, false);
}
#define VIEW(...) view_of((const char *const[]){ __VA_ARGS__, NULL })

static long put(const char *path, const char *text)
{
	return run_store(dir, path, text, strlen(text));
}

static void answers(const char *path, const char *text, long want)
{
	long rc = put(path, text);

	if (rc != (want ? want : (long)strlen(text)))
		fail_msg("'%s' to %s: %ld, not %ld", text, path, rc, want);
}

static bool there(const char *name)
{
	char path[PATH_MAX];
	struct stat st;

	snprintf(path, sizeof(path), "%s%s", dir, name);
	return !lstat(path, &st);
}

static const char *text_of(const char *name)
{
	static char text[512];
	char path[PATH_MAX];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s%s", dir, name);
	fd = open(path, O_RDONLY);
	n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = 0;
	return text;
}

static void is_bound(bool want)
{
	static const char *const names[] = { DIR1 "/driver",	    DRIVER "/" D1,
					     "/dev/vfio/1",	    "/sys/class/vfio/1",
					     "/sys/dev/char/243:1", "/sys/devices/virtual/vfio/1" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (there(names[i]) != want)
			fail_msg("%s", names[i]);
	assert_int_equal(!strncmp(text_of(DIR1 "/uevent"), "DRIVER=vfio-pci\nPCI_CLASS=", 26),
			 want);
	assert_int_equal(!strncmp(text_of(DIR1 "/uevent"), "PCI_CLASS=", 10), !want);
}

static void take_away_and_give_back(void **state)
{
	char lots[5000];

	VIEW("edu", "edu");
	is_bound(true);
	/* nothing to do, and nothing done */
	answers(PROBE, D1 "\n", 0);
	answers(OVERRIDE, "vfio-pci\n", 0);
	assert_string_equal(text_of(OVERRIDE), "vfio-pci\n");
	answers(BIND, D1, -EBUSY);
	is_bound(true);
	/* who it is */
	answers(BIND, "0000:09:00.0", -ENODEV);
	answers(UNBIND, "0000:09:00.0", -ENODEV);
	answers(PROBE, "0000:09:00.0", -ENODEV);
	answers(UNBIND, "", 0);
	answers(UNBIND, "\n", -ENODEV);
	answers(UNBIND, D1 "\n\n", -ENODEV);
	answers(UNBIND, D1 " ", -ENODEV);
	answers(UNBIND, "01:00.0", -ENODEV);
	answers(UNBIND, "../01:00.0.0", -ENODEV);

	answers(UNBIND, D1 "\n", 0);
	is_bound(false);
	assert_true(there("/sys/kernel/iommu_groups/1/devices/" D1) && there("/dev/vfio/2"));
	answers(UNBIND, D1, -ENODEV);
	answers(BIND, D1, 0);
	is_bound(true);

	/* by its override, and not without it */
	answers(UNBIND, D1, 0);
	answers(OVERRIDE, "igb\n", 0);
	assert_string_equal(text_of(OVERRIDE), "igb\n");
	answers(BIND, D1, -ENODEV);
	answers(PROBE, D1, 0);
	is_bound(false);
	answers(OVERRIDE, "\n", 0);
	assert_string_equal(text_of(OVERRIDE), "(null)\n");
	answers(BIND, D1, -ENODEV);
	answers(PROBE, D1, 0);
	is_bound(false);
	answers(OVERRIDE, "vfio-pci", 0);
	answers(PROBE, D1, 0);
	is_bound(true);
	/*
	 * a bound one keeps its driver whatever the override becomes; "\0" is DPDK's way to clear
	 * it
	 */
	assert_int_equal(run_store(dir, OVERRIDE, "", 1), 1);
	assert_string_equal(text_of(OVERRIDE), "\n");
	is_bound(true);
	answers(BIND, D1, -ENODEV);
	answers(PROBE, D1, 0);
	memset(lots, 'x', sizeof(lots));
	assert_int_equal(run_store(dir, OVERRIDE, lots, 4095), -EINVAL);
	assert_int_equal(run_store(dir, OVERRIDE, lots, 4094), 4094);
	assert_int_equal(put(OVERRIDE, "vfio-pci\nwhatever"), 17);
	assert_string_equal(text_of(OVERRIDE), "vfio-pci\n");
}

static void refused(void **state)
{
	char path[PATH_MAX];
	int fd;

	VIEW("igb", "igb,driver=igb", "edu,group=9", "edu,group=9");
	/* the driver of a host belongs to the model */
	answers(UNBIND, "0000:02:00.0", -ENODEV);
	answers("/sys/bus/pci/drivers/igb/unbind", "0000:02:00.0", -EBUSY);
	answers("/sys/bus/pci/drivers/igb/unbind", D1, -ENODEV);
	answers(UNBIND, D1, 0);
	answers(OVERRIDE, "igb", 0);
	answers("/sys/bus/pci/drivers/igb/bind", D1, -ENODEV);
	answers(OVERRIDE, "vfio-pci", 0);
	answers(BIND, D1, 0);
	/* one of two in a group */
	answers(UNBIND, "0000:03:00.0", -EBUSY);
	/* with VFs, and they themselves */
	answers(DIR1 "/sriov_numvfs", "1", 0);
	answers(UNBIND, D1, -EBUSY);
	answers(UNBIND, "0000:01:10.0", -EBUSY);
	answers(DIR1 "/sriov_numvfs", "0", 0);
	/* open in some process */
	snprintf(path, sizeof(path), "%s/claims/group-1", dir);
	fd = open(path, O_RDWR);
	assert_int_equal(run_lock_file(fd, F_WRLCK, false), 0);
	answers(UNBIND, D1, -EBUSY);
	close(fd);
	is_bound(true);
	answers(UNBIND, D1, 0);
	is_bound(false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(take_away_and_give_back, make_dir, drop_dir),
		cmocka_unit_test_setup_teardown(refused, make_dir, drop_dir),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
