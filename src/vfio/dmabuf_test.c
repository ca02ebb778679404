/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/dmabuf_test.c: dma-bufs: of what they can be, when they are revoked, and what an IOAS makes
 * of one.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/log.h"
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
} w;

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
					    .memory_answers = dev_memory_answers };

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
	return 0;
}

static int make(uint32_t index, uint64_t offset, uint64_t length, struct vfio_dmabuf **out)
{
	const struct vfio_dma_range r = { offset, length };

	return vfio_dmabuf_new(&w.o, index, &r, 1, out);
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
	assert_int_equal(vfio_dmabuf_can_map(b, 0, SIZE - PAGE), 0);
	assert_int_equal(vfio_dmabuf_can_map(b, PAGE, SIZE - PAGE), -EINVAL);
	assert_int_equal(vfio_dmabuf_can_map(b, UINT64_MAX, 2), -EINVAL);
	vfio_dmabuf_put(b);
	/* of several ranges there can be one, but no IOAS takes it */
	assert_int_equal(vfio_dmabuf_new(&w.o, 0, two, 2, &b), 0);
	assert_int_equal(vfio_dmabuf_can_map(b, 0, PAGE), -EOPNOTSUPP);
	vfio_dmabuf_put(b);
}

static void revoked(void **state)
{
	struct vfio_dmabuf *b, *other;

	w.answers = false; /* also at its making */
	assert_int_equal(make(0, 0, PAGE, &b), 0);
	assert_int_equal(make(0, 0, PAGE, &other), 0);
	assert_int_equal(vfio_dmabuf_can_map(b, 0, PAGE), -ENODEV);
	w.answers = true;
	assert_int_equal(vfio_dmabuf_can_map(b, 0, PAGE), 0);
	vfio_dmabuf_put(other);
	/* closed: for good */
	vfio_open_close(&w.o);
	assert_int_equal(vfio_dmabuf_can_map(b, 0, PAGE), -ENODEV);
	vfio_dmabuf_put(b);
}

/* What is mapped is in the IOAS, and in no page table: a device's access aborts. */
static void mapped(void **state)
{
	int fd = open("/dev/null", O_RDWR);
	uint64_t iova = 0x100000, bytes;
	uint32_t pt = w.ioas, byte = 1;
	struct vfio_dmabuf *b;

	assert_int_equal(make(0, 0, 2 * PAGE, &b), 0);
	for (unsigned attached = 0; attached < 2; attached++) {
		if (attached) {
			assert_int_equal(vfio_iommufd_attach(&w.dev, &pt, NULL), 0);
			assert_int_equal(iommu_dma_write(&w.requester, iova, &byte, 1), -EFAULT);
		}
		iova = 0x100000 + 0x100000 * attached;
		w.answers = false;
		assert_int_equal(vfio_iommufd_ioas_map_dmabuf(w.ictx, w.ioas, fd, b, 0, PAGE, 3,
							      true, &iova),
				 -ENODEV);
		w.answers = true;
		assert_int_equal(vfio_iommufd_ioas_map_dmabuf(w.ictx, w.ioas, fd, b, 0, 3 * PAGE, 3,
							      true, &iova),
				 -EINVAL);
		assert_int_equal(vfio_iommufd_ioas_map_dmabuf(w.ictx, w.ioas, fd, b, 0, 2 * PAGE, 3,
							      true, &iova),
				 0);
		assert_int_equal(vfio_iommufd_ioas_map_dmabuf(w.ictx, w.ioas, fd, b, PAGE, PAGE, 3,
							      true, &iova),
				 -EEXIST);
	}
	assert_int_equal(iommu_dma_write(&w.requester, iova, &byte, 1), -EFAULT);
	vfio_dmabuf_put(b); /* the mapping does not need it */
	assert_int_equal(vfio_iommufd_ioas_unmap(w.ictx, w.ioas, 0, UINT64_MAX, &bytes), 0);
	assert_int_equal(bytes, 4 * PAGE);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_it_can_be_of, setup, teardown),
		cmocka_unit_test_setup_teardown(revoked, setup, teardown),
		cmocka_unit_test_setup_teardown(mapped, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
