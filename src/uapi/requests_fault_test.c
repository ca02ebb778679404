/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * uapi/requests_fault_test.c: each allocation and each system call of what a program asks for by an
 * ioctl fails in turn, on devices of a machine: an errno that fits, nothing is left open, mapped or
 * pinned, and the same request works after that.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/guard.h"
#include "base/log.h"
#include "base/test_fault.h"
#include "base/test_signals.h"
#include "machine/machine.h"
#include "uapi/internal.h"
#include "uapi/test_table.h"
#include "vfio/dmabuf.h"
#include "vfio/internal.h"
#include "vfio/iommu_hw.h"

#define PAGE 4096ull

/* group 1 alone; groups 2 and 3 are reset together; group 4 is a PF with a VF in group 5 */
static const char *const specs[] = { "testdev,migration=on,ram=8K,pri=on", "edu,bus=b,group=2",
				     "edu,bus=b,group=3", "igb,sriov_numvfs=1" };

static struct machine *machine;
static struct vfio_system *sys;
static int memory_fd, event_fd;
static char *memory;

/* The files of one round; the devices are those of a request. */
static int container, iommufd, group[2], dev[2];
static uint32_t ioas, device_id;

static int open_fd(const char *path)
{
	struct uapi_file *f;
	int ret = uapi_open(sys, &test_table, path, O_RDWR, &f);

	return ret ? ret : table_install(NULL, f, O_RDWR);
}

static long ioc(int fd, unsigned int cmd, const void *arg)
{
	return uapi_ioctl(fds[fd], cmd, (unsigned long)arg);
}

static void must(long ret)
{
	if (ret < 0)
		fail_msg("%s: preparing it: %s", fault_about, strerror((int)-ret));
}

/* ---- what a request needs */

static void nothing(void)
{
}

/* Group @n of the container @with, and its device. */
static void take_device(unsigned i, unsigned n, int with)
{
	char path[32];

	snprintf(path, sizeof(path), "/dev/vfio/%u", n);
	group[i] = open_fd(path);
	must(group[i]);
	must(ioc(group[i], VFIO_GROUP_SET_CONTAINER, &with));
	if (!i)
		must(uapi_ioctl(fds[with], VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	dev[i] = (int)ioc(group[i], VFIO_GROUP_GET_DEVICE_FD, machine_device(machine, n - 1)->addr);
	must(dev[i]);
}

static void by_group(void)
{
	container = open_fd("/dev/vfio/vfio");
	must(container);
	take_device(0, 1, container);
}

static void shared_bus(void)
{
	container = open_fd("/dev/vfio/vfio");
	must(container);
	take_device(0, 2, container);
	take_device(1, 3, container);
}

static void pf(void)
{
	container = open_fd("/dev/vfio/vfio");
	must(container);
	take_device(0, 4, container);
}

static void an_iommufd(void)
{
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };

	iommufd = open_fd("/dev/iommu");
	must(iommufd);
	must(ioc(iommufd, IOMMU_IOAS_ALLOC, &alloc));
	ioas = alloc.out_ioas_id;
}

static void bind_one(unsigned i, const char *path)
{
	struct vfio_device_bind_iommufd bind = { .argsz = 16, .iommufd = iommufd };

	dev[i] = open_fd(path);
	must(dev[i]);
	must(ioc(dev[i], VFIO_DEVICE_BIND_IOMMUFD, &bind));
	device_id = bind.out_devid;
}

static void by_iommufd(void)
{
	struct vfio_device_attach_iommufd_pt attach = { .argsz = 12 };

	an_iommufd();
	bind_one(0, "/dev/vfio/devices/vfio0");
	attach.pt_id = ioas;
	must(ioc(dev[0], VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach));
}

static void bound_alone(void)
{
	an_iommufd();
	bind_one(0, "/dev/vfio/devices/vfio0");
}

static void shared_bus_by_iommufd(void)
{
	an_iommufd();
	bind_one(0, "/dev/vfio/devices/vfio1");
	bind_one(1, "/dev/vfio/devices/vfio2");
}

static long dma_buf(void);

static void with_dma_buf(void)
{
	by_iommufd();
	dev[1] = (int)dma_buf();
	must(dev[1]);
}

static void iommufd_and_group(void)
{
	an_iommufd();
	group[0] = open_fd("/dev/vfio/1");
	must(group[0]);
}

/* ---- requests */

static long feature(uint32_t flags, const void *data, size_t size)
{
	union {
		struct vfio_device_feature ft;
		uint8_t bytes[128];
	} arg = { .ft = { .argsz = sizeof(arg), .flags = flags } };

	memcpy(arg.ft.data, data, size);
	return ioc(dev[0], VFIO_DEVICE_FEATURE, &arg);
}

static long dma_buf(void)
{
	const struct {
		struct vfio_device_feature_dma_buf req;
		struct vfio_dma_range range;
	} arg = { .req = { .open_flags = O_RDWR | O_CLOEXEC, .nr_ranges = 1 },
		  .range = { .length = PAGE } };

	return feature(VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_BUF, &arg, sizeof(arg));
}

static long map_a_file(int fd)
{
	struct iommu_ioas_map_file map = {
		.size = sizeof(map), .flags = 7, .ioas_id = ioas, .fd = fd, .length = PAGE
	};

	return ioc(iommufd, IOMMU_IOAS_MAP_FILE, &map);
}

static long map_file(void)
{
	return map_a_file(memory_fd);
}

static long map_dma_buf(void)
{
	return map_a_file(dev[1]);
}

static long allow_iovas(void)
{
	struct iommu_iova_range r[] = { { 0, PAGE - 1 }, { 4 * PAGE, 9 * PAGE - 1 } };
	struct iommu_ioas_allow_iovas allow = { .size = sizeof(allow),
						.ioas_id = ioas,
						.num_iovas = 2,
						.allowed_iovas = (uintptr_t)r };

	return ioc(iommufd, IOMMU_IOAS_ALLOW_IOVAS, &allow);
}

/* An iommufd as a container: all that a program does with one. */
static long compat(void)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map), .flags = 3, .vaddr = (uintptr_t)memory, .size = PAGE
	};
	long ret = ioc(group[0], VFIO_GROUP_SET_CONTAINER, &iommufd);

	if (!ret)
		ret = uapi_ioctl(fds[iommufd], VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU);
	if (!ret)
		ret = ioc(iommufd, VFIO_IOMMU_MAP_DMA, &map);
	if (!ret)
		ret = dev[0] = (int)ioc(group[0], VFIO_GROUP_GET_DEVICE_FD,
					machine_device(machine, 0)->addr);
	return ret;
}

