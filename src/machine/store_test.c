/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine/store_test.c: attributes by which a device gets and loses its driver: the kernel's
 * answers, and what the view shows after them.
 */
#include <errno.h>
#include <fcntl.h>
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
#include "machine/test_dir.h"

#define D1	 "0000:01:00.0"
#define DIR1	 "/sys/devices/pci0000:01/" D1
#define DRIVER	 "/sys/bus/pci/drivers/vfio-pci"
#define BIND	 DRIVER "/bind"
#define UNBIND	 DRIVER "/unbind"
#define PROBE	 "/sys/bus/pci/drivers_probe"
#define OVERRIDE DIR1 "/driver_override"

static int make_dir(void **state)
{
	log_set(2, LOG_NONE);
	return test_make_dir(state);
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
	return run_store(dir, path, text, strlen(text), NULL);
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
	assert_int_equal(run_store(dir, OVERRIDE, "", 1, NULL), 1);
	assert_string_equal(text_of(OVERRIDE), "(null)\n");
	is_bound(true);
	answers(BIND, D1, -ENODEV);
	answers(PROBE, D1, 0);
	memset(lots, 'x', sizeof(lots));
	assert_int_equal(run_store(dir, OVERRIDE, lots, 4095, NULL), -EINVAL);
	assert_int_equal(run_store(dir, OVERRIDE, lots, 4094, NULL), 4094);
	assert_int_equal(put(OVERRIDE, "vfio-pci\nwhatever"), 17);
	assert_string_equal(text_of(OVERRIDE), "vfio-pci\n");
}

/* The lock that a process has that has the device at @addr open, in group @id. */
static int hold(unsigned id, off_t byte)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/claims/group-%u", dir, id);
	fd = open(path, O_RDWR);
	assert_int_equal(run_lock_range(fd, F_WRLCK, false, byte, 1), 0);
	return fd;
}

static off_t byte_of(const char *addr)
{
	struct pci_address a;

	assert_int_equal(pci_address_parse(addr, &a), 0);
	return run_device_byte(&a);
}

static const char *driver_of(const char *addr)
{
	static char name[RUN_DRIVER_NAME];

	return run_driver(dir, addr, name) ? "gone" : name;
}
#define HAS(addr, driver) assert_string_equal(driver_of(addr), driver)

static void waits(void **state)
{
	struct run_wait w;
	int fd;

	VIEW("igb");
	/* its group is open: that hinders nobody */
	fd = hold(1, RUN_LOCK_GROUP);
	answers(UNBIND, D1, 0);
	answers(BIND, D1, 0);
	close(fd);
	/* the device is: the writer waits */
	fd = hold(1, byte_of(D1));
	answers(UNBIND, D1, -EINPROGRESS);
	answers(DIR1 "/remove", "1", -EINPROGRESS);
	/* its own node and its links are gone, and the group's node is there for who has it */
	HAS(D1, "");
	assert_false(there(DRIVER "/" D1) || there("/dev/vfio/devices/vfio0") ||
		     there(DIR1 "/vfio-dev") || there(DIR1 "/remove"));
	assert_true(there("/dev/vfio/1"));
	assert_int_equal(strncmp(text_of(DIR1 "/uevent"), "DRIVER=vfio-pci\n", 16), 0);
	/* it does not want another driver yet, who binds waits, and who resets */
	answers(PROBE, D1, 0);
	answers(BIND, D1, -EINPROGRESS);
	answers(DIR1 "/reset", "1", -EINPROGRESS);
	HAS(D1, "");
	close(fd);
	/* whoever comes next goes on with it; a writer that waited does not take it away again */
	w = (struct run_wait){ .addr = D1 };
	answers(BIND, D1, 0);
	is_bound(true);
	assert_true(there("/dev/vfio/devices/vfio0"));
	assert_int_equal(run_store(dir, UNBIND, D1, strlen(D1), &w), strlen(D1));
	is_bound(true);
	/* so it does for a virtual function, which the driver would take along */
	answers(DIR1 "/sriov_numvfs", "2", 0);
	fd = hold(3, byte_of("0000:01:10.2"));
	answers(UNBIND, D1, -EINPROGRESS);
	answers("/sys/bus/pci/drivers/vfio-pci/unbind", "0000:01:10.2", -EINPROGRESS);
	/* the first one went at once; the PF has its driver until they all have */
	HAS("0000:01:10.0", "gone");
	HAS("0000:01:10.2", "");
	HAS(D1, "vfio-pci");
	assert_false(there(DIR1 "/virtfn0") || there(DIR1 "/virtfn1"));
	close(fd);
	answers(UNBIND, D1, 0);
	is_bound(false);
	assert_string_equal(text_of(DIR1 "/sriov_numvfs"), "0\n");
	HAS("0000:01:10.2", "gone");
	/* and when they come again they have their driver */
	answers(BIND, D1, 0);
	answers(DIR1 "/sriov_numvfs", "1", 0);
	HAS("0000:01:10.0", "vfio-pci");
}

