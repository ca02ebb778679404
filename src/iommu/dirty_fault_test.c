/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * iommu/dirty_fault_test.c: each allocation of dirty tracking fails in turn: it is off then, or
 * nothing is mapped, and what was there and was noted stays.
 */
#include "base/log.h"
#include "base/rcu.h"
#include "base/test_fault.h"
#include "iommu/device.h"

#define K4 0x1000ull
#define RW (IOMMU_READ | IOMMU_WRITE)

static char page[4096] __attribute__((aligned(4096)));

static bool is_mapped(struct iommu_domain *d, uint64_t iova)
{
	enum iommu_fault_reason why;
	uint64_t contig;
	void *p;

	rcu_read_begin();
	p = iommu_domain_translate(d, iova, 0, &contig, &why);
	rcu_read_end();
	return p;
}

static void start(void **state)
{
	uint64_t bits;

	FAULT_LOOP(l, FAULT_MEMORY) {
		struct iommu_domain *d = iommu_domain_new();
		int rc;

		assert_int_equal(iommu_domain_map(d, 0, page, K4, RW), 0);
		assert_int_equal(iommu_domain_map(d, 1ull << 47, page, K4, RW), 0);
		fault_begin(&l);
		rc = iommu_domain_dirty_start(d);
		fault_end(&l, rc);
		bits = 0;
		assert_int_equal(iommu_domain_dirty_read(d, 0, K4, K4, true, &bits),
				 rc ? -EINVAL : 0);
		iommu_domain_put(d);
		/* the tree, and three nodes for each page */
		if (l.done)
			assert_true(l.failed >= 1 + 2 * 3);
	}
}

static void map(void **state)
{
	const uint64_t iova = (1ull << 40) - 2 * K4;
	struct iommu_domain *d = iommu_domain_new();
	struct iommu_device dev;
	uint64_t bits = 0;

	iommu_device_init(&dev, "dev");
	iommu_device_attach(&dev, d);
	assert_int_equal(iommu_domain_map(d, 0, page, K4, RW), 0);
	assert_int_equal(iommu_domain_dirty_start(d), 0);
	assert_int_equal(iommu_dma_write(&dev, 0, &bits, 8), 0);
	FAULT_LOOP(l, FAULT_MEMORY) {
		int rc;

		fault_begin(&l);
		rc = iommu_domain_map(d, iova, page, 4 * K4, RW);
		fault_end(&l, rc);
		for (unsigned i = 0; i < 4; i++)
			assert_int_equal(is_mapped(d, iova + i * K4), !rc);
		assert_true(is_mapped(d, 0));
		if (l.done)
			assert_true(l.failed >= 4);
	}
	/* tables that were made for it are not left half used: it can go, and come again */
	assert_int_equal(iommu_domain_unmap(d, iova, 4 * K4), 4 * K4);
	assert_int_equal(iommu_domain_map(d, iova, page, K4, RW), 0);
	assert_int_equal(iommu_dma_write(&dev, iova, &bits, 8), 0);
	assert_int_equal(iommu_domain_dirty_read(d, 0, K4, K4, true, &bits), 0);
	assert_int_equal(bits, 1);
	bits = 0;
	assert_int_equal(iommu_domain_dirty_read(d, iova, 4 * K4, K4, true, &bits), 0);
	assert_int_equal(bits, 1);
	iommu_device_fini(&dev);
	iommu_domain_put(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(start), cmocka_unit_test(map) };

	log_set(2, LOG_NONE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
