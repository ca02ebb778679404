/* SPDX-License-Identifier: BSD-3-Clause */
/* run_file_test.c: a file of a run is mapped whole, or why not is said. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/run_file.h"
#include "base/sys.h"

static void test_map(void **state)
{
	char dir[] = "run_file_test.XXXXXX", path[64], long_name[PATH_MAX], c = 0;
	size_t size = 0;
	long p;
	int fd;

	assert_non_null(mkdtemp(dir));
	strcat(strcpy(path, dir), "/a");
	assert_int_equal(run_file_map(dir, "a", 1, &size), -ENOENT);
	memset(long_name, 'a', sizeof(long_name));
	long_name[PATH_MAX - 1] = '\0';
	assert_int_equal(run_file_map(dir, long_name, 1, &size), -ENAMETOOLONG);
	fd = open(path, O_RDWR | O_CREAT, 0600);
	assert_int_equal(ftruncate(fd, 8192), 0);
	/* one that is too short would be a SIGBUS later */
	assert_int_equal(run_file_map(dir, "a", 8193, &size), -EINVAL);
	assert_int_equal(size, 0);
	p = run_file_map(dir, "a", 4096, &size);
	assert_false(sys_failed(p));
	assert_int_equal(size, 8192);
	((char *)p)[8191] = 7;
	assert_int_equal(pread(fd, &c, 1, 8191), 1);
	assert_int_equal(c, 7);
	munmap((void *)p, size);
	close(fd);
	unlink(path);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_map) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