/* The program takes back the part that a failed request got done. */
static void compat_undo(void)
{
	struct vfio_iommu_type1_dma_unmap all = { .argsz = sizeof(all), .size = PAGE };

	ioc(iommufd, VFIO_IOMMU_UNMAP_DMA, &all);
	ioc(group[0], VFIO_GROUP_UNSET_CONTAINER, NULL);
}

static long hot_reset(unsigned n)
{
	union {
		struct vfio_pci_hot_reset r;
		int32_t room[8];
	} arg = { .r = { .argsz = sizeof(arg), .count = n } };

	memcpy(arg.r.group_fds, group, n * sizeof(group[0]));
	return ioc(dev[0], VFIO_DEVICE_PCI_HOT_RESET, &arg);
}

static long hot_reset_by_groups(void)
{
	return hot_reset(2);
}

static long hot_reset_by_iommufd(void)
{
	return hot_reset(0);
}

static long hot_reset_info(void)
{
	union {
		struct vfio_pci_hot_reset_info info;
		uint32_t room[64];
	} arg = { .info = { .argsz = sizeof(arg) } };

	return ioc(dev[0], VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &arg);
}

static long low_power(void)
{
	const struct vfio_device_low_power_entry_with_wakeup entry = { .wakeup_eventfd = event_fd };

	return feature(VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP,
		       &entry, sizeof(entry));
}

static long token(void)
{
	return feature(VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_PCI_VF_TOKEN,
		       "0123456789abcdef", 16);
}

static long stop_copy(void)
{
	const struct vfio_device_feature_mig_state state = { .device_state =
								     VFIO_DEVICE_STATE_STOP_COPY };

	return feature(VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, &state,
		       sizeof(state));
}

static long dirty_hwpt(void)
{
	struct iommu_hwpt_alloc h = { .size = sizeof(h),
				      .flags = IOMMU_HWPT_ALLOC_DIRTY_TRACKING,
				      .dev_id = device_id,
				      .pt_id = ioas };

	return ioc(iommufd, IOMMU_HWPT_ALLOC, &h);
}

static long fault_queue(void)
{
	struct iommu_fault_alloc q = { .size = sizeof(q) };

	return ioc(iommufd, IOMMU_FAULT_QUEUE_ALLOC, &q);
}

