/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * api/fault_test.c: the whole stack when memory runs out: a client's life (open, map, enable
 * interrupts, use, close) in which the first allocation fails, the second, ... until none is left.
 * Whatever call it hits says so (or does without), everything can be closed, and nothing stays
 * behind; then the same life succeeds.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "uvfio/uvfio.h"
#include "base/guard.h"
#include "base/log.h"
#include "base/test_fault.h"
#include "base/test_signals.h"
#include "machine/machine.h"
#include "uapi/uapi.h"

#define K	4096ul
#define NUM_FDS 8
#define VECTORS 4
#define IMAGE	"disk" /* in a directory of this test */

static struct uapi_file *fds[NUM_FDS];
static struct machine *machine;
static uint8_t *mem;
static int events[VECTORS];

static struct uapi_file *fget(void *arg, int fd, int *err)
{
	*err = -EBADF;
	if (fd < 0 || fd >= NUM_FDS || !fds[fd])
		return NULL;
	uapi_file_get(fds[fd]);
	return fds[fd];
}

static int install(void *arg, struct uapi_file *file, int flags)
{
	for (int i = 0; i < NUM_FDS; i++) {
		if (!fds[i]) {
			fds[i] = file;
			return i;
		}
	}
	return -EMFILE;
}

static const struct uapi_fds table = { .fget = fget, .install = install };

static int open_path(const char *path)
{
	struct uapi_file *f = NULL;
	int ret = uapi_open(machine_system(machine), &table, path, O_RDWR, &f);

	return ret ? ret : install(NULL, f, O_RDWR);
}

#define CHECK(call)                 \
	do {                        \
		ret = (int)(call);  \
		if (ret < 0)        \
			return ret; \
	} while (0)

