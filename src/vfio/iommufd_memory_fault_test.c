/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/iommufd_memory_fault_test.c: each allocation of an iommufd fails in turn: the call says so,
 * and nothing of it is left.
 */
#include "base/log.h"
#include "base/test_fault.h"
#include "vfio/iommufd_objects.h"
#include "vfio/test_iommufd.h"

#define K  4096ull
#define RW (IOMMU_READ | IOMMU_WRITE)

static void every_allocation(void **state)
{
	struct test_machine *t = *state;
	struct vfio_device *dev = &t->dev[0].vdev;
	struct iommu_hwpt_alloc c = { 0 };
	struct iommu_ioas_copy copy = { .flags = IOMMU_IOAS_MAP_FIXED_IOVA, .length = 4 * K };
	struct vfio_iommufd *ictx = NULL;
	struct vfio_iommufd_fault *q;
	uint32_t a = 0, b = 0, id = 0, pt;
	uint64_t iova, bytes;
	struct vfio_open o;
	char *mem;
	int rc;

	mem = mmap(NULL, 4 * K, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	FAULT_LOOP(l, FAULT_MEMORY) {
		fault_begin(&l);
		ictx = vfio_iommufd_new(t->sys);
		fault_end(&l, ictx ? 0 : -ENOMEM);
	}
	FAULT_LOOP(l, FAULT_MEMORY) {
		fault_begin(&l);
		rc = vfio_iommufd_ioas_alloc(ictx, &a);
		fault_end(&l, rc);
		assert_int_equal(ictx->count, !rc);
	}
	vfio_iommufd_publish(ictx, a);
	assert_int_equal(vfio_iommufd_ioas_alloc(ictx, &b), 0);
	vfio_iommufd_publish(ictx, b);
	vfio_open_init(&o, dev);
	FAULT_LOOP(l, FAULT_MEMORY) {
		fault_begin(&l);
		rc = test_bind(&o, ictx, &id);
		fault_end(&l, rc);
		assert_int_equal(ictx->count, rc ? 2 : 3);
		assert_int_equal(t->dev[0].opens, !rc);
	}
	/* memory, and then the page table that it goes into */
	FAULT_LOOP(l, FAULT_MEMORY) {
		iova = 0;
		fault_begin(&l);
		rc = vfio_iommufd_ioas_map(ictx, a, (uintptr_t)mem, 4 * K, RW, true, &iova);
		fault_end(&l, rc);
	}
	FAULT_LOOP(l, FAULT_MEMORY) {
		pt = a;
		fault_begin(&l);
		rc = vfio_iommufd_attach(dev, &pt, NULL);
		fault_end(&l, rc);
		assert_int_equal(ictx->count, rc ? 3 : 4);
		assert_int_equal(atomic_load(&t->sys->ioases.pages_locked), rc ? 0 : 4);
		assert_int_equal(atomic_load(&t->sys->ioases.mappings), !rc);
	}
	/* a second one, a copy, memory where there are page tables */
	c.dev_id = id;
	c.pt_id = a;
	FAULT_LOOP(l, FAULT_MEMORY) {
		fault_begin(&l);
		rc = vfio_iommufd_hwpt_alloc(ictx, &c, &pt);
		fault_end(&l, rc);
		assert_int_equal(atomic_load(&t->sys->ioases.mappings), rc ? 1 : 2);
	}
	vfio_iommufd_publish(ictx, pt);
	copy.src_ioas_id = copy.dst_ioas_id = a;
	FAULT_LOOP(l, FAULT_MEMORY) {
		iova = 16 * K;
		fault_begin(&l);
		rc = vfio_iommufd_ioas_copy(ictx, &copy, RW, &iova);
		fault_end(&l, rc);
		assert_int_equal(atomic_load(&t->sys->ioases.mappings), rc ? 2 : 4);
		assert_int_equal(atomic_load(&t->sys->ioases.pages_locked), 4);
	}
	FAULT_LOOP(l, FAULT_MEMORY) {
		iova = 1ull << 40;
		fault_begin(&l);
		rc = vfio_iommufd_ioas_map(ictx, a, (uintptr_t)mem, 2 * K, RW, true, &iova);
		fault_end(&l, rc);
		assert_int_equal(atomic_load(&t->sys->ioases.mappings), rc ? 4 : 6);
		assert_int_equal(atomic_load(&t->sys->ioases.pages_locked), rc ? 4 : 6);
	}
	/* to another IOAS: what fails leaves the old attachment */
	FAULT_LOOP(l, FAULT_MEMORY) {
		uint32_t to = b;

		fault_begin(&l);
		rc = vfio_iommufd_attach(dev, &to, NULL);
		fault_end(&l, rc);
		assert_int_equal(vfio_iommufd_destroy(ictx, b), rc ? 0 : -EBUSY);
		if (!rc)
			continue;
		assert_int_equal(vfio_iommufd_ioas_alloc(ictx, &b), 0);
		vfio_iommufd_publish(ictx, b);
	}
	FAULT_LOOP(l, FAULT_MEMORY) {
		fault_begin(&l);
		rc = vfio_iommufd_fault_alloc(ictx, &id, &q);
		fault_end(&l, rc);
	}
	vfio_iommufd_publish(ictx, id);
	vfio_iommufd_fault_release(q);
	/* an unmap needs none, nor does a close */
	fault_set(FAULT_MEMORY, 1);
	assert_int_equal(vfio_iommufd_ioas_unmap(ictx, a, 0, UINT64_MAX, &bytes), 0);
	assert_int_equal(bytes, 10 * K);
	vfio_open_close(&o);
	vfio_iommufd_put(ictx);
	assert_false(fault_clear());
	assert_int_equal(atomic_load(&t->sys->ioases.pages_locked), 0);
	assert_true(cds_list_empty(&t->sys->ioases.spaces));
	munmap(mem, 4 * K);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_allocation, test_machine_new,
						test_machine_free),
	};

	log_set(2, LOG_NONE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