/* Of two in a group the node stays for the one that is open. */
static void waits_in_a_group(void **state)
{
	int fd;

	VIEW("edu,group=5", "edu,group=5");
	fd = hold(5, byte_of(D1));
	answers(UNBIND, D1, -EINPROGRESS);
	answers(UNBIND, "0000:02:00.0", 0);
	assert_true(there("/dev/vfio/5"));
	/* a number is kept for as long as its device is open */
	answers(BIND, "0000:02:00.0", 0);
	assert_true(there("/dev/vfio/devices/vfio1"));
	answers(UNBIND, "0000:02:00.0", 0);
	close(fd);
	answers(UNBIND, D1, 0);
	assert_false(there("/dev/vfio/5"));
	answers(BIND, "0000:02:00.0", 0);
	assert_true(there("/dev/vfio/devices/vfio0"));
}

static void drivers(void **state)
{
	int fd;

	VIEW("igb,driver=igb", "edu,driver=none", "edu,driver=pci-stub", "edu");
	HAS(D1, "igb");
	HAS("0000:02:00.0", "");
	HAS("0000:03:00.0", "pci-stub");
	assert_false(there("/dev/vfio/1") || there("/dev/vfio/2") || there("/dev/vfio/3"));
	assert_string_equal(text_of("/sys/devices/pci0000:02/0000:02:00.0/driver_override"),
			    "(null)\n");
	/* by its ID it goes to igb, by its override to vfio-pci */
	answers(UNBIND, D1, -ENODEV);
	answers("/sys/bus/pci/drivers/igb/unbind", D1, 0);
	HAS(D1, "");
	answers(BIND, D1, -ENODEV);
	answers(PROBE, D1, 0);
	HAS(D1, "igb");
	answers("/sys/bus/pci/drivers/igb/unbind", D1, 0);
	answers(OVERRIDE, "vfio-pci", 0);
	answers(PROBE, D1, 0);
	is_bound(true);
	answers("/sys/bus/pci/drivers/igb/bind", D1, -ENODEV);
	/* a driver that does DMA cannot have what a program owns; pci-stub can */
	answers(UNBIND, D1, 0);
	answers(OVERRIDE, "", 0);
	answers(OVERRIDE, "\n", 0);
	fd = hold(1, RUN_LOCK_OWNER);
	answers("/sys/bus/pci/drivers/igb/bind", D1, -EBUSY);
	answers(PROBE, D1, -EBUSY);
	HAS(D1, "");
	answers(OVERRIDE, "pci-stub", 0);
	answers("/sys/bus/pci/drivers/pci-stub/bind", D1, 0);
	HAS(D1, "pci-stub");
	close(fd);
	/* nvme is not loaded, since no device names it */
	assert_false(there("/sys/bus/pci/drivers/nvme"));
}

#define NEW_ID	  DRIVER "/new_id"
#define REMOVE_ID DRIVER "/remove_id"
static void ids(void **state)
{
	VIEW("igb,driver=none", "edu,driver=none", "edu,driver=pci-stub");
	answers(NEW_ID, "", 0);
	answers(NEW_ID, "8086", -EINVAL);
	answers(NEW_ID, "words", -EINVAL);
	answers(REMOVE_ID, "8086", -EINVAL);
	answers(REMOVE_ID, "8086 10c9", -ENODEV);
	HAS(D1, "");
	answers(NEW_ID, "8086 10c9\n", 0);
	is_bound(true);
	answers(NEW_ID, "8086 10c9", -EEXIST);
	answers(NEW_ID, "8086 10c9 ffffffff ffffffff 0 0", -EEXIST);
	answers(NEW_ID, "8086 10c9 ffffffff ffffffff 0 0 1", -EINVAL);
	answers(NEW_ID, "8086 10c9 ffffffff ffffffff 0 0 0", 0);
	answers(REMOVE_ID, "8086 10c9", 0);
	answers(REMOVE_ID, "8086 10c9 ffffffff", 0);
	answers(REMOVE_ID, "8086 10c9", -ENODEV);
	is_bound(true);
	answers(UNBIND, D1, 0);
	answers(PROBE, D1, 0);
	is_bound(false);
	/* by class alone: both, but for the one that has a driver */
	answers(NEW_ID, "ffffffff ffffffff ffffffff ffffffff 00ff00 ffff00", 0);
	HAS("0000:02:00.0", "vfio-pci");
	HAS("0000:03:00.0", "pci-stub");
	is_bound(false);
	answers(REMOVE_ID, "ffffffff ffffffff", 0);
}

