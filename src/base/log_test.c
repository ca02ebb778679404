/* SPDX-License-Identifier: BSD-3-Clause */
/* base/log_test.c: lines by their level, a log that is gone, names of levels. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/log.h"

static void test_write(void **state)
{
	char line[32] = "a line", got[64] = "";
	int p[2];

	assert_int_equal(pipe(p), 0);
	log_set(p[1], LOG_INFO);
	assert_int_equal(log_level(), LOG_INFO);
	errno = 5;
	log_write(LOG_WARN, line, 6);
	strcpy(line, "not shown");
	log_write(LOG_DEBUG, line, 9);
	assert_int_equal(errno, 5);
	assert_int_equal(read(p[0], got, sizeof(got) - 1), 7);
	assert_string_equal(got, "a line\n");
	/* a log that is gone, and none */
	close(p[1]);
	log_write(LOG_WARN, line, 9);
	log_set(2, LOG_NONE);
	log_write(LOG_ERR, line, 9);
	log_set(2, LOG_WARN);
	close(p[0]);
}

static void test_levels(void **state)
{
	assert_int_equal(log_parse_level("error"), LOG_ERR);
	assert_int_equal(log_parse_level("warn"), LOG_WARN);
	assert_int_equal(log_parse_level("info"), LOG_INFO);
	assert_int_equal(log_parse_level("debug"), LOG_DEBUG);
	assert_int_equal(log_parse_level("none"), LOG_NONE);
	assert_int_equal(log_parse_level("loud"), -EINVAL);
	assert_int_equal(log_parse_level(""), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_write),
		cmocka_unit_test(test_levels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
