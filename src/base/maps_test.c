/* SPDX-License-Identifier: BSD-3-Clause */
/* base/maps_test.c: the lines of /proc/self/maps, more of them than one read brings. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>

#include "base/maps.h"

#define K     4096ull
#define PAGES 400u

struct seen {
	uint64_t from;
	unsigned n, stop; /* lines of it; after so many it is enough (0: never) */
	bool rights;
};

static bool see(const char *line, void *arg)
{
	struct seen *s = arg;
	uint64_t start, end;
	const char *rights = maps_bounds(line, &start, &end);

	assert_true(start < end);
	if (start < s->from || end > s->from + PAGES * K)
		return true;
	s->rights &= !strncmp(rights, (start - s->from) / K % 2 ? "r--p " : "rw-p ", 5);
	return ++s->n != s->stop;
}

static void lines(void **state)
{
	char *mem =
		mmap(NULL, PAGES * K, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct seen s = { .from = (uintptr_t)mem, .rights = true };

	for (unsigned i = 1; i < PAGES; i += 2)
		assert_int_equal(mprotect(mem + i * K, K, PROT_READ), 0);
	assert_int_equal(maps_each(see, &s), 0);
	/* the first may be one with what lies before it */
	assert_in_range(s.n, PAGES - 2, PAGES);
	assert_true(s.rights);
	s.n = 0;
	s.stop = 7;
	assert_int_equal(maps_each(see, &s), 0);
	assert_int_equal(s.n, 7);
	/* the same from one that is kept open, from its beginning each time */
	assert_int_equal(maps_keep(), 0);
	for (s.stop = 0; s.stop < 2; s.stop++) {
		s.n = 0;
		assert_int_equal(maps_each(see, &s), 0);
		assert_in_range(s.n, s.stop ? 1 : PAGES - 2, PAGES);
	}
	munmap(mem, PAGES * K);
}

static void a_line(void **state)
{
	uint64_t start, end;

	assert_string_equal(maps_bounds("1000-2fff0 r--p 0 /x", &start, &end), "r--p 0 /x");
	assert_int_equal(start, 0x1000);
	assert_int_equal(end, 0x2fff0);
	assert_string_equal(maps_bounds("1000", &start, &end), "");
	assert_int_equal(end, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(lines), cmocka_unit_test(a_line) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
