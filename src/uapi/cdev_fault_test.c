/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * uapi/cdev_fault_test.c: device files that are opened by their node: before BIND, BIND's checks
 * and their order, what a failed one leaves, ATTACH and DETACH, groups and closes; and each
 * allocation failing.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>

#include "base/test_fault.h"
#include "uapi/internal.h"
#include "uapi/test_table.h"

#define CDEV(n) "/dev/vfio/devices/vfio" #n
#define NODE	"/dev/iommu"
#define BAD_PTR 8ul /* page 0 is never mapped */
#define TOKEN	"0123456789abcde"

struct dev {
	struct vfio_device vdev;
	struct iommu_device iommu;
	int opens, refuse, uses;
};

static struct {
	struct vfio_system *sys;
	struct iommu_group *ig;
	struct vfio_group *group;
	struct dev dev[2];
	char *mem; /* two pages: the first is the struct's, to its end; the second cannot be read */
} w;

static int dev_open(struct vfio_device *dev)
{
	struct dev *d = container_of_type(dev, struct dev, vdev);

	if (d->refuse)
		return -EIO;
	d->opens++;
	return 0;
}

static void dev_close(struct vfio_device *dev)
{
	container_of_type(dev, struct dev, vdev)->opens--;
}

/* The machine's part: a device that is used stays. */
static int use(void *arg, unsigned group, const char *name, bool take)
{
	struct dev *d = &w.dev[strcmp(name, w.dev[0].vdev.name) ? 1 : 0];

	assert_string_equal(name, d->vdev.name);
	d->uses += take ? 1 : -1;
	return 0;
}

/* The second device is a VF. */
static int check_token(struct vfio_device *dev, const uint8_t *uuid)
{
	assert_true(container_of_type(dev, struct dev, vdev)->uses);
	if (dev == &w.dev[0].vdev)
		return uuid ? -EINVAL : 0;
	return uuid && !memcmp(uuid, TOKEN, 16) ? 0 : -EACCES;
}

static int region(struct vfio_device *dev, uint32_t index, struct vfio_region *out)
{
	out->size = 4096;
	out->flags = VFIO_REGION_INFO_FLAG_READ;
	return 0;
}

static ssize_t rw(struct vfio_device *dev, uint32_t index, uint64_t pos, void *buf, size_t count,
		  bool write)
{
	memset(buf, 0x5a, count);
	return (ssize_t)count;
}

static const struct vfio_device_ops ops = {
	.open = dev_open, .close = dev_close, .region = region, .rw = rw, .check_token = check_token
};

/* cmocka takes SIGSEGV over at each test: take it back for the guarded copies */
static struct sigaction guarded;

static int open_fd(const char *path)
{
	struct uapi_file *f;
	int ret;

	sigaction(SIGSEGV, &guarded, NULL);
	ret = uapi_open(w.sys, &test_table, path, 2, &f);
	return ret ? ret : table_install(NULL, f, 2);
}

static void close_fd(int fd)
{
	struct uapi_file *f = fds[fd];

	fds[fd] = NULL;
	uapi_file_put(f);
}

static long ioc(int fd, unsigned cmd, void *arg)
{
	return uapi_ioctl(fds[fd], cmd, (unsigned long)arg);
}

static long bind_to(int fd, int iommufd, uint32_t *id)
{
	struct vfio_device_bind_iommufd b = { .argsz = 16, .iommufd = iommufd };
	long ret = ioc(fd, VFIO_DEVICE_BIND_IOMMUFD, &b);

	if (id)
		*id = b.out_devid;
	return ret;
}

static long get_info(int fd)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };

	return ioc(fd, VFIO_DEVICE_GET_INFO, &info);
}

