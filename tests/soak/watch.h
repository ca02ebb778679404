/* SPDX-License-Identifier: BSD-3-Clause */
/* soak/watch.h: what a server costs: its memory and descriptors, as /proc has them. */
#ifndef SOAK_WATCH_H
#define SOAK_WATCH_H
#include <dirent.h>
#include <time.h>

#include "soak/client.h"

static inline double soak_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Return the number behind @key in /proc/PID/status: kB. */
static inline long soak_status(pid_t server, const char *key)
{
	char path[64], line[256];
	long v = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", server);
	f = fopen(path, "r");
	MUST(f);
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, key, strlen(key)))
			v = atol(line + strlen(key));
	fclose(f);
	return v;
}

static inline long soak_fds(pid_t server)
{
	char path[64];
	long n = 0;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", server);
	d = opendir(path);
	MUST(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/* The server is done with the last clients when as few descriptors are open as before. */
static inline long soak_settled(pid_t server, long expect)
{
	long n = soak_fds(server);

	for (unsigned i = 0; i < 100 && n > expect; i++) {
		usleep(50000);
		n = soak_fds(server);
	}
	return n;
}

#endif
