/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * uapi/v3_fault_test.c: the interface of 2010 with each allocation and each system call failing in
 * turn: an errno, nothing left mapped, pinned or enabled, and it works the next time.
 */
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "uvfio/vfio_v3.h"
#include "base/guard.h"
#include "base/heap.h"
#include "base/log.h"
#include "base/test_fault.h"
#include "machine/machine.h"
#include "uapi/internal.h"
#include "uapi/test_table.h"
#include "v3/driver.h"
#include "vfio/abi.h"

#define FAULTS (FAULT_MEMORY | FAULT_CALLS)

static struct machine *machine;
static struct vfio_system *sys;
static char *mem; /* 4 pages that can be mapped */

static int open_file(const char *path, struct uapi_file **f)
{
	return uapi_open(sys, &test_table, path, O_RDWR, f);
}

/* A device and a domain's descriptor, which is 0. */
static struct uapi_file *device(void)
{
	struct uapi_file *f;

	assert_int_equal(open_file("/dev/uiommu", &f), 0);
	assert_int_equal(table_install(NULL, f, O_RDWR), 0);
	assert_int_equal(open_file("/dev/vfio0", &f), 0);
	return f;
}

static void close_all(struct uapi_file *f)
{
	uapi_file_put(f);
	for (unsigned i = 0; i < 15; i++) {
		if (fds[i])
			uapi_file_put(fds[i]);
		fds[i] = NULL;
	}
	assert_int_equal(atomic_load(&sys->ioases.mappings), 0);
	assert_int_equal(atomic_load(&sys->ioases.pages_locked), 0);
	assert_int_equal(machine_device(machine, 0)->vdev->open_count, 0);
}

static long set_domain(struct uapi_file *f)
{
	int fd = 0;

	return uapi_ioctl(f, VFIO_DOMAIN_SET, (unsigned long)&fd);
}

static long map(struct uapi_file *f)
{
	struct vfio_dma_map m = { (uintptr_t)mem, 0x10000, 4 * PAGE_SIZE_4K, 1 };

	return uapi_ioctl(f, VFIO_DMA_MAP_IOVA, (unsigned long)&m);
}

static uint16_t control(struct uapi_file *f, unsigned at)
{
	uint16_t v = 0;

	assert_int_equal(uapi_pread(f, &v, 2, VFIO_V3_OFFSET(VFIO_V3_SPACE_CONFIG, at)), 2);
	return v;
}

static void test_open(void **state)
{
	static const char *const paths[] = { "/dev/uiommu", "/dev/vfio0" };
	struct uapi_file *f;
	int rc;

	for (unsigned i = 0; i < 2; i++) {
		FAULT_LOOP(l, FAULTS) {
			f = NULL;
			fault_begin(&l);
			rc = open_file(paths[i], &f);
			fault_end(&l, rc);
			assert_true(rc <= 0 && !rc == !!f);
			if (!rc)
				uapi_file_put(f);
			assert_int_equal(open_file(paths[i], &f), 0);
			close_all(f);
			assert_true(!l.done || l.failed);
		}
	}
}

static void test_memory(void **state)
{
	struct uapi_file *f;
	long rc;

	FAULT_LOOP(l, FAULTS) {
		f = device();
		assert_int_equal(set_domain(f), 0);
		fault_begin(&l);
		rc = map(f);
		fault_end(&l, (int)rc);
		if (rc) {
			assert_true(rc == -ENOMEM || rc == -EFAULT);
			assert_int_equal(atomic_load(&sys->ioases.mappings), 0);
			assert_int_equal(atomic_load(&sys->ioases.pages_locked), 0);
			assert_int_equal(map(f), 0);
		}
		assert_int_equal(atomic_load(&sys->ioases.pages_locked), 4);
		close_all(f);
		assert_true(!l.done || l.failed);
	}
}

static long msix(struct uapi_file *f, int n, int eventfd)
{
	int arg[] = { n, eventfd, eventfd };

	return uapi_ioctl(f, VFIO_EVENTFDS_MSIX, (unsigned long)arg);
}

