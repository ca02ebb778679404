/* SPDX-License-Identifier: BSD-3-Clause */
/* base/maps_test.c: the lines of /proc/self/maps, more of them than one read brings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/sys.h"

/* as of a kernel that has no PROCMAP_QUERY */
static bool old_kernel;
#define sys_ioctl(fd, cmd, arg) (old_kernel ? -ENOTTY : sys_ioctl(fd, cmd, arg))
#include "maps.c"
#undef sys_ioctl

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

/* ---- mappings by address ---- */

struct areas {
	struct maps_area a[3];
	char path[3][64];
	unsigned n;
};

static bool see_area(const struct maps_area *a, void *arg)
{
	struct areas *s = arg;

	s->a[s->n] = *a;
	snprintf(s->path[s->n], sizeof(s->path[0]), "%s", a->path);
	return ++s->n < 3;
}

/* The kernel's answer, and what the lines say. */
static void areas(void **state)
{
	int fd = memfd_create("maps test", MFD_CLOEXEC), ro;
	struct areas s = { .n = 0 }, end = { .n = 0 };
	char name[32], *mem;
	struct stat st;

	assert_int_equal(ftruncate(fd, 8 * K), 0);
	assert_int_equal(fstat(fd, &st), 0);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	ro = open(name, O_RDONLY);
	mem = mmap(NULL, 9 * K, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	/* what cannot be written is shared, too */
	mmap(mem + K, 2 * K, PROT_READ, MAP_SHARED | MAP_FIXED, ro, 3 * K);
	munmap(mem + 3 * K, K);
	mmap(mem + 4 * K, K, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, fd, 0);
	assert_int_equal(maps_areas((uintptr_t)mem + 2 * K, see_area, &s), 0);
	assert_int_equal(s.n, 3);
	assert_int_equal(s.a[0].start, (uintptr_t)mem + K);
	assert_int_equal(s.a[0].end, (uintptr_t)mem + 3 * K);
	assert_true(s.a[0].shared);
	assert_int_equal(s.a[0].offset, 3 * K);
	assert_int_equal(s.a[0].ino, st.st_ino);
	assert_int_equal(s.a[0].dev, st.st_dev);
	assert_string_equal(s.path[0], "/memfd:maps test (deleted)");
	assert_int_equal(s.a[1].start, (uintptr_t)mem + 4 * K);
	assert_false(s.a[1].shared);
	assert_int_equal(s.a[1].ino, st.st_ino);
	assert_int_equal(s.a[2].start, (uintptr_t)mem + 5 * K);
	assert_int_equal(s.a[2].ino, 0);
	assert_string_equal(s.path[2], "");
	/* above all of them; there may be one of the kernel's */
	assert_int_equal(maps_areas(UINT64_MAX, see_area, &end), 0);
	assert_int_equal(end.n, 0);
	munmap(mem, 9 * K);
	close(ro);
	close(fd);
}

static void areas_by_lines(void **state)
{
	old_kernel = true;
	areas(state);
	old_kernel = false;
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
	const struct CMUnitTest tests[] = { cmocka_unit_test(lines), cmocka_unit_test(areas),
					    cmocka_unit_test(areas_by_lines),
					    cmocka_unit_test(a_line) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
