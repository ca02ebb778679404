/* SPDX-License-Identifier: BSD-3-Clause */
/* base/maps.c: /proc/self/maps, line by line, past malloc. */
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/maps.h"
#include "base/sys.h"

#define MAPS "/proc/self/maps"

static atomic_int kept_fd = -1;

int maps_keep(void)
{
	int fd = sys_open(MAPS, O_RDONLY | O_CLOEXEC, 0), private;

	if (fd < 0)
		return fd;
	private = fd_make_private(fd);
	if (private < 0) {
		sys_close(fd);
		return private;
	}
	fd_close_private(atomic_exchange(&kept_fd, private));
	return 0;
}

int maps_each(bool (*fn)(const char *line, void *arg), void *arg)
{
	int kept = atomic_load(&kept_fd);
	int fd = kept >= 0 ? kept : sys_open(MAPS, O_RDONLY | O_CLOEXEC, 0);
	char buf[2 * PATH_MAX], *line, *end; /* a line has a path, and 100 characters before it */
	bool more = true;
	off_t at = 0; /* threads may read the one that is kept at the same time */
	size_t have = 0;
	ssize_t n = 0;

	if (fd < 0)
		return fd;
	while (more && (n = sys_pread(fd, buf + have, sizeof(buf) - 1 - have, at)) > 0) {
		at += n;
		have += (size_t)n;
		buf[have] = '\0';
		for (line = buf; more && (end = strchr(line, '\n')); line = end + 1) {
			*end = '\0';
			more = fn(line, arg);
		}
		have -= (size_t)(line - buf);
		memmove(buf, line, have);
	}
	if (fd != kept)
		sys_close(fd);
	return n < 0 ? (int)n : 0;
}

const char *maps_bounds(const char *line, uint64_t *start, uint64_t *end)
{
	char *rest;

	*start = strtoull(line, &rest, 16);
	*end = strtoull(*rest ? rest + 1 : rest, &rest, 16);
	return *rest ? rest + 1 : rest;
}
