/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/areas_test.c: memory in the place of a mapped BAR's pages: which of it a mapping has, what
 * can be touched when, and what a child of fork() has. The provider is a memfd.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/util.h"
#include "shim/areas.h"

#define PAGE 4096ull
#define T    VFIO_AREA_TRAPPED
#define P    VFIO_AREA_POLLED
#define D    VFIO_AREA_DIRECT

static int fd, blank;
static long stuck; /* no page ever is */
static char *mem;  /* the provider's view of the memfd, whose page n begins with n + 1 */

/* Pages of a region: 0 trapped, 1 and 2 polled, 3 direct, 4 and 5 nobody's, 6 polled, 7 direct. */
static struct vfio_region_area areas[] = {
	{ 0, PAGE, T, -1, 0, false },
	{ PAGE, 2 * PAGE, P, 0, 0, false },
	{ 3 * PAGE, PAGE, D, 0, 8 * PAGE, false },
	{ 6 * PAGE, PAGE, P, 0, 2 * PAGE, false },
	{ 7 * PAGE, PAGE, D, 0, 0, false },
};

static sigjmp_buf out;
static void fault(int sig)
{
	siglongjmp(out, sig);
}

/* The first byte of page @page of @p, or -2 after it was written; -1: it cannot be. */
static int look(const struct shim_pages *p, unsigned page, bool write)
{
	volatile char *c = (char *)p->start + page * PAGE;
	struct sigaction sa = { .sa_handler = fault, .sa_flags = SA_NODEFER }, old[2];
	int v = -1;

	sigaction(SIGSEGV, &sa, &old[0]);
	sigaction(SIGBUS, &sa, &old[1]);
	if (!sigsetjmp(out, 1)) {
		v = *c;
		if (write) {
			*c = (char)v;
			v = -2;
		}
	}
	sigaction(SIGSEGV, &old[0], NULL);
	sigaction(SIGBUS, &old[1], NULL);
	return v;
}

/* A mapping of @n pages of the region from page @from on, as bars.c makes it. */
static struct shim_pages map(unsigned from, unsigned n, int prot)
{
	char *at = mmap(NULL, n * PAGE, PROT_NONE, MAP_SHARED, blank, 0);

	assert_true(at != MAP_FAILED);
	return (struct shim_pages){ .start = (uintptr_t)at,
				    .end = (uintptr_t)at + n * PAGE,
				    .offset = from * PAGE,
				    .prot = prot,
				    .areas = areas,
				    .num_areas = ARRAY_SIZE(areas) };
}

static void unmap(const struct shim_pages *p)
{
	munmap((void *)p->start, p->end - p->start);
}

/* The part of the areas that a mapping has, from each of its pages on. */
static void test_next(void **state)
{
	static const struct {
		unsigned from, n, at;
		int area; /* -1: none */
		unsigned start, len;
	} cases[] = {
		{ 0, 8, 0, 1, 1, 2 },  { 0, 8, 1, 1, 1, 2 },  { 0, 8, 2, 1, 2, 1 },
		{ 0, 8, 3, 2, 3, 1 },  { 0, 8, 4, 3, 6, 1 },  { 0, 8, 7, 4, 7, 1 },
		{ 0, 8, 8, -1, 0, 0 }, { 0, 1, 0, -1, 0, 0 }, { 0, 2, 0, 1, 1, 1 },
		{ 2, 3, 0, 1, 0, 1 },  { 2, 3, 1, 2, 1, 1 },  { 2, 3, 2, -1, 0, 0 },
		{ 4, 2, 0, -1, 0, 0 }, { 5, 2, 0, 3, 1, 1 },
	};
	const struct vfio_region_area *a;
	uintptr_t at;
	size_t len;

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct shim_pages p = map(cases[i].from, cases[i].n, PROT_READ);

		at = p.start + cases[i].at * PAGE;
		a = shim_area_next(&p, &at, &len);
		if (cases[i].area < 0
			    ? a != NULL
			    : a != &areas[cases[i].area] || at != p.start + cases[i].start * PAGE ||
				      len != cases[i].len * PAGE)
			fail_msg("case %u", i);
		unmap(&p);
	}
}

/* Direct pages have the program's rights at once, polled ones while they are open. */
static void test_rights(void **state)
{
	struct shim_pages p = map(0, 8, PROT_READ | PROT_WRITE);

	assert_int_equal(shim_areas_map(&p), 0);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(look(&p, i, false), -1);
	shim_areas_open(&p, D, true, blank, &stuck);
	assert_int_equal(look(&p, 2, false), -1);
	assert_int_equal(look(&p, 3, false), 9);
	assert_int_equal(look(&p, 3, true), -2);
	assert_int_equal(look(&p, 7, false), 1);
	assert_int_equal(shim_areas_open(&p, P, true, blank, &stuck), 2);
	assert_int_equal(look(&p, 0, false), -1);
	assert_int_equal(look(&p, 1, false), 1);
	assert_int_equal(look(&p, 2, true), -2);
	assert_int_equal(look(&p, 4, false), -1);
	assert_int_equal(look(&p, 6, false), 3);
	/* it is the provider's memory */
	((char *)p.start)[PAGE + 5] = 77;
	assert_int_equal(mem[5], 77);
	((char *)p.start)[3 * PAGE + 5] = 78;
	assert_int_equal(mem[8 * PAGE + 5], 78);
	assert_int_equal(shim_areas_open(&p, P, false, blank, &stuck), 2);
	assert_int_equal(look(&p, 1, false), -1);
	assert_int_equal(look(&p, 6, false), -1);
	assert_int_equal(look(&p, 3, false), 9);
	unmap(&p);

	/* a part of the areas, which the program may only read */
	p = map(2, 2, PROT_READ);
	assert_int_equal(shim_areas_map(&p), 0);
	shim_areas_open(&p, D, true, blank, &stuck);
	assert_int_equal(shim_areas_open(&p, P, true, blank, &stuck), 1);
	assert_int_equal(look(&p, 0, false), 2);
	assert_int_equal(look(&p, 0, true), -1);
	assert_int_equal(look(&p, 1, false), 9);
	assert_int_equal(look(&p, 1, true), -1);
	unmap(&p);
}

/* A child has none of this memory, and nothing comes to its place. */
static void test_fork(void **state)
{
	struct shim_pages p = map(0, 8, PROT_READ | PROT_WRITE);
	int status;
	pid_t pid;

	assert_int_equal(shim_areas_map(&p), 0);
	shim_areas_open(&p, D, true, blank, &stuck);
	shim_areas_open(&p, P, true, blank, &stuck);
	pid = fork();
	if (!pid) {
		shim_areas_abandon(&p, blank);
		for (unsigned i = 0; i < 8; i++)
			if (look(&p, i, false) != -1 ||
			    mmap((void *)(p.start + i * PAGE), PAGE, PROT_READ,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1,
				 0) != MAP_FAILED)
				_exit(1 + (int)i);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(look(&p, 3, false), 9);
	unmap(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_next),
		cmocka_unit_test(test_rights),
		cmocka_unit_test(test_fork),
	};

	fd = memfd_create("device", MFD_CLOEXEC);
	blank = memfd_create("blank", MFD_CLOEXEC);
	if (fd < 0 || blank < 0 || ftruncate(fd, 9 * PAGE))
		return 1;
	mem = mmap(NULL, 9 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (mem == MAP_FAILED)
		return 1;
	for (unsigned i = 0; i < 9; i++)
		mem[i * PAGE] = (char)(i + 1);
	for (unsigned i = 1; i < ARRAY_SIZE(areas); i++)
		areas[i].fd = fd;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
