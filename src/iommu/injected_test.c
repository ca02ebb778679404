/* SPDX-License-Identifier: BSD-3-Clause */
/* iommu/injected_test.c: DMA that a user wants to go wrong (fault/fault.h). */
#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>

#include "base/guard.h"
#include "base/rcu.h"
#include "base/sys.h"
#include "fault/test_fault_table.h"
#include "iommu/device.h"

#define SIZE 0x1000u
#define IOVA 0x10000ull

static struct iommu_device dev;
static struct iommu_domain *domain;
static uint8_t *mem, buf[64];

static int setup(void **state)
{
	mem = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	iommu_device_init(&dev, "0000:01:00.0");
	domain = iommu_domain_new();
	iommu_device_attach(&dev, domain);
	faults_begin(1);
	memset(buf, 0x55, sizeof(buf));
	return guard_install() ||
	       iommu_domain_map(domain, IOVA, mem, SIZE, IOMMU_READ | IOMMU_WRITE);
}

static int teardown(void **state)
{
	faults_end();
	iommu_device_fini(&dev);
	iommu_domain_put(domain);
	munmap(mem, SIZE);
	return 0;
}

static void test_abort(void **state)
{
	faults_add("dma-write=abort,addr=0x10040,times=1");
	assert_int_equal(iommu_dma_write(&dev, IOVA, buf, 64), 0);
	assert_int_equal(iommu_dma_write(&dev, IOVA + 1, buf, 64), -EFAULT);
	assert_int_equal(mem[64], 0);
	assert_int_equal(atomic_load(&dev.faults), 1);
	assert_int_equal(iommu_dma_read(&dev, IOVA + 1, buf, 64), 0);
	assert_int_equal(iommu_dma_write(&dev, IOVA + 1, buf, 64), 0);
	/* nothing is no access */
	faults_add("dma");
	assert_int_equal(iommu_dma_write(&dev, IOVA, buf, 0), 0);
	assert_int_equal(iommu_dma_read(&dev, IOVA, buf, 64), -EFAULT);
}

/* Return how many bits of @p, which are all @byte, are others. */
static unsigned differ(const uint8_t *p, unsigned n, uint8_t byte)
{
	unsigned bits = 0;

	for (unsigned i = 0; i < n; i++)
		bits += (unsigned)__builtin_popcount(p[i] ^ byte);
	return bits;
}

static void test_corrupt(void **state)
{
	uint8_t before[64];

	faults_add("dma=corrupt");
	assert_int_equal(iommu_dma_write(&dev, IOVA, buf, 64), 0);
	assert_int_equal(differ(mem, 64, 0x55), 1);
	assert_int_equal(differ(buf, 64, 0x55), 0);
	memcpy(before, mem, 64);
	assert_int_equal(iommu_dma_read(&dev, IOVA + 64, buf, 64), 0);
	assert_int_equal(differ(buf, 64, 0), 1);
	assert_memory_equal(mem, before, 64);
	/* what is not mapped stays an error of the driver's */
	assert_int_equal(iommu_dma_read(&dev, 0, buf, 64), -EFAULT);
}

static void test_delay(void **state)
{
	uint64_t start = now_ns();

	faults_add("dma=delay:20ms,times=1");
	assert_int_equal(iommu_dma_write(&dev, IOVA, buf, 64), 0);
	assert_true(now_ns() - start >= 20000000);
	assert_int_equal(mem[63], 0x55);
}

/* A device with pointers to memory would do what nobody sees. */
static void test_no_pointers(void **state)
{
	struct iovec iov;

	rcu_read_begin();
	assert_int_equal(iommu_dma_sg(&dev, IOVA, 64, true, &iov, 1), 1);
	faults_add("dma-write=count");
	assert_int_equal(iommu_dma_sg(&dev, IOVA, 64, true, &iov, 1), -E2BIG);
	assert_int_equal(iommu_dma_sg(&dev, IOVA, 64, false, &iov, 1), 1);
	rcu_read_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_abort, setup, teardown),
		cmocka_unit_test_setup_teardown(test_corrupt, setup, teardown),
		cmocka_unit_test_setup_teardown(test_delay, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_pointers, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
