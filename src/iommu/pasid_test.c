/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * iommu/pasid_test.c: domains of PASIDs: who sees which memory, groups, page requests of a PASID,
 * and a table that changes while a device is at work.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "base/guard.h"
#include "base/log.h"
#include "base/rcu.h"
#include "base/util.h"
#include "iommu/group.h"
#include "iommu/page_request.h"

static char page[3][4096] __attribute__((aligned(4096)));
static struct iommu_domain *d[3];
static struct iommu_device dev;

static int setup(void **state)
{
	memset(page, 0, sizeof(page));
	for (unsigned i = 0; i < 3; i++) {
		d[i] = iommu_domain_new();
		if (iommu_domain_map(d[i], 0x1000, page[i], 4096, IOMMU_READ | IOMMU_WRITE))
			return -1;
		page[i][0] = (char)('a' + i);
	}
	iommu_device_init(&dev, "dev");
	return guard_install() || iommu_pasid_add(&dev, 20, false);
}

static int teardown(void **state)
{
	iommu_device_fini(&dev);
	for (unsigned i = 0; i < 3; i++)
		iommu_domain_put(d[i]);
	return 0;
}

/* Return the byte that the device reads with @pasid, or 0: it is aborted. */
static char reads(uint32_t pasid)
{
	char c = 0;

	return iommu_dma_read_pasid(&dev, pasid, 0x1000, &c, 1) ? 0 : c;
}

static void each_its_own(void **state)
{
	iommu_device_attach(&dev, d[0]);
	assert_int_equal(iommu_pasid_attach(&dev, 1, d[1]), 0);
	assert_int_equal(iommu_pasid_attach(&dev, 0xfffff, d[2]), 0);
	assert_int_equal(reads(IOMMU_NO_PASID), 'a');
	assert_int_equal(reads(1), 'b');
	assert_int_equal(reads(0xfffff), 'c');
	assert_int_equal(reads(2), 0);
	assert_int_equal(reads(0x800), 0);
	assert_int_equal(reads(0x100000), 0); /* wider than it has */
	assert_int_equal(reads(UINT32_MAX), 0);
	assert_int_equal(atomic_load(&dev.faults), 4);
	assert_int_equal(iommu_dma_write_pasid(&dev, 1, 0x1001, "x", 1), 0);
	assert_int_equal(page[1][1], 'x');
	assert_int_equal(page[0][1], 0);
	assert_true(iommu_page_present(&dev, 0x1000, IOMMU_PAGE_WRITE, 1));
	assert_false(iommu_page_present(&dev, 0x1000, IOMMU_PAGE_WRITE, 2));
	/* replaced, and gone */
	assert_int_equal(iommu_pasid_attach(&dev, 1, d[2]), 0);
	assert_int_equal(reads(1), 'c');
	assert_int_equal(iommu_pasid_attach(&dev, 1, NULL), 0);
	assert_int_equal(reads(1), 0);
	iommu_device_attach(&dev, NULL);
	assert_int_equal(reads(0xfffff), 'c');
	iommu_pasid_detach_all(&dev);
	assert_int_equal(reads(0xfffff), 0);
}

static void nothing(void *arg)
{
}

static struct iommu_page_record got;

static int put(void *arg, size_t i, const struct iommu_page_record *rec)
{
	got = *rec;
	return 0;
}

static void requests(void **state)
{
	struct iommu_page_request r = { .pasid = 7, .perm = 1, .last = true }, last;
	struct iommu_fault_queue *q = iommu_fault_queue_new();

	assert_int_equal(iommu_pri_add(&dev, 8, nothing, NULL), 0);
	iommu_pri_client(&dev, 1);
	iommu_domain_set_faults(d[1], q);
	iommu_device_attach(&dev, d[1]);
	/* nobody has the PASID; then the same domain has it, too */
	assert_int_equal(iommu_page_request(&dev, &r), 0);
	assert_int_equal(iommu_page_answer(&dev, &last), IOMMU_PAGE_INVALID);
	assert_int_equal(last.pasid, 7);
	assert_int_equal(iommu_pasid_attach(&dev, 7, d[1]), 0);
	assert_int_equal(iommu_page_request(&dev, &r), 0);
	r.pasid = IOMMU_NO_PASID;
	assert_int_equal(iommu_page_request(&dev, &r), 0);
	assert_int_equal(iommu_fault_queue_read(q, 1, put, NULL), 1);
	assert_int_equal(got.r.pasid, 7);
	/* each leaves alone */
	assert_int_equal(iommu_pasid_attach(&dev, 7, d[2]), 0);
	assert_int_equal(iommu_page_answer(&dev, &last), IOMMU_PAGE_INVALID);
	assert_int_equal(last.pasid, 7);
	assert_int_equal(iommu_page_answer(&dev, &last), -ENOENT);
	assert_int_equal(iommu_fault_queue_read(q, 1, put, NULL), 1);
	assert_int_equal(got.r.pasid, IOMMU_NO_PASID);
	iommu_device_attach(&dev, NULL);
	assert_int_equal(iommu_page_answer(&dev, &last), IOMMU_PAGE_INVALID);
	iommu_fault_queue_put(q);
}

static void in_a_group(void **state)
{
	struct iommu_group *g = iommu_group_new(1);
	struct iommu_device without, narrow;

	iommu_device_init(&without, "without");
	iommu_device_init(&narrow, "narrow");
	assert_int_equal(iommu_group_add(g, &without), 0);
	assert_int_equal(iommu_group_pasid_bits(g), 0);
	assert_int_equal(iommu_pasid_add(&narrow, 3, true), 0);
	assert_int_equal(iommu_group_add(g, &dev), 0);
	assert_int_equal(iommu_group_pasid_bits(g), 20);
	assert_int_equal(iommu_group_add(g, &narrow), 0);
	assert_int_equal(iommu_group_pasid_bits(g), 3);
	assert_true(iommu_pasid_exec(&narrow));
	assert_int_equal(iommu_group_attach_pasid(g, 5, d[1]), 0);
	assert_int_equal(reads(5), 'b');
	rcu_read_begin();
	assert_ptr_equal(iommu_pasid_domain(&narrow, 5), d[1]);
	assert_null(iommu_pasid_domain(&without, 5));
	rcu_read_end();
	/* who leaves the group leaves all */
	iommu_group_remove(g, &dev);
	assert_int_equal(reads(5), 0);
	assert_int_equal(iommu_group_attach_pasid(g, 5, NULL), 0);
	iommu_group_free(g);
	iommu_device_fini(&without);
	iommu_device_fini(&narrow);
}

static atomic_bool stop;

static void *mover(void *arg)
{
	for (unsigned i = 0; !atomic_load(&stop); i++)
		iommu_pasid_attach(&dev, 9, d[1 + i % 2]);
	return NULL;
}

/* A device at work sees the one or the other. */
static void threads(void **state)
{
	pthread_t t;
	char c;

	assert_int_equal(iommu_pasid_attach(&dev, 9, d[1]), 0);
	atomic_store(&stop, false);
	pthread_create(&t, NULL, mover, NULL);
	for (unsigned i = 0; i < 20000; i++) {
		c = reads(9);
		assert_true(c == 'b' || c == 'c');
	}
	atomic_store(&stop, true);
	pthread_join(t, NULL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = { TEST(each_its_own), TEST(requests), TEST(in_a_group),
					    TEST(threads) };

	log_set(2, LOG_NONE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
