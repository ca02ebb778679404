/* SPDX-License-Identifier: BSD-3-Clause */
/* iommu/log_test.c: the log of one device: what is noted, told, and told again. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/log.h"
#include "base/rcu.h"
#include "base/util.h"
#include "iommu/device.h"
#include "iommu/log.h"

#define K4 0x1000ull
#define M2 0x200000ull
#define RW (IOMMU_READ | IOMMU_WRITE)

static char mem[64 * 4096] __attribute__((aligned(4096)));
static struct iommu_domain *d;
static struct iommu_device dev, other;
static uint64_t bits[512];

static int set_up(void **state)
{
	d = iommu_domain_new();
	iommu_device_init(&dev, "dev");
	iommu_device_init(&other, "other");
	assert_int_equal(iommu_domain_map(d, 0, mem, sizeof(mem), RW), 0);
	assert_int_equal(iommu_domain_map(d, 1ull << 40, mem, sizeof(mem), RW), 0);
	iommu_device_attach(&dev, d);
	iommu_device_attach(&other, d);
	return 0;
}

static int take_down(void **state)
{
	iommu_device_fini(&dev);
	iommu_device_fini(&other);
	iommu_domain_put(d);
	return 0;
}

static void start(uint64_t first, uint64_t last, unsigned want, unsigned get)
{
	struct iommu_log_range r = { first, last };

	assert_int_equal(iommu_log_start(&dev, &r, 1, &want), 0);
	assert_int_equal(want, get);
}

static void wrote(uint64_t iova, size_t len)
{
	static char zero[8 * 4096];

	assert_int_equal(iommu_dma_write(&dev, iova, zero, len), 0);
}

/* The bits of [@first, @last], of which there are 64 at most. */
static uint64_t look(uint64_t first, uint64_t last, unsigned shift)
{
	bool any = false;

	memset(bits, 0, sizeof(bits));
	assert_int_equal(iommu_log_read(&dev, first, last, shift, bits, &any), 0);
	assert_int_equal(any, bits[0] || bits[1]);
	return bits[0];
}

static void test_pages(void **state)
{
	struct iovec iov;

	start(0, 64 * K4 - 1, 12, 12);
	wrote(0, 1);
	wrote(3 * K4 - 1, 2);
	wrote(8 * K4, 8 * K4);
	assert_int_equal(look(0, 64 * K4 - 1, 12), 0xff0d);
	assert_int_equal(look(0, 64 * K4 - 1, 12), 0);
	/* a read is none, and another device's write neither */
	assert_int_equal(iommu_dma_read(&dev, 0, bits, 8), 0);
	assert_int_equal(iommu_dma_write(&other, 0, bits, 8), 0);
	assert_int_equal(look(0, 64 * K4 - 1, 12), 0);
	/* what is handed out to be written */
	rcu_read_begin();
	assert_int_equal(iommu_dma_sg(&dev, 5 * K4, 8, true, &iov, 1), 1);
	rcu_read_end();
	assert_int_equal(look(0, 64 * K4 - 1, 12), 1 << 5);
	/* coarser, and from the middle */
	wrote(0, 1);
	wrote(9 * K4, 1);
	wrote(17 * K4, 1);
	assert_int_equal(look(8 * K4, 64 * K4 - 1, 15), 3);
	assert_int_equal(look(0, 64 * K4 - 1, 13), 1);
	/* an abort half way */
	log_set(-1, LOG_NONE);
	assert_int_equal(iommu_dma_write(&dev, 63 * K4, mem, 2 * K4), -EFAULT);
	log_set(2, LOG_WARN);
	assert_true(look(0, 64 * K4 - 1, 12) == 1ull << 63);
	/* in another address space it is the same device */
	iommu_device_attach(&dev, NULL);
	iommu_device_attach(&dev, d);
	wrote(K4, 1);
	assert_int_equal(look(0, 64 * K4 - 1, 12), 2);
	iommu_log_again(&dev, 2 * K4, 4 * K4 - 1);
	assert_int_equal(look(0, 64 * K4 - 1, 12), 0xc);
	iommu_log_stop(&dev);
}

static void test_on_off(void **state)
{
	struct iommu_log_range r = { 0, K4 - 1 };
	unsigned shift = 12;
	bool any = false;

	iommu_log_stop(&dev);
	assert_int_equal(iommu_log_read(&dev, 0, K4 - 1, 12, bits, &any), -EINVAL);
	iommu_log_again(&dev, 0, 1);
	assert_true(iommu_log_next(&dev, 0) == UINT64_MAX);
	start(0, K4 - 1, 3, 12);
	assert_int_equal(iommu_log_start(&dev, &r, 1, &shift), -EINVAL);
	wrote(0, 1);
	iommu_log_stop(&dev);
	start(0, K4 - 1, 12, 12);
	assert_int_equal(look(0, K4 - 1, 12), 0);
	iommu_log_stop(&dev);
}

