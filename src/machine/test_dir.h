/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine/test_dir.h: for unit tests of this folder: a directory of the test's own, in which a run
 * or a view is, and a machine of some devices. After cmocka.h.
 */
#ifndef MACHINE_TEST_DIR_H
#define MACHINE_TEST_DIR_H
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "machine/machine.h"

#define TEST_DIR "/tmp/uvfio-test-XXXXXX"
static char dir[sizeof(TEST_DIR)];

static inline int test_make_dir(void **state)
{
	strcpy(dir, TEST_DIR);
	return mkdtemp(dir) ? 0 : -1;
}

static inline int test_remove(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static inline int test_drop_dir(void **state)
{
	return nftw(dir, test_remove, 16, FTW_DEPTH | FTW_PHYS);
}

static inline struct machine *test_machine_with(const char *const *specs)
{
	struct machine *m = machine_new();

	assert_non_null(m);
	for (; *specs; specs++) {
		char *err;

		if (machine_add(m, *specs, &err))
			fail_msg("%s: %s", *specs, err);
	}
	return m;
}
#define MACHINE(...) test_machine_with((const char *const[]){ __VA_ARGS__, NULL })
#endif
