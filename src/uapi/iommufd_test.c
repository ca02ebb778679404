/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * uapi/iommufd_test.c: ioctls of /dev/iommu as bytes: structs of other sizes, memory that is not
 * there, and the files that it gives. (The answers as a whole are tests/iommufd's.)
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>

#include "base/log.h"
#include "base/test_signals.h"
#include "uapi/internal.h"

#define BAD_PTR 8ul /* page 0 is never mapped */

static struct uapi_file *file, *installed;
static int install_error;

static struct uapi_file *test_fget(void *arg, int fd, int *err)
{
	*err = -EBADF;
	return NULL;
}

static int test_install(void *arg, struct uapi_file *f, int flags)
{
	if (install_error)
		return install_error;
	installed = f;
	return 77;
}

static struct vfio_system *sys;

static int setup(void **state)
{
	const struct uapi_fds fds = { .fget = test_fget, .install = test_install };

	sys = vfio_system_new(NULL, NULL);
	install_error = 0;
	return guard_install() || uapi_open(sys, &fds, "/dev/iommu", O_RDWR, &file);
}

static int teardown(void **state)
{
	uapi_file_put(file);
	vfio_system_free(sys);
	return 0;
}

static void sizes(void **state)
{
	uint8_t buf[8192] = { 0 };
	struct iommu_ioas_alloc *a = (void *)buf;
	char *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	munmap(pages + 4096, 4096);
	a->size = 11;
	assert_int_equal(uapi_ioctl(file, IOMMU_IOAS_ALLOC, (unsigned long)a), -EINVAL);
	a->size = sizeof(buf);
	assert_int_equal(uapi_ioctl(file, IOMMU_IOAS_ALLOC, (unsigned long)a), 0);
	assert_int_equal(a->out_ioas_id, 1);
	buf[8191] = 1;
	assert_int_equal(uapi_ioctl(file, IOMMU_IOAS_ALLOC, (unsigned long)a), -E2BIG);
	a->size = 8191;
	a->out_ioas_id = 0;
	assert_int_equal(uapi_ioctl(file, IOMMU_IOAS_ALLOC, (unsigned long)a), 0);
	assert_int_equal(a->out_ioas_id, 2);
	/* the end of memory: a byte that is not 0 before it is seen first */
	a = (void *)(pages + 4096 - 16);
	a->size = 64;
	assert_int_equal(uapi_ioctl(file, IOMMU_IOAS_ALLOC, (unsigned long)a), -EFAULT);
	((uint8_t *)a)[13] = 1;
	assert_int_equal(uapi_ioctl(file, IOMMU_IOAS_ALLOC, (unsigned long)a), -E2BIG);
	assert_int_equal(uapi_ioctl(file, IOMMU_IOAS_ALLOC, BAD_PTR), -EFAULT);
	assert_int_equal(uapi_ioctl(file, _IOC(0, 'x', 0x81, 0), BAD_PTR), -EFAULT);
	a->size = 12;
	assert_int_equal(uapi_ioctl(file, _IOC(0, 'x', 0x81, 0), (unsigned long)a), -ENOTTY);
	assert_int_equal(uapi_ioctl(file, _IO(';', 0x96), BAD_PTR), -ENOTTY);
	/* one that cannot be told is not there */
	mprotect(pages, 4096, PROT_READ);
	assert_int_equal(uapi_ioctl(file, IOMMU_IOAS_ALLOC, (unsigned long)a), -EFAULT);
	a = (void *)buf;
	a->size = 12;
	assert_int_equal(uapi_ioctl(file, IOMMU_IOAS_ALLOC, (unsigned long)a), 0);
	assert_int_equal(a->out_ioas_id, 3);
	munmap(pages, 4096);
}

static void fault_queue(void **state)
{
	struct iommu_fault_alloc q = { .size = sizeof(q) };
	struct iommu_destroy d = { .size = sizeof(d) };
	struct iommu_hwpt_page_response r = { 0 };
	struct iommu_hwpt_pgfault p;

	install_error = -EMFILE;
	assert_int_equal(uapi_ioctl(file, IOMMU_FAULT_QUEUE_ALLOC, (unsigned long)&q), -EMFILE);
	install_error = 0;
	assert_int_equal(uapi_ioctl(file, IOMMU_FAULT_QUEUE_ALLOC, (unsigned long)&q), 0);
	assert_int_equal(q.out_fault_id, 1);
	assert_int_equal(q.out_fault_fd, 77);
	assert_string_equal(uapi_file_link(installed), "anon_inode:[iommufd-pgfault]");
	assert_int_equal(uapi_read(installed, &p, sizeof(p)), 0);
	assert_int_equal(uapi_read(installed, &p, 39), -ESPIPE);
	assert_int_equal(uapi_pread(installed, &p, sizeof(p), 0), -ESPIPE);
	assert_int_equal(uapi_write(installed, &r, sizeof(r)), -EINVAL);
	assert_int_equal(uapi_write(installed, (void *)BAD_PTR, sizeof(r)), -EFAULT);
	assert_int_equal(uapi_ioctl(installed, IOMMU_DESTROY, (unsigned long)&d), -ENOTTY);
	d.id = 1;
	assert_int_equal(uapi_ioctl(file, IOMMU_DESTROY, (unsigned long)&d), -EBUSY);
	uapi_file_put(installed);
	assert_int_equal(uapi_ioctl(file, IOMMU_DESTROY, (unsigned long)&d), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(sizes, setup, teardown),
		cmocka_unit_test_setup_teardown(fault_queue, setup, teardown),
	};

	log_set(2, LOG_NONE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