static void test_ranges(void **state)
{
	struct iommu_log_range r[] = { { 16 * K4, 20 * K4 - 1 },
				       { 1ull << 40, (1ull << 40) + K4 - 1 },
				       { 1ull << 50, (1ull << 50) + K4 - 1 },
				       { 0, K4 - 1 } };
	unsigned shift = 12;

	assert_int_equal(iommu_log_start(&dev, r, ARRAY_SIZE(r), &shift), 0);
	assert_int_equal(shift, 12);
	wrote(0, 32 * K4 / 4);
	wrote(1 * K4, 8 * K4);
	wrote(15 * K4, 8 * K4);
	wrote(1ull << 40, 2 * K4);
	/* outside of them nothing is told */
	assert_int_equal(look(0, 64 * K4 - 1, 12), 0xf0001);
	assert_int_equal(look(1ull << 40, (1ull << 40) + 64 * K4 - 1, 12), 1);
	assert_int_equal(iommu_log_next(&dev, 0), 0);
	assert_int_equal(iommu_log_next(&dev, K4), 16 * K4);
	assert_int_equal(iommu_log_next(&dev, 17 * K4), 17 * K4);
	assert_true(iommu_log_next(&dev, 20 * K4) == 1ull << 40);
	assert_true(iommu_log_next(&dev, 1ull << 41) == UINT64_MAX);
	iommu_log_stop(&dev);
}

/* All that there is: pages of 1 MiB, so that their bits fit. Part of one that is read stays. */
static void test_large(void **state)
{
	start(0, UINT64_MAX, 12, 20);
	wrote(K4, 1);
	wrote((1ull << 40) + 17 * K4, 1);
	assert_int_equal(look(0, 16 * K4 - 1, 12), 0xffff);
	assert_int_equal(look(0, 16 * K4 - 1, 12), 0xffff);
	assert_int_equal(look(0, 2 * M2 - 1, 20), 1);
	assert_int_equal(look(0, 16 * K4 - 1, 12), 0);
	assert_int_equal(look(1ull << 40, (1ull << 40) + (64 << 20) - 1, 20), 1);
	iommu_log_stop(&dev);
	/* asked for */
	start(0, 16 * M2 - 1, 21, 21);
	wrote(K4, 1);
	assert_int_equal(look(0, 16 * M2 - 1, 21), 1);
	assert_int_equal(look(0, 16 * M2 - 1, 21), 0);
	/* the range ends within a page of the log: that is all of it */
	iommu_log_stop(&dev);
	start(0, 3 * K4 - 1, 20, 20);
	wrote(0, 1);
	assert_int_equal(look(0, 3 * K4 - 1, 12), 7);
	assert_int_equal(look(0, 3 * K4 - 1, 12), 0);
	iommu_log_stop(&dev);
}

/* Pages of the log, and of a question, of which one is more than all that there can be. */
static void test_huge(void **state)
{
	for (unsigned shift = 47; shift <= 63; shift += 2) {
		start(0, UINT64_MAX, shift, shift);
		wrote(K4, 1);
		assert_int_equal(look(0, 16 * K4 - 1, 12), 0xffff);
		assert_int_equal(look(0, UINT64_MAX, 63), 1);
		assert_int_equal(look(0, UINT64_MAX, 63), 0);
		iommu_log_stop(&dev);
	}
	start(0, 64 * K4 - 1, 12, 12);
	iommu_log_again(&dev, 0, UINT64_MAX);
	iommu_log_again(&dev, 1ull << 48, UINT64_MAX);
	assert_true(look(0, 64 * K4 - 1, 12) == UINT64_MAX);
	iommu_log_stop(&dev);
}

static atomic_bool stop;
static atomic_uint written; /* how many pages, of 64, in turn */

static void *writer(void *arg)
{
	while (!atomic_load(&stop)) {
		unsigned n = atomic_load(&written);

		wrote(n % 64 * K4, 1);
		atomic_store(&written, n + 1);
	}
	return NULL;
}

/* A write that came before a read began is told by that read, or by one before it. */
static void test_none_lost(void **state)
{
	unsigned before, after, told_upto = 0;
	pthread_t t;

	start(0, 64 * K4 - 1, 12, 12);
	atomic_store(&stop, false);
	pthread_create(&t, NULL, writer, NULL);
	for (int round = 0; round < 2000; round++) {
		before = atomic_load(&written);
		look(0, 64 * K4 - 1, 12);
		after = atomic_load(&written);
		for (unsigned n = told_upto; n < before && before - told_upto < 64; n++)
			assert_true(bits[0] >> n % 64 & 1);
		/* what came while it was read may have been told, or be told next */
		told_upto = after + 1;
	}
	atomic_store(&stop, true);
	pthread_join(t, NULL);
	iommu_log_stop(&dev);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_pages, set_up, take_down),
		cmocka_unit_test_setup_teardown(test_on_off, set_up, take_down),
		cmocka_unit_test_setup_teardown(test_ranges, set_up, take_down),
		cmocka_unit_test_setup_teardown(test_large, set_up, take_down),
		cmocka_unit_test_setup_teardown(test_huge, set_up, take_down),
		cmocka_unit_test_setup_teardown(test_none_lost, set_up, take_down),
	};

	log_set(2, LOG_WARN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
