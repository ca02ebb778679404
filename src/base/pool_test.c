/* SPDX-License-Identifier: BSD-3-Clause */
/* base/pool_test.c: records do not overlap, are of zeros, and come again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <cmocka.h>

#include "base/pool.h"

#define N 3000

static bool is_zero(const unsigned char *r, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (r[i])
			return false;
	return true;
}

static void each_has_its_own(void **state)
{
	static const size_t sizes[] = { 1, 40, 4112, 32768 };
	static unsigned char *r[N];

	for (size_t k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++) {
		size_t size = sizes[k];
		unsigned n = size > 8192 ? 20 : N;
		struct pool p;

		pool_init(&p, size);
		for (unsigned round = 0; round < 3; round++) {
			for (unsigned i = 0; i < n; i++) {
				r[i] = pool_take(&p);
				assert_non_null(r[i]);
				assert_int_equal((uintptr_t)r[i] % 16, 0);
				assert_true(is_zero(r[i], size));
				memset(r[i], (int)(i % 255 + 1), size);
			}
			for (unsigned i = 0; i < n; i++) {
				for (size_t b = 0; b < size; b++)
					assert_int_equal(r[i][b], i % 255 + 1);
				pool_put(&p, r[i]);
			}
		}
		pool_destroy(&p);
	}
}

static void what_was_given_back_comes_first(void **state)
{
	struct pool p;
	void *a, *b;

	pool_init(&p, 100);
	a = pool_take(&p);
	b = pool_take(&p);
	pool_put(&p, a);
	assert_ptr_equal(pool_take(&p), a);
	assert_ptr_not_equal(pool_take(&p), b);
	pool_destroy(&p);
}

static void no_memory(void **state)
{
	struct rlimit was, none = { 0, 0 };
	struct pool p;

	pool_init(&p, 100);
	assert_int_equal(getrlimit(RLIMIT_AS, &was), 0);
	none.rlim_max = was.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_AS, &none), 0);
	assert_null(pool_take(&p));
	assert_int_equal(setrlimit(RLIMIT_AS, &was), 0);
	assert_non_null(pool_take(&p));
	pool_destroy(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_has_its_own),
		cmocka_unit_test(what_was_given_back_comes_first),
		cmocka_unit_test(no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
