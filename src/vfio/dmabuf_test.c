/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/dmabuf_test.c: dma-bufs: of what they can be, when they are revoked, and what an IOAS makes
 * of one.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/udmabuf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/log.h"
#include "base/rcu.h"
#include "iommu/peer.h"
#include "vfio/dmabuf.h"
#include "vfio/internal.h"
#include "vfio/iommufd.h"

#define PAGE 4096ull
#define SIZE (4 * PAGE)

static struct {
	struct vfio_system *sys;
	struct iommu_group *ig;
	struct iommu_device requester;
	struct vfio_group *group;
	struct vfio_device dev;
	struct vfio_iommufd *ictx;
	struct vfio_open o;
	uint32_t ioas;
	bool answers;
	struct iommu_target *target;
	uint8_t bar0[SIZE];
} w;

static int on_access(void *arg, struct iommu_device *from, unsigned bar, uint64_t off, void *buf,
		     size_t len, bool write)
{
	assert_ptr_equal(from, &w.requester);
	assert_int_equal(bar, 0);
	assert_true(range_within(off, len, SIZE));
	if (write)
		memcpy(w.bar0 + off, buf, len);
	else
		memcpy(buf, w.bar0 + off, len);
	return 0;
}

static struct iommu_target *dev_target(struct vfio_device *dev)
{
	return w.target;
}

static int dev_open(struct vfio_device *dev)
{
	return 0;
}

static void dev_close(struct vfio_device *dev)
{
}

/* BAR 0 is memory, 1 is I/O */
static int dev_region(struct vfio_device *dev, uint32_t index, struct vfio_region *out)
{
	if (index <= 1 || index == VFIO_PCI_CONFIG_REGION_INDEX)
		*out = (struct vfio_region){ .flags = 3, .size = SIZE };
	return index < VFIO_PCI_NUM_REGIONS ? 0 : -EINVAL;
}

static int dev_check_dmabuf(struct vfio_device *dev, uint32_t index)
{
	return index ? -EINVAL : 0;
}

static bool dev_memory_answers(struct vfio_device *dev)
{
	return w.answers;
}

static const struct vfio_device_ops ops = { .open = dev_open,
					    .close = dev_close,
					    .region = dev_region,
					    .check_dmabuf = dev_check_dmabuf,
					    .memory_answers = dev_memory_answers,
					    .target = dev_target };

static int put_id(void *id, uint32_t value)
{
	*(uint32_t *)id = value;
	return 0;
}

static int setup(void **state)
{
	uint32_t id;

	memset(&w, 0, sizeof(w));
	log_set(2, LOG_ERR);
	w.sys = vfio_system_new(NULL, NULL);
	w.ig = iommu_group_new(1);
	iommu_device_init(&w.requester, "0000:01:00.0");
	iommu_group_add(w.ig, &w.requester);
	vfio_system_add_group(w.sys, w.ig, &w.group);
	vfio_device_init(&w.dev, &ops, "0000:01:00.0", &w.requester);
	w.dev.num_regions = VFIO_PCI_NUM_REGIONS;
	vfio_group_add_device(w.group, &w.dev);
	w.ictx = vfio_iommufd_new(w.sys);
	vfio_open_init(&w.o, &w.dev);
	assert_int_equal(vfio_open_bind_iommufd(&w.o, w.ictx, put_id, &id), 0);
	assert_int_equal(vfio_iommufd_ioas_alloc(w.ictx, &w.ioas), 0);
	vfio_iommufd_publish(w.ictx, w.ioas);
	w.answers = true;
	w.target = iommu_target_new("0000:01:00.0", on_access, &w);
	assert_non_null(w.target);
	return 0;
}

static int teardown(void **state)
{
	vfio_open_close(&w.o);
	vfio_iommufd_put(w.ictx);
	vfio_group_remove_device(w.group, &w.dev);
	vfio_device_fini(&w.dev);
	vfio_system_free(w.sys);
	iommu_group_remove(w.ig, &w.requester);
	iommu_group_free(w.ig);
	iommu_device_fini(&w.requester);
	iommu_target_put(w.target);
	return 0;
}

static int make(uint32_t index, uint64_t offset, uint64_t length, struct vfio_dmabuf **out)
{
	const struct vfio_dma_range r = { offset, length };

	return vfio_dmabuf_new(&w.o, index, &r, 1, out);
}

static int import(struct vfio_dmabuf *b, uint64_t start, uint64_t length)
{
	struct vfio_dmabuf_import *i = NULL;
	int ret = vfio_dmabuf_import(b, start, length, &i);

	vfio_dmabuf_import_free(i);
	return ret;
}

