/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/lib/cases.h: a program of cases. Each prints "ok NAME" or "FAIL NAME", and before that a
 * line for each thing that was not so. main() returns any_failed.
 */
#ifndef TESTS_LIB_CASES_H
#define TESTS_LIB_CASES_H
#include <errno.h>
#include <stdio.h>
#include <string.h>

static int case_failed;
static int any_failed;

#define CHECK(x)                                                                                 \
	do {                                                                                     \
		errno = 0;                                                                       \
		if (!(x)) {                                                                      \
			case_failed = 1;                                                         \
			printf("     %s:%d: not so: %s (errno %d %s)\n", __FILE__, __LINE__, #x, \
			       errno, strerror(errno));                                          \
		}                                                                                \
	} while (0)
/* a call that must fail with just this error */
#define FAILS(x, e) CHECK((x) == -1 && errno == (e))

static inline void run_case(const char *name, void (*fn)(void))
{
	case_failed = 0;
	fn();
	printf("%s %s\n", case_failed ? "FAIL" : "ok  ", name);
	fflush(stdout);
	any_failed |= case_failed;
}
#define RUN(fn) run_case(#fn, fn)

/* A table of cases, for a program that is told by name which of them to run. */
struct named_case {
	const char *name;
	void (*fn)(void);
};
#define CASE(which)                         \
	{                                   \
		.name = #which, .fn = which \
	}

/*
 * Run the cases among the @n of @cases that the arguments name, in that order; names of others'
 * cases are passed over. Return what main() returns.
 */
static inline int run_named(int argc, char **argv, const struct named_case *cases, size_t n)
{
	for (int a = 1; a < argc; a++)
		for (size_t i = 0; i < n; i++)
			if (!strcmp(cases[i].name, argv[a]))
				run_case(cases[i].name, cases[i].fn);
	return any_failed;
}
#endif