static const struct request {
	const char *name;
	void (*prepare)(void);
	long (*make)(void);
	void (*undo)(void); /* of one that failed half way */
	bool no_memory;	    /* it takes none: nothing can fail */
} requests[] = {
	{ "DMA_BUF", by_iommufd, dma_buf, nothing, false },
	{ "MAP_FILE", by_iommufd, map_file, nothing, false },
	{ "MAP_FILE of a dma-buf", with_dma_buf, map_dma_buf, nothing, false },
	{ "ALLOW_IOVAS", an_iommufd, allow_iovas, nothing, false },
	{ "an iommufd as a container", iommufd_and_group, compat, compat_undo, false },
	{ "HOT_RESET by groups", shared_bus, hot_reset_by_groups, nothing, false },
	{ "HOT_RESET by the iommufd", shared_bus_by_iommufd, hot_reset_by_iommufd, nothing, false },
	{ "GET_PCI_HOT_RESET_INFO", shared_bus, hot_reset_info, nothing, false },
	{ "LOW_POWER_ENTRY", by_group, low_power, nothing, true },
	{ "PCI_VF_TOKEN", pf, token, nothing, true },
	{ "STOP_COPY", by_group, stop_copy, nothing, false },
	{ "HWPT_ALLOC", bound_alone, dirty_hwpt, nothing, false },
	{ "FAULT_QUEUE_ALLOC", an_iommufd, fault_queue, nothing, false },
};

/* ---- all of them */

static void close_all(void)
{
	for (int i = (int)ARRAY_SIZE(fds); i--;) {
		struct uapi_file *f = fds[i];

		fds[i] = NULL;
		uapi_file_put(f);
	}
	assert_int_equal(atomic_load(&sys->ioases.mappings), 0);
	assert_int_equal(atomic_load(&sys->ioases.pages_locked), 0);
	assert_true(cds_list_empty(&sys->ioases.spaces));
	for (unsigned i = 0; i < ARRAY_SIZE(specs); i++)
		assert_int_equal(machine_device(machine, i)->vdev->open_count, 0);
}

/* Return in how many rounds @r said that it failed. */
static unsigned each_of(const struct request *r, unsigned kinds, bool counted)
{
	unsigned failed = 0, before = fault_fds();
	long ret, live = fault_live;

	FAULT_LOOP(l, kinds) {
		r->prepare();
		fault_begin(&l);
		ret = r->make();
		fault_end(&l, ret < 0 ? (int)ret : 0);
		if (ret < 0) {
			r->undo();
			must(r->make()); /* all is as it was */
		}
		close_all();
		if (counted && (fault_fds() != before || fault_live != live))
			fail_msg("%s: the %u.: %u descriptors, were %u; %ld pieces, were %ld",
				 r->name, l.n, fault_fds(), before, (long)fault_live, live);
		failed = l.failed;
	}
	return failed;
}

static void each(unsigned kinds)
{
	for (unsigned i = 0; i < ARRAY_SIZE(requests); i++) {
		const struct request *r = &requests[i];

		fault_about = r->name;
		/* what is made once and stays, as libc's text of an error, is there after this */
		each_of(r, kinds, false);
		if (!each_of(r, kinds, true) && kinds == FAULT_MEMORY && !r->no_memory)
			fail_msg("%s: nothing failed", r->name);
	}
}

static void memory_of_requests(void **state)
{
	each(FAULT_MEMORY);
}

static void calls_of_requests(void **state)
{
	each(FAULT_CALLS);
}

static int setup(void **state)
{
	assert_int_equal(guard_install(), 0);
	log_set(2, LOG_NONE);
	assert_int_equal(vfio_iommu_choose("dirty-tracking=on"), 0);
	machine = machine_new();
	for (unsigned i = 0; i < ARRAY_SIZE(specs); i++)
		assert_int_equal(machine_add(machine, specs[i], NULL), 0);
	assert_int_equal(machine_start(machine, NULL), 0);
	sys = machine_system(machine);
	memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memory_fd = memfd_create("memory", 0);
	event_fd = eventfd(0, EFD_CLOEXEC);
	assert_true(memory != MAP_FAILED && event_fd >= 0 && memory_fd >= 0);
	return ftruncate(memory_fd, PAGE);
}

static int teardown(void **state)
{
	machine_free(machine, false);
	munmap(memory, PAGE);
	close(memory_fd);
	return close(event_fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(memory_of_requests, setup, teardown),
		cmocka_unit_test_setup_teardown(calls_of_requests, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