static void test_interrupts(void **state)
{
	int e = eventfd(0, EFD_NONBLOCK);
	struct uapi_file *f;
	uint64_t n;
	long rc;

	FAULT_LOOP(l, FAULTS) {
		f = device();
		fault_begin(&l);
		rc = msix(f, 2, e);
		fault_end(&l, (int)rc);
		assert_true(rc <= 0);
		if (rc) {
			assert_int_equal(control(f, 0x62), 0x3f);
			assert_int_equal(msix(f, 2, e), 0);
		}
		assert_int_equal(control(f, 0x62), 0x803f);
		fault_begin(&l);
		rc = uapi_ioctl(f, VFIO_EVENTFD_IRQ, (unsigned long)&e);
		fault_end(&l, (int)rc);
		assert_true(rc <= 0);
		/* to end it needs nothing */
		assert_int_equal(msix(f, 0, -1), 0);
		assert_int_equal(control(f, 0x62), 0x3f);
		close_all(f);
		assert_true(l.failed || !l.done);
	}
	assert_int_equal(read(e, &n, sizeof(n)), -1);
	close(e);
}

static void test_events(void **state)
{
	struct uapi_file *f;
	long fd;

	FAULT_LOOP(l, FAULTS) {
		f = device();
		fault_begin(&l);
		fd = uapi_ioctl(f, VFIO_V3_EVENTS, 0);
		fault_end(&l, fd < 0 ? (int)fd : 0);
		if (fd < 0) {
			assert_int_equal(fd, -ENOMEM);
			assert_true(uapi_ioctl(f, VFIO_V3_EVENTS, 0) > 0);
		}
		close_all(f);
		assert_true(!l.done || l.failed > 1);
	}
}

/* The next user finds what the last one left, or a device as after a power cycle. */
static void test_state(void **state)
{
	const uint64_t at = VFIO_V3_OFFSET(2, 0x24);
	struct vfio_device *dev = machine_device(machine, 0)->vdev;
	uint32_t v = 0xcafe;
	struct uapi_file *f;
	size_t len;
	void *buf;
	int rc;

	f = device();
	assert_int_equal(set_domain(f), 0);
	assert_int_equal(uapi_pwrite(f, &v, 4, at), 4);
	close_all(f);
	assert_int_equal(v3_save(dev, &buf, &len), 0);
	FAULT_LOOP(l, FAULT_MEMORY) {
		fault_begin(&l);
		rc = v3_load(dev, buf, len);
		fault_end(&l, rc);
		f = device();
		assert_int_equal(set_domain(f), 0);
		assert_int_equal(uapi_pread(f, &v, 4, at), 4);
		assert_int_equal(v, rc ? 0 : 0xcafe);
		close_all(f);
	}
	heap_free(buf);
	FAULT_LOOP(l, FAULT_MEMORY) {
		buf = NULL;
		fault_begin(&l);
		rc = v3_save(dev, &buf, &len);
		fault_end(&l, rc);
		assert_true(rc == 0 || rc == -ENOMEM);
		if (!rc)
			heap_free(buf);
		assert_true(!l.done || l.failed);
	}
}

static int set_up(void **state)
{
	char why[64], *err = NULL;

	log_set(2, LOG_NONE);
	guard_install();
	assert_int_equal(vfio_abi_choose("v3", why, sizeof(why)), 0);
	machine = machine_new();
	assert_non_null(machine);
	assert_int_equal(machine_add(machine, "testdev", &err), 0);
	sys = machine_system(machine);
	mem = mmap(NULL, 4 * PAGE_SIZE_4K, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		   0);
	return mem == MAP_FAILED;
}

static int tear_down(void **state)
{
	machine_free(machine, false);
	return munmap(mem, 4 * PAGE_SIZE_4K);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open),	   cmocka_unit_test(test_memory),
		cmocka_unit_test(test_interrupts), cmocka_unit_test(test_events),
		cmocka_unit_test(test_state),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