static void what_it_can_be_of(void **state)
{
	const struct vfio_dma_range two[] = { { 0, PAGE }, { 0, PAGE } };
	struct vfio_dmabuf *b = NULL;

	assert_true(vfio_device_has_dmabuf(&w.o));
	assert_int_equal(vfio_dmabuf_check(&w.o, 0), 0);
	assert_int_equal(vfio_dmabuf_check(&w.o, 1), 0);
	assert_int_equal(vfio_dmabuf_check(&w.o, 2), -ENODEV);
	assert_int_equal(vfio_dmabuf_check(&w.o, VFIO_PCI_ROM_REGION_INDEX), -ENODEV);
	assert_int_equal(vfio_dmabuf_check(&w.o, VFIO_PCI_CONFIG_REGION_INDEX), -ENODEV);
	assert_int_equal(vfio_dmabuf_check(&w.o, 99), -ENODEV);
	assert_int_equal(make(0, 1, PAGE, &b), -EINVAL);
	assert_int_equal(make(0, 0, 1, &b), -EINVAL);
	assert_int_equal(make(0, 0, 0, &b), -EINVAL);
	assert_int_equal(make(0, 0, SIZE + PAGE, &b), -EINVAL);
	assert_int_equal(make(0, SIZE, PAGE, &b), -EINVAL);
	assert_int_equal(make(0, -PAGE, PAGE, &b), -EOVERFLOW);
	assert_int_equal(make(0, 0, 1ull << 63, &b), -EINVAL);
	assert_int_equal(make(1, 0, PAGE, &b), -EINVAL);
	assert_null(b);
	assert_int_equal(make(0, PAGE, SIZE - PAGE, &b), 0);
	assert_int_equal(import(b, 0, SIZE - PAGE), 0);
	assert_int_equal(import(b, PAGE, SIZE - PAGE), -EINVAL);
	assert_int_equal(import(b, UINT64_MAX, 2), -EINVAL);
	vfio_dmabuf_put(b);
	/* of several ranges there can be one, but no IOAS takes it */
	assert_int_equal(vfio_dmabuf_new(&w.o, 0, two, 2, &b), 0);
	assert_int_equal(import(b, 0, PAGE), -EOPNOTSUPP);
	vfio_dmabuf_put(b);
}

static void revoked(void **state)
{
	struct vfio_dmabuf *b, *other;

	w.answers = false; /* also at its making */
	assert_int_equal(make(0, 0, PAGE, &b), 0);
	assert_int_equal(make(0, 0, PAGE, &other), 0);
	assert_int_equal(import(b, 0, PAGE), -ENODEV);
	w.answers = true;
	assert_int_equal(import(b, 0, PAGE), 0);
	vfio_dmabuf_put(other);
	/* closed: for good */
	vfio_open_close(&w.o);
	assert_int_equal(import(b, 0, PAGE), -ENODEV);
	vfio_dmabuf_put(b);
}

static int map(struct vfio_dmabuf *b, uint64_t start, uint64_t length, uint64_t iova)
{
	int fd = open("/dev/null", O_RDWR), ret;

	ret = vfio_iommufd_ioas_map_dmabuf(w.ictx, w.ioas, fd, b, start, length, 3, true, &iova);
	close(fd);
	return ret;
}

static int put(uint64_t iova, uint8_t byte)
{
	return iommu_dma_write(&w.requester, iova, &byte, 1);
}