static int setup(void **state)
{
	static const struct vfio_env env = { .use = use };
	static const char *const names[] = { "0000:01:00.0", "0000:01:00.1" };

	log_set(2, LOG_NONE);
	memset(&w, 0, sizeof(w));
	memset(fds, 0, sizeof(fds));
	w.sys = vfio_system_new(&env, NULL);
	w.ig = iommu_group_new(7);
	assert_int_equal(vfio_system_add_group(w.sys, w.ig, &w.group), 0);
	for (unsigned i = 0; i < 2; i++) {
		struct dev *d = &w.dev[i];

		iommu_device_init(&d->iommu, names[i]);
		assert_int_equal(iommu_group_add(w.ig, &d->iommu), 0);
		vfio_device_init(&d->vdev, &ops, names[i], &d->iommu);
		pci_address_parse(names[i], &d->vdev.address);
		d->vdev.num_regions = 9;
		assert_int_equal(vfio_group_add_device(w.group, &d->vdev), 0);
	}
	w.mem = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	mprotect(w.mem + 4096, 4096, PROT_NONE);
	return 0;
}

static int teardown(void **state)
{
	for (int fd = 0; fd < 15; fd++)
		if (fds[fd])
			close_fd(fd);
	assert_int_equal(w.dev[0].opens + w.dev[1].opens, 0);
	assert_int_equal(w.dev[0].uses | w.dev[1].uses, 0);
	vfio_system_free(w.sys);
	for (unsigned i = 0; i < 2; i++)
		vfio_device_fini(&w.dev[i].vdev);
	iommu_group_free(w.ig);
	for (unsigned i = 0; i < 2; i++)
		iommu_device_fini(&w.dev[i].iommu);
	munmap(w.mem, 8192);
	return 0;
}

static void test_unbound(void **state)
{
	int fd = open_fd(CDEV(0)), again = open_fd(CDEV(0));
	struct pci_address a;
	uint32_t v;

	assert_true(fd >= 0 && again >= 0);
	assert_int_equal(open_fd(CDEV(2)), -ENOENT);
	assert_string_equal(uapi_file_link(fds[fd]), CDEV(0));
	assert_int_equal(uapi_file_group(fds[fd]), 7);
	assert_true(uapi_file_address(fds[fd], &a) && a.bus == 1);
	assert_null(uapi_file_device(fds[fd]));
	assert_int_equal(get_info(fd), -EINVAL);
	assert_int_equal(ioc(fd, VFIO_GET_API_VERSION, NULL), -EINVAL);
	assert_int_equal(ioc(fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, NULL), -EINVAL);
	assert_int_equal(ioc(fd, 0xbeef, NULL), -EINVAL);
	assert_int_equal(uapi_pread(fds[fd], &v, 4, 0), -EINVAL);
	assert_int_equal(uapi_pread(fds[fd], &v, 0, 0), -EINVAL);
	assert_int_equal(uapi_mmap_check(fds[fd], 4096, PROT_READ, MAP_SHARED, 0), -EINVAL);
	assert_int_equal(w.dev[0].opens, 0);
	/* it is no reason not to open the group */
	assert_true(open_fd("/dev/vfio/7") >= 0);
}

