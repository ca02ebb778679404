/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * uapi/hot_reset_test.c: VFIO_DEVICE_GET_PCI_HOT_RESET_INFO and VFIO_DEVICE_PCI_HOT_RESET on a slot
 * of two functions in two groups: sizes, order of checks, and who must own what.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "uapi/internal.h"
#include "uapi/test_table.h"

#define BAD_PTR 8ul /* page 0 is never mapped */

static struct {
	struct vfio_system *sys;
	struct iommu_group *ig[3];
	struct vfio_group *group[3];
	struct vfio_device dev[3];
	unsigned resets[3];
} w;

static int dev_open(struct vfio_device *dev)
{
	return 0;
}
static void dev_close(struct vfio_device *dev)
{
}
static int dev_slot_reset(struct vfio_device *dev)
{
	w.resets[dev - w.dev]++;
	return 0;
}
static const struct vfio_device_ops ops = { .open = dev_open,
					    .close = dev_close,
					    .slot_reset = dev_slot_reset };
static const struct vfio_device_ops ops_without = { .open = dev_open, .close = dev_close };

static int open_fd(const char *path)
{
	struct uapi_file *f;
	int ret = uapi_open(w.sys, &test_table, path, 2, &f);

	return ret ? ret : table_install(NULL, f, 2);
}

static long ioc(int fd, unsigned cmd, void *arg)
{
	return uapi_ioctl(fds[fd], cmd, (unsigned long)arg);
}

/* cmocka takes SIGSEGV over at each test: take it back for the guarded copies */
static struct sigaction guarded;

/*
 * descriptors: 0 container, 1 and 2 groups 1 and 2, 3 the device of group 1; function 1 of the slot
 * is in group 2
 */
static int setup(void **state)
{
	static const char *const names[3] = { "0000:01:00.0", "0000:01:00.1", "0000:02:00.0" };
	char path[32];
	int c;

	memset(&w, 0, sizeof(w));
	log_set(2, LOG_NONE);
	w.sys = vfio_system_new(NULL, NULL);
	memset(fds, 0, sizeof(fds));
	for (unsigned i = 0; i < 3; i++) {
		w.ig[i] = iommu_group_new(i + 1);
		vfio_device_init(&w.dev[i], &ops, names[i], NULL);
		w.dev[i].address = (struct pci_address){ .bus = i < 2 ? 1 : 2, .function = i == 1 };
		w.dev[i].flags = VFIO_DEVICE_FLAGS_PCI;
		assert_int_equal(vfio_system_add_group(w.sys, w.ig[i], &w.group[i]), 0);
		assert_int_equal(vfio_group_add_device(w.group[i], &w.dev[i]), 0);
	}
	c = open_fd("/dev/vfio/vfio");
	for (unsigned i = 1; i <= 3; i++) {
		snprintf(path, sizeof(path), "/dev/vfio/%u", i);
		assert_int_equal(open_fd(path), i);
		assert_int_equal(ioc((int)i, VFIO_GROUP_SET_CONTAINER, &c), 0);
	}
	assert_int_equal(ioc(c, VFIO_SET_IOMMU, (void *)3), 0);
	assert_int_equal(ioc(1, VFIO_GROUP_GET_DEVICE_FD, (void *)names[0]), 4);
	return 0;
}

static int teardown(void **state)
{
	for (int fd = 14; fd >= 0; fd--)
		if (fds[fd])
			uapi_file_put(fds[fd]);
	vfio_system_free(w.sys);
	for (unsigned i = 0; i < 3; i++) {
		vfio_device_fini(&w.dev[i]);
		iommu_group_free(w.ig[i]);
	}
	return 0;
}

static void test_info(void **state)
{
	struct {
		struct vfio_pci_hot_reset_info i;
		struct vfio_pci_dependent_device d[4];
	} h = { .i = { .argsz = 11 } };

	sigaction(SIGSEGV, &guarded, NULL);
	assert_int_equal(ioc(4, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, (void *)BAD_PTR), -EFAULT);
	assert_int_equal(ioc(4, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &h), -EINVAL);
	h.i.argsz = sizeof(h.i) + sizeof(h.d[0]);
	h.i.flags = 77;
	assert_int_equal(ioc(4, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &h), -ENOSPC);
	assert_int_equal(h.i.count, 2);
	assert_int_equal(h.i.flags, 0);
	assert_int_equal(h.d[0].group_id, 0);
	h.i.argsz += sizeof(h.d[0]);
	assert_int_equal(ioc(4, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &h), 0);
	assert_int_equal(h.i.count, 2);
	assert_int_equal(h.d[0].group_id, 1);
	assert_int_equal(h.d[0].bus, 1);
	assert_int_equal(h.d[0].devfn, 0);
	assert_int_equal(h.d[1].group_id, 2);
	assert_int_equal(h.d[1].devfn, 1);
	w.dev[0].ops = &ops_without;
	assert_int_equal(ioc(4, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &h), -ENODEV);
}

