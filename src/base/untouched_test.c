/* SPDX-License-Identifier: BSD-3-Clause */
/* base/untouched_test.c: pages of all kinds of memory, before and after they are touched. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/untouched.h"

#define K 4096u

static char *map(int prot, int flags, int fd)
{
	char *p = mmap(NULL, 8 * K, prot, flags, fd, 0);

	assert_ptr_not_equal(p, MAP_FAILED);
	madvise(p, 8 * K, MADV_NOHUGEPAGE);
	return p;
}

static void test_pages(void **state)
{
	char *p = map(PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	uint64_t at = (uintptr_t)p, page = 0;

	assert_false(untouched_find(at, K, &page)); /* not open */
	assert_int_equal(untouched_open(), 0);
	assert_true(untouched_find(at, K, &page));
	assert_int_equal(page, at);
	assert_true(untouched_find(at + K - 1, 2, &page));
	assert_false(untouched_find(at, 0, &page));
	p[0] = 1;
	assert_false(untouched_find(at, K, &page));
	assert_true(untouched_find(at + K - 1, 2, &page));
	assert_int_equal(page, at + K);
	memset(p, 0, 7 * K); /* zeroes, too */
	assert_false(untouched_find(at, 7 * K, &page));
	assert_true(untouched_find(at, 7 * K + 1, &page));
	assert_int_equal(page, at + 7 * K);
	untouched_close();
	assert_false(untouched_find(at, 8 * K, &page));
	munmap(p, 8 * K);
}

static void test_many(void **state)
{
	char *p = mmap(NULL, 100 * K, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t page = 0;

	assert_ptr_not_equal(p, MAP_FAILED);
	madvise(p, 100 * K, MADV_NOHUGEPAGE);
	assert_int_equal(untouched_open(), 0);
	memset(p, 1, 99 * K);
	assert_false(untouched_find((uintptr_t)p, 99 * K, &page));
	assert_true(untouched_find((uintptr_t)p, 100 * K, &page));
	assert_int_equal(page, (uintptr_t)p + 99 * K);
	untouched_close();
	munmap(p, 100 * K);
}

static void test_kinds(void **state)
{
	int fd = memfd_create("test", 0);
	char *p;

	assert_int_equal(ftruncate(fd, 8 * K), 0);
	p = map(PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	assert_true(untouched_is_plain((uintptr_t)p, 8 * K, true));
	/* in two areas */
	assert_int_equal(mprotect(p + 4 * K, 4 * K, PROT_READ), 0);
	assert_true(untouched_is_plain((uintptr_t)p, 8 * K, false));
	assert_false(untouched_is_plain((uintptr_t)p, 8 * K, true));
	assert_true(untouched_is_plain((uintptr_t)p, 4 * K, true));
	assert_int_equal(mprotect(p + 4 * K, 4 * K, PROT_NONE), 0);
	assert_false(untouched_is_plain((uintptr_t)p, 8 * K, false));
	/* a hole */
	munmap(p + 4 * K, K);
	assert_false(untouched_is_plain((uintptr_t)p, 5 * K, false));
	munmap(p, 8 * K);
	p = map(PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1);
	assert_false(untouched_is_plain((uintptr_t)p, K, false));
	munmap(p, 8 * K);
	p = map(PROT_READ | PROT_WRITE, MAP_SHARED, fd);
	assert_false(untouched_is_plain((uintptr_t)p, K, false));
	munmap(p, 8 * K);
	p = map(PROT_READ | PROT_WRITE, MAP_PRIVATE, fd);
	assert_false(untouched_is_plain((uintptr_t)p, K, false));
	munmap(p, 8 * K);
	close(fd);
	p = malloc(16); /* the heap */
	assert_true(untouched_is_plain((uintptr_t)p, 16, true));
	free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pages),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_kinds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