/* Each error with all that come later in the kernel's order. */
static void test_order(void **state)
{
	int fd = open_fd(CDEV(1)), io = open_fd(NODE), group;
	struct vfio_device_bind_iommufd *b = (void *)(w.mem + 4096 - sizeof(*b));
	char *big = w.mem;

	assert_int_equal(ioc(fd, VFIO_DEVICE_BIND_IOMMUFD, NULL), -EFAULT);
	memset(w.mem, 0xff, 4096);
	b->argsz = 15;
	assert_int_equal(ioc(fd, VFIO_DEVICE_BIND_IOMMUFD, b), -EINVAL);
	memset(big, 0, 4096);
	*(uint32_t *)big = 4096;
	big[4095] = 1;
	assert_int_equal(ioc(fd, VFIO_DEVICE_BIND_IOMMUFD, big), -E2BIG);
	*b = (struct vfio_device_bind_iommufd){ .argsz = sizeof(*b) + 1, .iommufd = -1 };
	assert_int_equal(ioc(fd, VFIO_DEVICE_BIND_IOMMUFD, b), -EFAULT);
	group = open_fd("/dev/vfio/7");
	*b = (struct vfio_device_bind_iommufd){ .argsz = sizeof(*b), .iommufd = -1, .flags = 1 };
	assert_int_equal(ioc(fd, VFIO_DEVICE_BIND_IOMMUFD, b), -EINVAL);
	b->iommufd = 14; /* not open */
	b->flags = 3;
	assert_int_equal(ioc(fd, VFIO_DEVICE_BIND_IOMMUFD, b), -EINVAL);
	b->flags = 1;
	assert_int_equal(ioc(fd, VFIO_DEVICE_BIND_IOMMUFD, b), -EBUSY);
	close_fd(group);
	b->token_uuid_ptr = BAD_PTR;
	assert_int_equal(ioc(fd, VFIO_DEVICE_BIND_IOMMUFD, b), -EFAULT);
	b->token_uuid_ptr = (uintptr_t) "another token..";
	assert_int_equal(ioc(fd, VFIO_DEVICE_BIND_IOMMUFD, b), -EACCES);
	b->token_uuid_ptr = (uintptr_t)TOKEN;
	assert_int_equal(ioc(fd, VFIO_DEVICE_BIND_IOMMUFD, b), -EBADF);
	b->iommufd = 15;
	assert_int_equal(ioc(fd, VFIO_DEVICE_BIND_IOMMUFD, b), -EBADFD);
	b->iommufd = fd;
	assert_int_equal(ioc(fd, VFIO_DEVICE_BIND_IOMMUFD, b), -EBADFD);
	b->iommufd = io;
	mprotect(w.mem, 4096, PROT_READ);
	assert_int_equal(ioc(fd, VFIO_DEVICE_BIND_IOMMUFD, b), -EFAULT);
	mprotect(w.mem, 4096, PROT_READ | PROT_WRITE);
	assert_int_equal(w.dev[1].opens, 0);
	assert_int_equal(get_info(fd), -EINVAL);
	assert_int_equal(ioc(fd, VFIO_DEVICE_BIND_IOMMUFD, b), 0);
	assert_int_equal(get_info(fd), 0);
	assert_int_equal(w.dev[1].opens, 1);
	b->iommufd = 14;
	assert_int_equal(ioc(fd, VFIO_DEVICE_BIND_IOMMUFD, b), -EINVAL);
}

static void test_bound(void **state)
{
	int fd = open_fd(CDEV(0)), other = open_fd(CDEV(0)), io = open_fd(NODE), io2;
	struct iommu_destroy d = { .size = sizeof(d) };
	uint32_t id = 0, id2 = 0, v = 0;

	assert_int_equal(bind_to(fd, io, &id), 0);
	assert_int_equal(id, 1);
	assert_ptr_equal(uapi_file_device(fds[fd]), &w.dev[0].vdev);
	assert_int_equal(uapi_pread(fds[fd], &v, 4, 0), 4);
	assert_int_equal(v, 0x5a5a5a5a);
	assert_int_equal(bind_to(other, io, NULL), -EINVAL);
	assert_int_equal(get_info(other), -EINVAL);
	assert_int_equal(open_fd("/dev/vfio/7"), -EBUSY);
	d.id = id;
	assert_int_equal(ioc(io, IOMMU_DESTROY, &d), -EBUSY);
	/* the other device of the group, in the same iommufd alone */
	io2 = open_fd(NODE);
	close_fd(other);
	other = open_fd(CDEV(1));
	{
		struct vfio_device_bind_iommufd b = { .argsz = sizeof(b),
						      .flags = 1,
						      .iommufd = io2,
						      .token_uuid_ptr = (uintptr_t)TOKEN };

		assert_int_equal(ioc(other, VFIO_DEVICE_BIND_IOMMUFD, &b), -EPERM);
		b.iommufd = io;
		assert_int_equal(ioc(other, VFIO_DEVICE_BIND_IOMMUFD, &b), 0);
	}
	close_fd(fd);
	assert_int_equal(open_fd("/dev/vfio/7"), -EBUSY);
	close_fd(other);
	fd = open_fd(CDEV(0));
	assert_int_equal(bind_to(fd, io2, &id2), 0);
	/* it is used after its iommufd was closed */
	close_fd(io2);
	assert_int_equal(get_info(fd), 0);
	close_fd(fd);
	assert_true(open_fd("/dev/vfio/7") >= 0);
}

static void test_device_refuses(void **state)
{
	int fd = open_fd(CDEV(0)), io = open_fd(NODE);

	w.dev[0].refuse = 1;
	assert_int_equal(bind_to(fd, io, NULL), -EIO);
	assert_int_equal(get_info(fd), -EINVAL);
	w.dev[0].refuse = 0;
	assert_int_equal(bind_to(fd, io, NULL), 0);
}

