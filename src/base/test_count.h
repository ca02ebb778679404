/* SPDX-License-Identifier: BSD-3-Clause */
/* base/test_count.h: for tests that nothing stays open or mapped. */
#ifndef BASE_TEST_COUNT_H
#define BASE_TEST_COUNT_H
#include <dirent.h>
#include <stdio.h>

/* Return how many descriptors the process has. */
static inline unsigned test_count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n;
}

/* Return how many mappings of files it has, which an allocator does not make. */
static inline unsigned test_count_file_mappings(void)
{
	FILE *f = fopen("/proc/self/maps", "re");
	unsigned n = 0, inode;
	char line[512];

	while (f && fgets(line, sizeof(line), f))
		n += sscanf(line, "%*s %*s %*s %*s %u", &inode) == 1 && inode;
	if (f)
		fclose(f);
	return n;
}
#endif
