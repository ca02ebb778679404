/* SPDX-License-Identifier: BSD-3-Clause */
/* base/nearest_test.c: near misses of words. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/nearest.h"

static void near_misses(void **state)
{
	char longest[70];

	assert_int_equal(word_distance("", ""), 0);
	assert_int_equal(word_distance("", "abc"), 3);
	assert_int_equal(word_distance("abc", "abc"), 0);
	assert_int_equal(word_distance("nvme", "nmve"), 1);
	assert_int_equal(word_distance("kitten", "sitting"), 3);
	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = 0;
	assert_int_equal(word_distance(longest, "a"), UINT_MAX);
	assert_string_equal(nearest_word("nvmee", "edu", "nvme"), "nvme");
	assert_string_equal(nearest_word("nvmee", "nvme", "edu"), "nvme");
	assert_null(nearest_word("virtio", NULL, "edu"));
	assert_null(nearest_word("xyz", NULL, "edu"));
	assert_null(nearest_word(longest, NULL, "edu"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(near_misses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
