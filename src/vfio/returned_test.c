/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/returned_test.c: memory that libc gives back: what is found of it, when it goes, and that
 * what took its place does not go.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <cmocka.h>

#include "base/guard.h"
#include "base/report.h"
#include "base/sys.h"
#include "base/test_signals.h"
#include "vfio/internal.h"

#define RW    (IOMMU_READ | IOMMU_WRITE)
#define K     4096ull
#define PAGES 32u

static struct vfio_system *sys;
static struct vfio_ioas *t, *t2;
static char *mem;
static unsigned lines;

static void tapped(const struct report *r, void *arg)
{
	if (r->limited)
		return;
	lines += strstr(r->line, "had given") != NULL;
}

static struct report_subscriber subscriber = { .fn = tapped, .level = LOG_INFO };

static int setup(void **state)
{
	log_set(2, LOG_NONE);
	report_subscribe(&subscriber);
	lines = 0;
	sys = vfio_system_new(NULL, NULL);
	t = vfio_ioas_new(sys, false);
	t2 = vfio_ioas_new(sys, false);
	mem = mmap(NULL, PAGES * K, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return guard_install() || mem == MAP_FAILED;
}

static int teardown(void **state)
{
	vfio_ioas_put(t);
	vfio_ioas_put(t2);
	assert_null(sys->ioases.returned.root);
	assert_int_equal(atomic_load(&sys->ioases.num_returned), 0);
	vfio_system_free(sys);
	munmap(mem, PAGES * K);
	report_unsubscribe(&subscriber);
	return 0;
}

static uint64_t page(unsigned i)
{
	return (uint64_t)mem + i * K;
}

static void map(struct vfio_ioas *to, uint64_t iova, unsigned first, unsigned n)
{
	assert_int_equal(vfio_ioas_map(to, iova, page(first), n * K, RW), 0);
}

static void unmap(struct vfio_ioas *from, uint64_t iova, unsigned n)
{
	uint64_t bytes;

	assert_int_equal(vfio_ioas_unmap(from, iova, n * K, &bytes), 0);
	assert_int_equal(bytes, n * K);
}

static bool there(unsigned i)
{
	return !sys_call(SYS_msync, (long)page(i), K, MS_ASYNC, 0, 0, 0);
}

static void expect(unsigned from, unsigned to, bool keep, unsigned start, unsigned end)
{
	uint64_t a, b;

	assert_true(vfio_next_in_use(sys, page(from), page(to), keep, &a, &b));
	assert_int_equal(a, page(start));
	assert_int_equal(b, page(end));
}

static void expect_none(unsigned from, unsigned to)
{
	uint64_t a, b;

	assert_false(vfio_next_in_use(sys, page(from), page(to), true, &a, &b));
}

static void test_stretches(void **state)
{
	expect_none(0, PAGES);
	map(t, 0x100000, 4, 4);
	map(t2, 0x100000, 6, 4);
	map(t, 0x200000, 10, 2);
	map(t2, 0x200000, 20, 1);
	expect(0, PAGES, false, 4, 12);
	expect(5, 7, false, 5, 7);
	expect(12, PAGES, false, 20, 21);
	expect_none(0, 4);
	expect_none(12, 20);
	expect_none(21, PAGES);
	expect_none(5, 5);
	assert_null(sys->ioases.returned.root);
}

static void test_release(void **state)
{
	map(t, 0x100000, 4, 4);
	map(t2, 0x100000, 6, 4);
	expect(0, PAGES, true, 4, 10);
	/* there is nothing to map any more, all or in part */
	assert_int_equal(vfio_ioas_map(t, 0x300000, page(4), K, RW), -EFAULT);
	assert_int_equal(vfio_ioas_map(t, 0x300000, page(9), 4 * K, RW), -EFAULT);
	assert_int_equal(atomic_load(&sys->ioases.pages_locked), 8);
	/* given back again: remembered once */
	expect(2, PAGES, true, 4, 10);
	assert_int_equal(atomic_load(&sys->ioases.num_returned), 1);
	unmap(t, 0x100000, 4);
	assert_true(there(4));
	assert_int_equal(lines, 0);
	unmap(t2, 0x100000, 4);
	for (unsigned i = 0; i < PAGES; i++)
		assert_int_equal(there(i), i < 4 || i >= 10);
	assert_int_equal(lines, 1);
	assert_int_equal(atomic_load(&sys->ioases.num_returned), 0);
	expect_none(0, PAGES);
}

/* Two that overlap: the one that was there first is whole, and the other is what is beside it. */
static void test_overlap(void **state)
{
	map(t, 0x100000, 4, 8);
	expect(6, 8, true, 6, 8);
	expect(0, PAGES, true, 4, 6);
	expect(6, PAGES, true, 6, 8);
	expect(8, PAGES, true, 8, 12);
	assert_int_equal(atomic_load(&sys->ioases.num_returned), 3);
	unmap(t, 0x100000, 8);
	for (unsigned i = 0; i < PAGES; i++)
		assert_int_equal(there(i), i < 4 || i >= 12);
}

static void test_place_taken(void **state)
{
	map(t, 0x100000, 4, 12);
	expect(0, PAGES, true, 4, 16);
	vfio_place_taken(sys, page(0), page(4));
	vfio_place_taken(sys, page(16), page(20));
	vfio_place_taken(sys, page(6), page(6));
	assert_int_equal(atomic_load(&sys->ioases.num_returned), 1);
	vfio_place_taken(sys, page(6), page(8)); /* the middle */
	assert_int_equal(atomic_load(&sys->ioases.num_returned), 2);
	vfio_place_taken(sys, page(2), page(5));   /* a start */
	vfio_place_taken(sys, page(15), page(18)); /* an end */
	vfio_place_taken(sys, page(10), page(11));
	assert_int_equal(atomic_load(&sys->ioases.num_returned), 3);
	unmap(t, 0x100000, 12);
	for (unsigned i = 0; i < PAGES; i++)
		assert_int_equal(there(i), i < 5 || i == 6 || i == 7 || i == 10 || i >= 15);
	map(t, 0x100000, 20, 4);
	expect(0, PAGES, true, 20, 24);
	vfio_place_taken(sys, page(0), page(PAGES)); /* all */
	assert_int_equal(atomic_load(&sys->ioases.num_returned), 0);
	unmap(t, 0x100000, 4);
	assert_true(there(20));
}

/* More than one page of records, as for every other page of memory. */
static void test_many(void **state)
{
	const unsigned n = 500;
	char *many =
		mmap(NULL, 2 * n * K, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t at = (uint64_t)many, end = at + 2 * n * K, a, b;

	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < n; i++)
			assert_int_equal(vfio_ioas_map(t, 0x100000 + i * K,
						       (uint64_t)many + 2 * i * K, K, RW),
					 0);
		for (at = (uint64_t)many; vfio_next_in_use(sys, at, end, true, &a, &b); at = b)
			assert_int_equal(b - a, K);
		assert_int_equal(atomic_load(&sys->ioases.num_returned), n);
		unmap(t, 0x100000, n);
		assert_int_equal(atomic_load(&sys->ioases.num_returned), 0);
		for (unsigned i = 0; i < n; i++)
			assert_int_equal(mmap(many + 2 * i * K, K, PROT_READ | PROT_WRITE,
					      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1,
					      0),
					 many + 2 * i * K);
	}
	munmap(many, 2 * n * K);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_stretches, setup, teardown),
		cmocka_unit_test_setup_teardown(test_release, setup, teardown),
		cmocka_unit_test_setup_teardown(test_overlap, setup, teardown),
		cmocka_unit_test_setup_teardown(test_place_taken, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