/* Do what a client does, from open to close. 0, or the first error. */
static int life(bool intx)
{
	struct vfio_iommu_type1_dma_map map = { .argsz = sizeof(map),
						.flags = 3,
						.vaddr = (uintptr_t)mem,
						.iova = 5 * K,
						.size = 4 * K };
	struct vfio_iommu_type1_dma_unmap unmap = { .argsz = sizeof(unmap),
						    .iova = 5 * K,
						    .size = 4 * K };
	struct {
		struct vfio_iommu_type1_info info;
		uint8_t caps[256];
	} info = { .info.argsz = sizeof(info) };
	struct {
		struct vfio_region_info info;
		uint8_t caps[64];
	} region = { .info.argsz = sizeof(region), .info.index = 2 };
	union {
		struct vfio_irq_set set;
		uint8_t room[sizeof(struct vfio_irq_set) + sizeof(events)];
	} irqs = {
		.set = { .argsz = sizeof(irqs),
			 .flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
			 .index = intx ? 0 : 2,
			 .count = intx ? 1 : VECTORS },
	};
	struct vfio_irq_set unmask = { 0 },
			    off = { .argsz = sizeof(off),
				    .flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER,
				    .index = irqs.set.index };
	struct vfio_device_info dinfo = { .argsz = sizeof(dinfo) };
	uint16_t cmd = 6;
	uint32_t id;
	int c, g, d, ret;

	memcpy(irqs.set.data, events, sizeof(events));
	CHECK(c = open_path("/dev/vfio/vfio"));
	CHECK(g = open_path("/dev/vfio/1"));
	CHECK(uapi_ioctl(fds[g], VFIO_GROUP_SET_CONTAINER, (unsigned long)&c));
	CHECK(uapi_ioctl(fds[c], VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	CHECK(uapi_ioctl(fds[c], VFIO_IOMMU_GET_INFO, (unsigned long)&info));
	CHECK(uapi_ioctl(fds[c], VFIO_IOMMU_MAP_DMA, (unsigned long)&map));
	map.iova = 0x40000000;
	CHECK(uapi_ioctl(fds[c], VFIO_IOMMU_MAP_DMA, (unsigned long)&map));
	CHECK(d = (int)uapi_ioctl(fds[g], VFIO_GROUP_GET_DEVICE_FD, (unsigned long)"0000:01:00.0"));
	CHECK(uapi_ioctl(fds[d], VFIO_DEVICE_GET_INFO, (unsigned long)&dinfo));
	CHECK(uapi_ioctl(fds[d], VFIO_DEVICE_GET_REGION_INFO, (unsigned long)&region));
	CHECK(uapi_pwrite(fds[d], &cmd, 2, (7ull << 40) + 4));
	CHECK(uapi_pread(fds[d], &id, 4, 2ull << 40));
	CHECK(uapi_ioctl(fds[d], VFIO_DEVICE_SET_IRQS, (unsigned long)&irqs));
	if (intx) {
		irqs.set.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_UNMASK;
		memcpy(irqs.set.data, &events[1], sizeof(events[1]));
		CHECK(uapi_ioctl(fds[d], VFIO_DEVICE_SET_IRQS, (unsigned long)&irqs));
		unmask = (struct vfio_irq_set){ .argsz = sizeof(unmask),
						.flags = VFIO_IRQ_SET_DATA_NONE |
							 VFIO_IRQ_SET_ACTION_UNMASK,
						.count = 1 };
		CHECK(uapi_ioctl(fds[d], VFIO_DEVICE_SET_IRQS, (unsigned long)&unmask));
	}
	CHECK(uapi_ioctl(fds[d], VFIO_DEVICE_SET_IRQS, (unsigned long)&off));
	CHECK(uapi_ioctl(fds[d], VFIO_DEVICE_RESET, 0));
	CHECK(uapi_ioctl(fds[c], VFIO_IOMMU_UNMAP_DMA, (unsigned long)&unmap));
	return unmap.size == 4 * K ? 0 : -EIO;
}

static void close_all(bool forwards)
{
	for (int i = 0; i < NUM_FDS; i++) {
		int fd = forwards ? i : NUM_FDS - 1 - i;
		struct uapi_file *f = fds[fd];

		fds[fd] = NULL;
		if (f)
			uapi_file_put(f);
	}
}

static void nothing_is_left(void)
{
	struct vfio_system *s = machine_system(machine);
	struct vfio_group *g = vfio_system_group(s, 1);

	assert_int_equal(atomic_load(&s->ioases.mappings), 0);
	assert_int_equal(atomic_load(&s->ioases.pages_locked), 0);
	assert_true(cds_list_empty(&s->ioases.spaces));
	assert_false(g->opened);
	assert_null(g->container);
	assert_int_equal(g->device_files, 0);
	assert_int_equal(machine_device(machine, 0)->vdev->open_count, 0);
}

static void each_one(unsigned kinds, bool intx)
{
	unsigned fds, failed = 0;
	int ret;

	/* the service thread stays, and what it has */
	assert_int_equal(life(intx), 0);
	close_all(true);
	fds = fault_fds();
	FAULT_LOOP(l, kinds) {
		fault_begin(&l);
		ret = life(intx);
		close_all(l.n & 1);
		fault_end(&l, ret);
		nothing_is_left();
		assert_int_equal(fault_fds(), fds);
		failed = l.failed;
		/* what went wrong has not been remembered */
		ret = life(intx);
		close_all(true);
		if (ret)
			fail_msg("after one, the %u., had failed once: %s", l.n, strerror(-ret));
		nothing_is_left();
	}
	assert_true(failed > (kinds == FAULT_MEMORY ? 8 : 0));
}

static void with_msix(void **state)
{
	each_one(FAULT_MEMORY, false);
}

static void with_intx(void **state)
{
	each_one(FAULT_MEMORY, true);
}

static void calls_with_msix(void **state)
{
	each_one(FAULT_CALLS, false);
}

static void calls_with_intx(void **state)
{
	each_one(FAULT_CALLS, true);
}

/* A program's life with the native API; 0 when nothing failed. All that is open is closed. */
static int native_life(const char *spec)
{
	struct uvfio_device *dev = NULL, *second = NULL;
	struct uvfio *u = uvfio_new();
	uint64_t iova, bytes = 0;
	int rc = u ? 0 : -fault.error;
	enum uvfio_irq_index index;
	void *p = NULL;

	if (!rc)
		rc = uvfio_open_model(u, spec, &dev);
	if (!rc)
		rc = uvfio_open_model(u, spec, &second);
	if (rc)
		goto out;
	p = uvfio_dma_alloc(u, 3 << 20, &iova);
	if (!p) {
		rc = -fault.error;
		goto out;
	}
	rc = uvfio_dma_map(u, 1ull << 40, p, 8192, UVFIO_DMA_READ);
	if (rc)
		goto out;
	bytes = 8192;
	index = uvfio_irq_count(dev, UVFIO_INDEX_MSIX) > 0 ? UVFIO_INDEX_MSIX : UVFIO_INDEX_MSI;
	rc = uvfio_irq_enable(dev, index, 0, 1, events);
	if (!rc)
		rc = uvfio_irq_disable(dev, index);
	if (!rc)
		rc = uvfio_irq_enable(dev, UVFIO_INDEX_MSI, 0, 1, events);
	if (!rc)
		rc = uvfio_reset(dev);
out:
	/* giving back needs no memory */
	if (p)
		uvfio_dma_free(u, p, 3 << 20, iova);
	if (bytes)
		assert_int_equal(uvfio_dma_unmap(u, 1ull << 40, 8192), 8192);
	uvfio_close(dev);
	uvfio_free(u);
	return rc;
}

static void native_each(unsigned kinds)
{
	static const char *const specs[] = { "testdev,vectors=4", "edu", "igb",
					     "nvme,image=" IMAGE ",readonly=on" };

	for (size_t i = 0; i < ARRAY_SIZE(specs); i++) {
		unsigned failed = 0;
		int rc;

		fault_about = specs[i];
		/* what libc keeps for the next thread, a first use of the log ... */
		assert_int_equal(native_life(specs[i]), 0);
		FAULT_LOOP(l, kinds) {
			unsigned fds = fault_fds();
			long before = fault_live;

			fault_begin(&l);
			rc = native_life(specs[i]);
			fault_end(&l, rc);
			assert_int_equal(fault_fds(), fds);
			/* the first use of something may keep memory, the second not */
			if (fault_live != before) {
				before = fault_live;
				fault_begin(&l);
				native_life(specs[i]);
				fault_clear();
			}
			if (fault_live != before)
				fail_msg("%s: %s, the %u., fails: %ld are left behind", specs[i],
					 fault.name, l.n, fault_live - before);
			failed = l.failed;
		}
		assert_true(failed > 2);
	}
}

static void native_memory(void **state)
{
	native_each(FAULT_MEMORY);
}

static void native_calls(void **state)
{
	native_each(FAULT_CALLS);
}

static char dir[] = "/tmp/uvfio-api-fault.XXXXXX";

static int setup(void **state)
{
	char *err;
	int fd;

	if (!mkdtemp(dir) || chdir(dir))
		return -1;
	fd = open(IMAGE, O_RDWR | O_CREAT | O_EXCL, 0600);
	if (fd < 0 || ftruncate(fd, 1 << 20) || close(fd))
		return -1;
	guard_install();
	log_set(2, LOG_NONE);
	machine = machine_new();
	if (!machine || machine_add(machine, "testdev", &err))
		return -1;
	mem = mmap(NULL, 4 * K, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (unsigned i = 0; i < VECTORS; i++)
		events[i] = eventfd(0, EFD_NONBLOCK);
	return 0;
}

static int teardown(void **state)
{
	machine_free(machine, false);
	munmap(mem, 4 * K);
	unlink(IMAGE);
	rmdir(dir);
	for (unsigned i = 0; i < VECTORS; i++)
		close(events[i]);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(with_msix),	   cmocka_unit_test(with_intx),
		cmocka_unit_test(calls_with_msix), cmocka_unit_test(calls_with_intx),
		cmocka_unit_test(native_memory),   cmocka_unit_test(native_calls),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
