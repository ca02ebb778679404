/* SPDX-License-Identifier: BSD-3-Clause */
/* base/log_test.c */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/log.h"

static char last[2048];
static unsigned lines;

static void tapped(int level, const char *line, void *arg)
{
	lines++;
	strncpy(last, line, sizeof(last) - 1);
}

static void test_lines(void **state)
{
	char got[4096] = "", big[3000];
	int p[2];

	assert_int_equal(pipe(p), 0);
	log_set(p[1], LOG_INFO);
	errno = 5;
	log_warn("edu0", "BAR%d write at %#x", 2, 0x1008);
	log_info(NULL, "plain");
	log_debug("edu0", "not shown");
	assert_int_equal(errno, 5);
	assert_int_equal(read(p[0], got, sizeof(got) - 1),
			 strlen("uvfio: warn: edu0: BAR2 write at 0x1008\nuvfio: info: plain\n"));
	assert_string_equal(got, "uvfio: warn: edu0: BAR2 write at 0x1008\nuvfio: info: plain\n");
	/* cut, and still one line */
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = 0;
	big[20] = '\n';
	log_err("edu0", "%s", big);
	memset(got, 0, sizeof(got));
	assert_in_range(read(p[0], got, sizeof(got) - 1), 900, 1024);
	assert_ptr_equal(strchr(got, '\n'), got + strlen(got) - 1);
	assert_non_null(strstr(got, "...\n"));
	/* none */
	log_set(p[1], LOG_NONE);
	log_tap(tapped, NULL);
	log_err("edu0", "only the tap");
	assert_string_equal(last, "uvfio: error: edu0: only the tap");
	log_tap(NULL, NULL);
	log_set(p[1], LOG_INFO);
	close(p[1]);
	log_err("edu0", "a log that is gone");
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

static void test_limit(void **state)
{
	struct log_limit l = { 0 };
	unsigned passed = 0;
	uint32_t lost;

	for (int i = 0; i < 100; i++)
		passed += log_allow(&l, &lost);
	assert_int_equal(passed, 20);
	l.window_ns -= 1000000000u; /* a second goes by */
	assert_true(log_allow(&l, &lost));
	assert_int_equal(lost, 80);
	assert_true(log_allow(&l, &lost));
	assert_int_equal(lost, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
