/* SPDX-License-Identifier: BSD-3-Clause */
/* base/heap_test.c: blocks of all sizes, resized and freed, none touching another. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/heap.h"

static bool all(const unsigned char *p, unsigned char c, size_t from, size_t to)
{
	for (; from < to; from++)
		if (p[from] != c)
			return false;
	return true;
}

static void blocks(void **state)
{
	static struct {
		unsigned char *p;
		size_t n;
	} b[200];
	unsigned seed = 1;

	for (unsigned round = 0; round < 20000; round++) {
		unsigned i = (unsigned)rand_r(&seed) % 200;
		unsigned char c = (unsigned char)(i + 1);
		size_t n = (size_t)rand_r(&seed) % (round % 100 ? 5000 : 100000);
		unsigned char *p;

		assert_true(all(b[i].p, c, 0, b[i].p ? b[i].n : 0));
		if (rand_r(&seed) % 2) {
			heap_free(b[i].p);
			b[i].p = heap_alloc(n);
			assert_non_null(b[i].p);
			assert_true(all(b[i].p, 0, 0, n));
		} else {
			p = heap_resize(b[i].p, n);
			assert_non_null(p);
			assert_true(all(p, c, 0, b[i].p && b[i].n < n ? b[i].n : b[i].p ? n : 0));
			assert_true(all(p, 0, b[i].p ? b[i].n : 0, n));
			b[i].p = p;
		}
		b[i].n = n;
		assert_int_equal((uintptr_t)b[i].p % 16, 0);
		memset(b[i].p, c, n);
	}
	for (unsigned i = 0; i < 200; i++)
		heap_free(b[i].p);
}

static void too_much(void **state)
{
	assert_null(heap_alloc(SIZE_MAX));
	assert_null(heap_alloc(SIZE_MAX - 8));
	assert_null(heap_array(SIZE_MAX / 2, 3));
	assert_non_null(heap_array(0, 8));
	heap_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(blocks), cmocka_unit_test(too_much) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
