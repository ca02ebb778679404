/* SPDX-License-Identifier: BSD-3-Clause */
/* base/maps.c: /proc/self/maps, line by line, past malloc. */
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/maps.h"
#include "base/sys.h"

int maps_each(bool (*fn)(const char *line, void *arg), void *arg)
{
	int fd = sys_open("/proc/self/maps", O_RDONLY | O_CLOEXEC, 0);
	char buf[2 * PATH_MAX], *line, *end; /* a line has a path, and 100 characters before it */
	bool more = true;
	size_t have = 0;
	ssize_t n = 0;

	if (fd < 0)
		return fd;
	while (more && (n = sys_read(fd, buf + have, sizeof(buf) - 1 - have)) > 0) {
		have += (size_t)n;
		buf[have] = '\0';
		for (line = buf; more && (end = strchr(line, '\n')); line = end + 1) {
			*end = '\0';
			more = fn(line, arg);
		}
		have -= (size_t)(line - buf);
		memmove(buf, line, have);
	}
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