static void test_attach(void **state)
{
	int fd = open_fd(CDEV(0)), io = open_fd(NODE);
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
	struct vfio_device_attach_iommufd_pt a = { .argsz = 12 };
	struct vfio_device_detach_iommufd_pt d = { .argsz = 8 };
	struct iommu_destroy gone = { .size = sizeof(gone) };
	uint32_t *page = (uint32_t *)w.mem;

	assert_int_equal(ioc(io, IOMMU_IOAS_ALLOC, &ioas), 0);
	assert_int_equal(bind_to(fd, io, NULL), 0);
	assert_int_equal(ioc(fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, (void *)BAD_PTR), -EFAULT);
	a.pt_id = ioas.out_ioas_id;
	a.argsz = 11;
	assert_int_equal(ioc(fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &a), -EINVAL);
	a.argsz = 12;
	a.flags = 2;
	assert_int_equal(ioc(fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &a), -EINVAL);
	a.flags = VFIO_DEVICE_ATTACH_PASID;
	assert_int_equal(ioc(fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &a), -EINVAL);
	a.flags = 0;
	/* the answer cannot be written: it is detached again */
	memcpy(page, &a, 12);
	mprotect(w.mem, 4096, PROT_READ);
	assert_int_equal(ioc(fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, page), -EFAULT);
	gone.id = ioas.out_ioas_id;
	assert_int_equal(ioc(io, IOMMU_DESTROY, &gone), 0);
	assert_int_equal(ioc(fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &a), -ENOENT);

	assert_int_equal(ioc(io, IOMMU_IOAS_ALLOC, &ioas), 0);
	a.pt_id = ioas.out_ioas_id;
	assert_int_equal(ioc(fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &a), 0);
	assert_int_not_equal(a.pt_id, ioas.out_ioas_id);
	assert_int_equal(ioc(io, IOMMU_DESTROY, &gone), -EBUSY);
	assert_int_equal(ioc(fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, (void *)BAD_PTR), -EFAULT);
	d.argsz = 7;
	assert_int_equal(ioc(fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &d), -EINVAL);
	d.argsz = 8;
	d.flags = VFIO_DEVICE_DETACH_PASID;
	assert_int_equal(ioc(fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &d), -EINVAL);
	d.flags = 0;
	assert_int_equal(ioc(fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &d), 0);
	assert_int_equal(ioc(fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &d), 0);
	assert_int_equal(ioc(io, IOMMU_DESTROY, &gone), 0);
}

/* Each allocation fails in turn: an error, nothing is left, and then it works. */
static void test_no_memory(void **state)
{
	unsigned failed = 0;

	FAULT_LOOP(l, FAULT_MEMORY) {
		struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
		struct vfio_device_attach_iommufd_pt a = { .argsz = 12 };
		int fd, io = -1;
		long ret;

		fault_begin(&l);
		fd = open_fd(CDEV(0));
		if (fd >= 0)
			io = open_fd(NODE);
		ret = fd < 0 ? fd : io < 0 ? io : bind_to(fd, io, NULL);
		if (!ret)
			ret = ioc(io, IOMMU_IOAS_ALLOC, &ioas);
		a.pt_id = ioas.out_ioas_id;
		if (!ret)
			ret = ioc(fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &a);
		fault_end(&l, (int)ret);
		failed += ret != 0;
		if (fd >= 0)
			close_fd(fd);
		if (io >= 0)
			close_fd(io);
		assert_int_equal(w.dev[0].opens, 0);
		fd = open_fd("/dev/vfio/7");
		assert_true(fd >= 0);
		close_fd(fd);
	}
	assert_true(failed > 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_unbound, setup, teardown),
		cmocka_unit_test_setup_teardown(test_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bound, setup, teardown),
		cmocka_unit_test_setup_teardown(test_device_refuses, setup, teardown),
		cmocka_unit_test_setup_teardown(test_attach, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_memory, setup, teardown),
	};

	if (guard_install() || sigaction(SIGSEGV, NULL, &guarded))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