#define D2 "0000:02:00.0"
#define D3 "0000:03:00.0"
static void groups(void **state)
{
	VIEW("edu,group=9", "edu,group=9", "edu,group=9,driver=none");
	answers(UNBIND, D1, 0);
	assert_true(there("/dev/vfio/9"));
	answers(UNBIND, D2, 0);
	assert_false(there("/dev/vfio/9"));
	answers(OVERRIDE, "vfio-pci", 0);
	answers(PROBE, D1, 0);
	assert_true(there("/dev/vfio/9"));
	answers("/sys/devices/pci0000:03/" D3 "/driver_override", "vfio-pci", 0);
	answers(PROBE, D3, 0);
	answers(UNBIND, D1, 0);
	assert_true(there("/dev/vfio/9"));
	HAS(D3, "vfio-pci");
}

static void leaves_the_bus(void **state)
{
	VIEW("edu,group=9", "edu,group=9", "edu");
	answers(DIR1 "/remove", "x", -EINVAL);
	answers(DIR1 "/remove", "-1", -EINVAL);
	answers(DIR1 "/remove", "0", 0);
	HAS(D1, "vfio-pci");
	answers(DIR1 "/remove", "1\n", 0);
	HAS(D1, "gone");
	assert_false(there(DIR1) || there("/sys/bus/pci/devices/" D1) || there(DRIVER "/" D1) ||
		     there("/sys/kernel/iommu_groups/9/devices/" D1));
	assert_true(there("/sys/kernel/iommu_groups/9") && there("/dev/vfio/9"));
	answers(BIND, D1, -ENODEV);
	answers("/sys/devices/pci0000:02/" D2 "/remove", "1", 0);
	assert_false(there("/sys/kernel/iommu_groups/9") || there("/dev/vfio/9"));
	/* the other's bus has nothing to find */
	answers("/sys/devices/pci0000:03/" D3 "/rescan", "1", 0);
	HAS(D1, "gone");
	answers("/sys/bus/pci/rescan", "yes", -EINVAL);
	answers("/sys/bus/pci/rescan", "0", 0);
	HAS(D1, "gone");
	answers("/sys/bus/pci/rescan", "1", 0);
	HAS(D1, "");
	HAS(D2, "");
	assert_string_equal(text_of(OVERRIDE), "(null)\n");
	assert_true(there("/sys/kernel/iommu_groups/9/devices/" D1));
	/* what vfio-pci was told to take it has at once, unless nobody is asked */
	answers(NEW_ID, "1234 11e8", 0);
	HAS(D1, "vfio-pci");
	answers(DIR1 "/remove", "1", 0);
	answers("/sys/bus/pci/drivers_autoprobe", "0", 0);
	answers("/sys/bus/pci/rescan", "1", 0);
	HAS(D1, "");
	answers("/sys/bus/pci/drivers_autoprobe", "1", 0);
	answers(DIR1 "/remove", "1", 0);
	answers("/sys/bus/pci/rescan", "1", 0);
	HAS(D1, "vfio-pci");
	assert_true(there("/dev/vfio/9"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(take_away_and_give_back, make_dir, test_drop_dir),
		cmocka_unit_test_setup_teardown(waits, make_dir, test_drop_dir),
		cmocka_unit_test_setup_teardown(waits_in_a_group, make_dir, test_drop_dir),
		cmocka_unit_test_setup_teardown(drivers, make_dir, test_drop_dir),
		cmocka_unit_test_setup_teardown(ids, make_dir, test_drop_dir),
		cmocka_unit_test_setup_teardown(groups, make_dir, test_drop_dir),
		cmocka_unit_test_setup_teardown(leaves_the_bus, make_dir, test_drop_dir),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