static void test_reset(void **state)
{
	struct {
		struct vfio_pci_hot_reset r;
		int32_t fds[3];
	} h = { .r = { .argsz = 11, .count = 1 } };

	sigaction(SIGSEGV, &guarded, NULL);
	assert_int_equal(ioc(4, VFIO_DEVICE_PCI_HOT_RESET, (void *)BAD_PTR), -EFAULT);
	assert_int_equal(ioc(4, VFIO_DEVICE_PCI_HOT_RESET, &h), -EINVAL);
	h.r = (struct vfio_pci_hot_reset){ .argsz = sizeof(h), .flags = 1, .count = 1 };
	assert_int_equal(ioc(4, VFIO_DEVICE_PCI_HOT_RESET, &h), -EINVAL);
	h.r = (struct vfio_pci_hot_reset){ .argsz = sizeof(h), .count = 0 };
	assert_int_equal(ioc(4, VFIO_DEVICE_PCI_HOT_RESET, &h), -EINVAL);
	h.r.count = 3; /* more groups than devices */
	assert_int_equal(ioc(4, VFIO_DEVICE_PCI_HOT_RESET, &h), -EINVAL);
	h.r.count = UINT32_MAX;
	assert_int_equal(ioc(4, VFIO_DEVICE_PCI_HOT_RESET, &h), -EINVAL);
	h.r.count = 2;
	h.fds[0] = 1;
	h.fds[1] = -1;
	assert_int_equal(ioc(4, VFIO_DEVICE_PCI_HOT_RESET, &h), -EBADF);
	h.fds[1] = 15;
	assert_int_equal(ioc(4, VFIO_DEVICE_PCI_HOT_RESET, &h), -EINVAL);
	h.fds[1] = 0; /* the container */
	assert_int_equal(ioc(4, VFIO_DEVICE_PCI_HOT_RESET, &h), -EINVAL);
	h.fds[1] = 3; /* not the neighbour's group */
	assert_int_equal(ioc(4, VFIO_DEVICE_PCI_HOT_RESET, &h), -EINVAL);
	h.r.count = 1;
	assert_int_equal(ioc(4, VFIO_DEVICE_PCI_HOT_RESET, &h), -EINVAL);
	assert_int_equal(w.resets[0] + w.resets[1] + w.resets[2], 0);
	h.r.count = 2;
	h.fds[1] = 2;
	assert_int_equal(ioc(4, VFIO_DEVICE_PCI_HOT_RESET, &h), 0);
	assert_int_equal(w.resets[0], 1);
	assert_int_equal(w.resets[1], 1);
	assert_int_equal(w.resets[2], 0);
	w.dev[1].ops = &ops_without;
	assert_int_equal(ioc(4, VFIO_DEVICE_PCI_HOT_RESET, &h), -EINVAL);
	assert_int_equal(w.resets[0], 1);
}

static int answer;
static unsigned hot_resets;

/* As of a real device: the kernel knows its slot, of which one function is not here. */
static int dev_slot(struct vfio_device *dev, struct vfio_place *out, unsigned max)
{
	if (answer)
		return answer;
	if (max > 0)
		out[0] = (struct vfio_place){ .group = w.group[0],
					      .dev = dev,
					      .address = dev->address };
	if (max > 1)
		out[1] = (struct vfio_place){ .address = { .bus = 1, .function = 3 },
					      .outside = 42 };
	return 2;
}

static int dev_hot_reset(struct vfio_device *dev)
{
	hot_resets++;
	return 0;
}

/* The provider says which devices are reset together; they need not be in the system. */
static void test_outside(void **state)
{
	static const struct vfio_device_ops real = {
		.open = dev_open, .close = dev_close, .slot = dev_slot, .hot_reset = dev_hot_reset
	};
	struct {
		struct vfio_pci_hot_reset_info i;
		struct vfio_pci_dependent_device d[2];
	} h = { .i = { .argsz = sizeof(h) } };
	struct {
		struct vfio_pci_hot_reset r;
		int32_t fds[2];
	} r = { .r = { .argsz = sizeof(r), .count = 1 }, .fds = { 1 } };

	sigaction(SIGSEGV, &guarded, NULL);
	w.dev[0].ops = &real;
	assert_int_equal(ioc(4, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &h), 0);
	assert_int_equal(h.i.count, 2);
	assert_int_equal(h.d[0].group_id, 1);
	assert_int_equal(h.d[1].group_id, 42);
	assert_int_equal(h.d[1].devfn, 3);
	assert_int_equal(ioc(4, VFIO_DEVICE_PCI_HOT_RESET, &r), -EINVAL);
	assert_int_equal(hot_resets, 0);
	answer = -ENODEV;
	assert_int_equal(ioc(4, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &h), -ENODEV);
	answer = 0;
	assert_int_equal(vfio_device_slot_reset(&fds[4]->open), 0);
	assert_int_equal(hot_resets, 1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = { T(test_info), T(test_reset), T(test_outside) };

	if (guard_install() || sigaction(SIGSEGV, NULL, &guarded))
		return 1;
	return cmocka_run_group_tests_name("uapi/hot_reset", tests, NULL, NULL);
}
