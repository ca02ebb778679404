/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host/cdev_fault_test.c: the way by a character device, on a kernel of the test's own: what it is
 * asked, in which order, and that a failure of any step leaves nothing open, bound or mapped.
 */
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/guard.h"
#include "base/log.h"
#include "base/test_fault.h"
#include "base/test_signals.h"
#include "host/internal.h"
#include "vfio/group.h"
#include "vfio/iommufd_defs.h"

#define K     4096ull
#define PAGES 16u
#define MAPS  8u
#define ADDR  "0000:01:00.0"

static char root[] = "/tmp/uvfio-host-XXXXXX", sysfs[64], dev_dir[64];
static struct vfio_system *sys;
static char *mem;

/* ---- the kernel ---- */

static struct {
	unsigned bound, attached, ioases, maps, by_file;
	bool no_map_file, busy;
	unsigned fail; /* the request that fails: its number, or 0 */
	int error;
	struct {
		uint64_t iova, length;
		uint32_t flags;
	} map[MAPS];
} kernel;

static int add_map(uint64_t iova, uint64_t length, uint32_t flags)
{
	if (!(flags & IOMMU_IOAS_MAP_FIXED_IOVA) || kernel.maps == MAPS || !kernel.attached)
		return -EINVAL;
	kernel.map[kernel.maps].iova = iova;
	kernel.map[kernel.maps].flags = flags;
	kernel.map[kernel.maps++].length = length;
	return 0;
}

static int drop_map(uint64_t iova, uint64_t length)
{
	for (unsigned i = 0; i < kernel.maps; i++) {
		if (kernel.map[i].iova != iova || kernel.map[i].length != length)
			continue;
		kernel.map[i] = kernel.map[--kernel.maps];
		return 0;
	}
	return -ENOENT;
}

/* As a VT-d of 39 bits has it: two, with the window of messages between. */
static int tell_ranges(struct iommu_ioas_iova_ranges *q)
{
	static const struct iommu_iova_range all[] = { { 0, 0xfedfffff },
						       { 0xfef00000, (1ull << 39) - 1 } };

	assert_true(q->num_iovas >= 2);
	memcpy((void *)(uintptr_t)q->allowed_iovas, all, sizeof(all));
	q->num_iovas = 2;
	q->out_iova_alignment = K;
	return 0;
}

static int answer(int fd, unsigned long cmd, void *arg)
{
	struct vfio_device_bind_iommufd *b = arg;
	struct iommu_ioas_map_file *f = arg;
	struct iommu_ioas_map *m = arg;
	struct iommu_ioas_unmap *u = arg;

	assert_true(fd_is_private(fd));
	switch (cmd) {
	case VFIO_DEVICE_BIND_IOMMUFD:
		assert_true(fd_is_private(b->iommufd));
		assert_int_equal(b->argsz, b->flags ? sizeof(*b) : 16);
		if (kernel.busy)
			return -EINVAL;
		kernel.bound++;
		return 0;
	case VFIO_DEVICE_ATTACH_IOMMUFD_PT:
		assert_true(kernel.ioases);
		kernel.attached++;
		return 0;
	case VFIO_DEVICE_DETACH_IOMMUFD_PT:
		kernel.attached--;
		return 0;
	case IOMMU_IOAS_ALLOC:
		((struct iommu_ioas_alloc *)arg)->out_ioas_id = 7;
		kernel.ioases++;
		return 0;
	case IOMMU_DESTROY:
		assert_int_equal(kernel.maps, 0);
		kernel.ioases--;
		return 0;
	case IOMMU_IOAS_MAP:
		assert_int_equal(m->ioas_id, 7);
		return add_map(m->iova, m->length, m->flags);
	case IOMMU_IOAS_MAP_FILE:
		if (kernel.no_map_file)
			return -ENOTTY;
		kernel.by_file++;
		return add_map(f->iova, f->length, f->flags);
	case IOMMU_IOAS_UNMAP:
		return drop_map(u->iova, u->length);
	case IOMMU_IOAS_IOVA_RANGES:
		return tell_ranges(arg);
	}
	fail_msg("ioctl 0x%lx", cmd);
	return -ENOTTY;
}

static int kernel_ioctl(int fd, unsigned long cmd, void *arg)
{
	if (kernel.fail && cmd == kernel.fail) {
		kernel.fail = 0;
		return kernel.error;
	}
	return answer(fd, cmd, arg);
}

static const struct host_env env = { sysfs, dev_dir, sys_open, kernel_ioctl };

/* ---- a device of it ---- */

static void init(struct host_device *h)
{
	static const struct vfio_device_ops none;

	memset(h, 0, sizeof(*h));
	h->env = &env;
	h->way = &host_by_cdev;
	strcpy(h->name, ADDR);
	h->given = h->fd = -1;
	iommu_device_init(&h->iommu, h->name);
	vfio_device_init(&h->vdev, &none, h->name, &h->iommu);
}

static void fini(struct host_device *h)
{
	assert_null(h->own);
	vfio_device_fini(&h->vdev);
	iommu_device_fini(&h->iommu);
}

