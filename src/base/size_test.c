/* SPDX-License-Identifier: BSD-3-Clause */
/* base/size_test.c: numbers and sizes: what is one, and what is too large. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/size.h"

static void numbers(void **state)
{
	static const struct {
		const char *text;
		int number_rc, size_rc;
		uint64_t v;
	} all[] = {
		{ "0", 0, 0, 0 },
		{ "010", 0, 0, 10 },
		{ "4096", 0, 0, 4096 },
		{ "0x10", 0, 0, 16 },
		{ "0XfF", 0, 0, 255 },
		{ "18446744073709551615", 0, 0, UINT64_MAX },
		{ "18446744073709551616", -ERANGE, -ERANGE, 0 },
		{ "0x10000000000000000", -ERANGE, -ERANGE, 0 },
		{ "64k", -EINVAL, 0, 64 << 10 },
		{ "0x10M", -EINVAL, 0, 16 << 20 },
		{ "2G", -EINVAL, 0, 2ull << 30 },
		{ "16777215T", -EINVAL, 0, 16777215ull << 40 },
		{ "16777216T", -EINVAL, -ERANGE, 0 },
		{ "", -EINVAL, -EINVAL, 0 },
		{ "K", -EINVAL, -EINVAL, 0 },
		{ "0x", -EINVAL, -EINVAL, 0 },
		{ "-1", -EINVAL, -EINVAL, 0 },
		{ "+1", -EINVAL, -EINVAL, 0 },
		{ " 1", -EINVAL, -EINVAL, 0 },
		{ "1 K", -EINVAL, -EINVAL, 0 },
		{ "1KB", -EINVAL, -EINVAL, 0 },
		{ "1P", -EINVAL, -EINVAL, 0 },
	};
	uint64_t v;

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		assert_int_equal(number_parse(all[i].text, &v), all[i].number_rc);
		if (!all[i].number_rc)
			assert_true(v == all[i].v);
		assert_int_equal(size_parse(all[i].text, &v), all[i].size_rc);
		if (!all[i].size_rc)
			assert_true(v == all[i].v);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
