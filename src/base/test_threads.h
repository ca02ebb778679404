/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * base/test_threads.h: the threads of this process, for tests of what ends them. The kernel wakes
 * pthread_join() before it takes a thread out of /proc: a test waits until none is seen, and counts
 * by name, since those of the test before may be among them.
 */
#ifndef BASE_TEST_THREADS_H
#define BASE_TEST_THREADS_H
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Count the threads whose name begins with @prefix. */
static inline unsigned threads_named(const char *prefix)
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *e;
	unsigned n = 0;

	while (dir && (e = readdir(dir))) {
		char path[300], name[32] = "";
		FILE *f;

		snprintf(path, sizeof(path), "/proc/self/task/%s/comm", e->d_name);
		f = fopen(path, "r");
		if (!f)
			continue;
		if (fgets(name, sizeof(name), f) && !strncmp(name, prefix, strlen(prefix)))
			n++;
		fclose(f);
	}
	if (dir)
		closedir(dir);
	return n;
}

/* Wait up to ten seconds until there is no such thread; true if there is none. */
static inline bool threads_gone(const char *prefix)
{
	for (int i = 0; i < 10000 && threads_named(prefix); i++)
		usleep(1000);
	return !threads_named(prefix);
}
#endif
