/* SPDX-License-Identifier: BSD-3-Clause */
/* machine/memlock_test.c: limits of memory, as a text and as the process has them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/resource.h>
#include <unistd.h>
#include <cmocka.h>

#include "machine/internal.h"

static void limits_of_memory(void **state)
{
	static const char *const bad[] = { "",		"x",   "-1",
					   "1KB",	"K",   "0x",
					   "16777216T", "1 K", "99999999999999999999",
					   "Unlimited" };
	struct rlimit rl, low;
	uint64_t v;

	assert_int_equal(machine_parse_memlock("unlimited", &v), 0);
	assert_true(v == UINT64_MAX);
	assert_int_equal(machine_parse_memlock("0", &v), 0);
	assert_int_equal(v, 0);
	assert_int_equal(machine_parse_memlock("65536", &v), 0);
	assert_int_equal(v, 65536);
	assert_int_equal(machine_parse_memlock("64k", &v), 0);
	assert_int_equal(v, 65536);
	assert_int_equal(machine_parse_memlock("0x10M", &v), 0);
	assert_int_equal(v, 16 << 20);
	assert_int_equal(machine_parse_memlock("16777215T", &v), 0);
	assert_true(v == 16777215ull << 40);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (machine_parse_memlock(bad[i], &v) != -EINVAL)
			fail_msg("'%s' was taken for a limit", bad[i]);

	assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &rl), 0);
	low = rl;
	low.rlim_cur = 12345 < rl.rlim_max ? 12345 : rl.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &low), 0);
	assert_int_equal(machine_parse_memlock("inherit", &v), 0);
	if (geteuid())
		assert_int_equal(v, low.rlim_cur);
	else
		assert_true(v == UINT64_MAX ||
			    v == low.rlim_cur); /* root of a container may lack CAP_IPC_LOCK */
	setrlimit(RLIMIT_MEMLOCK, &rl);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(limits_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