static int open_device(struct host_device *h, struct vfio_ioas *io)
{
	int fd = h->way->open(h, io);

	if (fd < 0)
		return fd;
	assert_true(fd_is_private(fd));
	h->fd = fd;
	return 0;
}

/* The kernel's view when a device's file is closed: it is neither bound nor attached. */
static void close_device(struct host_device *h)
{
	bool was_attached = kernel.attached;

	fd_close_private(h->fd);
	h->fd = -1;
	h->way->closed(h);
	kernel.bound--;
	kernel.attached -= was_attached;
}

static void make(const char *path, bool dir)
{
	char text[128];
	int fd;

	snprintf(text, sizeof(text), "%s/%s", root, path);
	if (dir) {
		assert_int_equal(mkdir(text, 0700), 0);
		return;
	}
	fd = open(text, O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	close(fd);
}

static int setup(void **state)
{
	static const char *const dirs[] = { "sys",
					    "sys/bus",
					    "sys/bus/pci",
					    "sys/bus/pci/devices",
					    "sys/bus/pci/devices/" ADDR,
					    "sys/bus/pci/devices/" ADDR "/vfio-dev",
					    "sys/bus/pci/devices/" ADDR "/vfio-dev/vfio3",
					    "dev",
					    "dev/vfio",
					    "dev/vfio/devices" };

	log_set(2, LOG_NONE);
	if (!mkdtemp(root) || guard_install())
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		make(dirs[i], true);
	make("dev/iommu", false);
	make("dev/vfio/devices/vfio3", false);
	snprintf(sysfs, sizeof(sysfs), "%s/sys", root);
	snprintf(dev_dir, sizeof(dev_dir), "%s/dev", root);
	sys = vfio_system_new(NULL, NULL);
	mem = mmap(NULL, PAGES * K, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return !sys || mem == MAP_FAILED;
}

static int drop_file(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static int teardown(void **state)
{
	vfio_system_free(sys);
	munmap(mem, PAGES * K);
	return nftw(root, drop_file, 8, FTW_DEPTH | FTW_PHYS);
}

/* ---- the tests ---- */

static void the_path(void **state)
{
	char path[HOST_PATH], want[HOST_PATH];
	struct host_device h;

	init(&h);
	assert_int_equal(host_cdev_path(&h, path), 0);
	snprintf(want, sizeof(want), "%s/vfio/devices/vfio3", dev_dir);
	assert_string_equal(path, want);
	strcpy(h.name, "0000:02:00.0");
	assert_int_equal(host_cdev_path(&h, path), -ENODEV);
	assert_int_equal(open_device(&h, NULL), -ENODEV);
	fini(&h);
}

/* Memory that is there, that comes, that goes; two devices of one address space. */
static void memory_is_mirrored(void **state)
{
	struct vfio_ioas *io = vfio_ioas_new(sys, false);
	struct vfio_ioas_limits l;
	struct host_device a, b;
	uint64_t done;

	init(&a);
	init(&b);
	assert_int_equal(vfio_ioas_map(io, 2 * K, (uintptr_t)mem, K, IOMMU_READ), 0);
	assert_int_equal(open_device(&a, io), 0);
	assert_int_equal(open_device(&b, io), 0);
	assert_int_equal(a.way->attach(&a, io), 0);
	assert_int_equal(kernel.maps, 1);
	assert_int_equal(kernel.map[0].iova, 2 * K);
	assert_int_equal(kernel.map[0].flags, IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE);
	vfio_ioas_limits(io, &l);
	assert_int_equal(l.num_ranges, 2);
	assert_true(l.ranges[1].end == (1ull << 39) - 1);
	assert_int_equal(vfio_ioas_map(io, 1ull << 39, (uintptr_t)mem, K, IOMMU_READ), -EINVAL);
	assert_int_equal(b.way->attach(&b, io), 0);
	assert_int_equal(kernel.ioases, 1);
	assert_int_equal(kernel.maps, 1);
	assert_int_equal(vfio_ioas_map(io, 8 * K, (uintptr_t)mem, 2 * K, IOMMU_READ | IOMMU_WRITE),
			 0);
	assert_int_equal(kernel.maps, 2);
	/* what the kernel refuses is not mapped here either, and the error is its own */
	kernel.fail = IOMMU_IOAS_MAP;
	kernel.error = -ENOMEM;
	assert_int_equal(vfio_ioas_map(io, 20 * K, (uintptr_t)mem, K, IOMMU_READ), -ENOMEM);
	assert_int_equal(vfio_ioas_map(io, 20 * K, (uintptr_t)mem, K, IOMMU_READ), 0);
	assert_int_equal(vfio_ioas_unmap(io, 20 * K, K, &done), 0);
	assert_int_equal(kernel.maps, 2);
	/* the first leaves, and the second keeps it all; closed first, then detached */
	a.way->detach(&a, io);
	assert_int_equal(kernel.maps, 2);
	close_device(&a);
	close_device(&b);
	assert_int_equal(kernel.ioases, 1);
	b.way->detach(&b, io);
	assert_int_equal(kernel.ioases, 0);
	assert_int_equal(kernel.bound, 0);
	fini(&a);
	fini(&b);
	vfio_ioas_put(io);
}

/* Memory of a file is mapped by it, where the kernel can (6.14). */
static void memory_by_file(void **state)
{
	struct vfio_ioas *io = vfio_ioas_new(sys, false);
	struct vfio_ioas_range r = { .iova = 4 * K,
				     .size = K,
				     .prot = IOMMU_WRITE,
				     .vaddr = (uintptr_t)mem,
				     .fd = memfd_create("m", 0) };
	struct vfio_ioas_listener *l;
	struct host_device h;

	init(&h);
	assert_int_equal(open_device(&h, io), 0);
	assert_int_equal(h.way->attach(&h, io), 0);
	l = host_cdev_listener(&h);
	assert_int_equal(l->map(l, &r), 0);
	assert_int_equal(kernel.by_file, 1);
	l->unmap(l, &r);
	kernel.no_map_file = true;
	assert_int_equal(l->map(l, &r), 0);
	assert_int_equal(kernel.maps, 1);
	l->unmap(l, &r);
	assert_int_equal(kernel.by_file, 1);
	/* registers of a device: an error, and no pretence */
	close(r.fd);
	r.fd = -1;
	r.device = true;
	assert_int_equal(l->map(l, &r), -EFAULT);
	/* nor for memory that only we know where it is */
	r.device = false;
	r.moved = true;
	assert_int_equal(l->map(l, &r), -EFAULT);
	h.way->detach(&h, io);
	close_device(&h);
	fini(&h);
	vfio_ioas_put(io);
}

static void errors(void **state)
{
	struct vfio_ioas *io = vfio_ioas_new(sys, false);
	struct host_device h;

	init(&h);
	/* somebody else has it */
	kernel.busy = true;
	assert_int_equal(open_device(&h, io), -EBUSY);
	kernel.busy = false;
	assert_int_equal(h.fd, -1);
	assert_null(h.own);
	/* with a token; then a wrong one, a right one */
	h.has_token = true;
	assert_int_equal(open_device(&h, io), 0);
	kernel.fail = VFIO_DEVICE_BIND_IOMMUFD;
	kernel.error = -EACCES;
	assert_int_equal(h.way->check_token(&h, h.shown_token), -EACCES);
	kernel.busy = true;
	assert_int_equal(h.way->check_token(&h, h.token), 0);
	assert_int_equal(h.way->check_token(&h, NULL), 0);
	kernel.busy = false;
	assert_int_equal(vfio_ioas_map(io, 2 * K, (uintptr_t)mem, K, IOMMU_READ), 0);
	/* its reserved ranges are in the way; no IOAS stays */
	kernel.fail = VFIO_DEVICE_ATTACH_IOMMUFD_PT;
	kernel.error = -EADDRINUSE;
	assert_int_equal(h.way->attach(&h, io), -EADDRINUSE);
	assert_int_equal(kernel.ioases, 0);
	kernel.fail = IOMMU_IOAS_MAP;
	kernel.error = -EINVAL;
	assert_int_equal(h.way->attach(&h, io), -EINVAL);
	assert_int_equal(kernel.ioases, 0);
	assert_int_equal(kernel.attached, 0);
	assert_int_equal(h.way->attach(&h, io), 0);
	h.way->detach(&h, io);
	close_device(&h);
	/* one that asks for none */
	h.has_token = false;
	assert_int_equal(open_device(&h, io), 0);
	kernel.busy = true;
	assert_int_equal(h.way->check_token(&h, h.token), -EINVAL);
	assert_int_equal(h.way->check_token(&h, NULL), 0);
	kernel.busy = false;
	close_device(&h);
	fini(&h);
	vfio_ioas_put(io);
}

static void a_life_that_fails(void **state)
{
	unsigned fds = fault_fds(), failed = 0;

	FAULT_LOOP(l, FAULT_MEMORY | FAULT_CALLS) {
		struct vfio_ioas *io = vfio_ioas_new(sys, false);
		struct host_device h;
		int rc;

		init(&h);
		fault_begin(&l);
		rc = open_device(&h, io);
		if (!rc)
			rc = h.way->attach(&h, io);
		fault_end(&l, rc);
		if (!rc)
			h.way->detach(&h, io);
		if (h.fd >= 0)
			close_device(&h);
		assert_int_equal(kernel.bound, 0);
		assert_int_equal(kernel.attached, 0);
		assert_int_equal(kernel.ioases, 0);
		assert_int_equal(fault_fds(), fds);
		failed = l.failed;
		fini(&h);
		vfio_ioas_put(io);
	}
	assert_true(failed > 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_path),	     cmocka_unit_test(memory_is_mirrored),
		cmocka_unit_test(memory_by_file),    cmocka_unit_test(errors),
		cmocka_unit_test(a_life_that_fails),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