/* Mapped before a device comes, and after: devices reach the BAR. */
static void mapped(void **state)
{
	struct iovec iov;
	struct vfio_dmabuf *b;
	uint64_t iova, bytes, locked = atomic_load(&w.sys->ioases.pages_locked);
	uint32_t pt = w.ioas, got = 0;

	assert_int_equal(make(0, PAGE, 2 * PAGE, &b), 0);
	for (unsigned attached = 0; attached < 2; attached++) {
		if (attached)
			assert_int_equal(vfio_iommufd_attach(&w.dev, &pt, NULL), 0);
		iova = 0x100000 + 0x100000 * attached;
		w.answers = false;
		assert_int_equal(map(b, 0, PAGE, iova), -ENODEV);
		w.answers = true;
		assert_int_equal(map(b, 0, 3 * PAGE, iova), -EINVAL);
		assert_int_equal(map(b, 0, 2 * PAGE, iova), 0);
		assert_int_equal(map(b, PAGE, PAGE, iova), -EEXIST);
	}
	assert_int_equal(map(b, PAGE, PAGE, 0x300000), 0);
	assert_int_equal(atomic_load(&w.sys->ioases.pages_locked), locked);
	vfio_dmabuf_put(b); /* the mapping does not need it */
	assert_int_equal(put(0x100000 + 2 * PAGE - 1, 1), 0);
	assert_int_equal(put(0x200007, 2), 0);
	assert_int_equal(put(0x300001, 3), 0);
	assert_int_equal(w.bar0[3 * PAGE - 1], 1);
	assert_int_equal(w.bar0[PAGE + 7], 2);
	assert_int_equal(w.bar0[2 * PAGE + 1], 3);
	assert_int_equal(iommu_dma_read(&w.requester, 0x100004, &got, 4), 0);
	assert_int_equal(got, 0x02000000);
	rcu_read_begin();
	assert_int_equal(iommu_dma_sg(&w.requester, 0x100004, 4, false, &iov, 1), -E2BIG);
	rcu_read_end();
	assert_int_equal(vfio_iommufd_ioas_unmap(w.ictx, w.ioas, 0, UINT64_MAX, &bytes), 0);
	assert_int_equal(bytes, 5 * PAGE);
	assert_int_equal(put(0x200007, 2), -EFAULT);
	assert_int_equal(atomic_load(&w.sys->ioases.pages_locked), locked);
}

/* Mappings from before the BAR ceased to answer lead nowhere any more; a new one leads there. */
static void cut_off(void **state)
{
	struct vfio_device other = { .group = w.group };
	struct vfio_dmabuf *b;
	uint32_t pt = w.ioas;
	uint64_t bytes;

	assert_int_equal(vfio_iommufd_attach(&w.dev, &pt, NULL), 0);
	assert_int_equal(make(0, 0, PAGE, &b), 0);
	assert_int_equal(map(b, 0, PAGE, 0x100000), 0);
	vfio_dmabufs_cut(&other);
	assert_int_equal(put(0x100000, 1), 0);
	vfio_dmabufs_cut(&w.dev);
	assert_int_equal(put(0x100000, 1), -EFAULT);
	assert_int_equal(map(b, 0, PAGE, 0x100000), -EEXIST);
	assert_int_equal(map(b, 0, PAGE, 0x200000), 0);
	assert_int_equal(put(0x200000, 1), 0);
	assert_int_equal(put(0x100000, 1), -EFAULT);
	assert_int_equal(vfio_iommufd_ioas_unmap(w.ictx, w.ioas, 0x100000, PAGE, &bytes), 0);
	assert_int_equal(map(b, 0, PAGE, 0x100000), 0);
	assert_int_equal(put(0x100000, 1), 0);
	/* lost */
	iommu_target_lose(w.target);
	assert_int_equal(put(0x100000, 1), -EFAULT);
	vfio_dmabuf_put(b);
}

/* A dma-buf of the kernel's own, where it has udmabuf: the answers of Linux 7.3. */
static void of_the_kernel(void **state)
{
	const struct {
		uint64_t start, length;
		int answer;
	} cases[] = { { 0, PAGE, -EOPNOTSUPP },
		      { 0, SIZE, -EOPNOTSUPP },
		      { 0, SIZE + PAGE, -EINVAL },
		      { SIZE, PAGE, -EINVAL },
		      { 0, 0, -EINVAL },
		      { 1, PAGE, -EOPNOTSUPP },
		      { 100, SIZE - 100, -EOPNOTSUPP },
		      { 100, SIZE - 99, -EINVAL } };
	int node = open("/dev/udmabuf", O_RDWR), mem, fd;
	struct udmabuf_create c = { .flags = UDMABUF_FLAGS_CLOEXEC, .size = SIZE };
	uint64_t iova = 0x100000;

	if (node < 0)
		skip();
	mem = memfd_create("udmabuf", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_int_equal(ftruncate(mem, SIZE), 0);
	assert_int_equal(fcntl(mem, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	c.memfd = (uint32_t)mem;
	fd = ioctl(node, UDMABUF_CREATE, &c);
	assert_true(fd >= 0);
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(vfio_iommufd_ioas_map_file(w.ictx, w.ioas, fd, false,
							    cases[i].start, cases[i].length, 3,
							    true, &iova),
				 cases[i].answer);
	close(fd);
	close(mem);
	close(node);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_it_can_be_of, setup, teardown),
		cmocka_unit_test_setup_teardown(revoked, setup, teardown),
		cmocka_unit_test_setup_teardown(mapped, setup, teardown),
		cmocka_unit_test_setup_teardown(cut_off, setup, teardown),
		cmocka_unit_test_setup_teardown(of_the_kernel, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
