/* SPDX-License-Identifier: BSD-3-Clause */
/* iommu/log_fault_test.c: each allocation of a log fails in turn: then it is off. */
#include "base/log.h"
#include "base/test_fault.h"
#include "iommu/device.h"
#include "iommu/log.h"

static void start(void **state)
{
	const struct iommu_log_range r[] = { { 0, 0xfff }, { 1ull << 47, (1ull << 47) + 0xfff } };
	struct iommu_device dev;
	unsigned shift;
	uint64_t bits;
	bool any;

	iommu_device_init(&dev, "dev");
	FAULT_LOOP(l, FAULT_MEMORY) {
		int rc;

		shift = 12;
		fault_begin(&l);
		rc = iommu_log_start(&dev, r, 2, &shift);
		fault_end(&l, rc);
		assert_int_equal(iommu_log_read(&dev, 0, 0xfff, 12, &bits, &any), rc ? -EINVAL : 0);
		iommu_log_stop(&dev);
		/* the log, the tree, and three nodes for each range */
		if (l.done)
			assert_true(l.failed >= 2 + 2 * 3);
	}
	iommu_device_fini(&dev);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(start) };

	log_set(-1, LOG_NONE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
