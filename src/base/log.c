/* SPDX-License-Identifier: BSD-3-Clause */
/* base/log.c: where lines go, and from which level on. */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "base/log.h"
#include "base/sys.h"
#include "base/util.h"

static atomic_int log_fd = 2;
static atomic_int threshold = LOG_WARN;

static const char *const level_names[] = { "error", "warn", "info", "debug" };

void log_set(int fd, int level)
{
	atomic_store(&log_fd, fd);
	atomic_store(&threshold, level);
}

int log_level(void)
{
	return atomic_load_explicit(&threshold, memory_order_relaxed);
}

int log_parse_level(const char *text)
{
	for (unsigned i = 0; i < ARRAY_SIZE(level_names); i++)
		if (!strcmp(text, level_names[i]))
			return (int)i;
	return strcmp(text, "none") ? -EINVAL : LOG_NONE;
}

const char *log_level_name(int level)
{
	return level >= 0 && level < (int)ARRAY_SIZE(level_names) ? level_names[level] : "error";
}

void log_write(int level, char *line, size_t len)
{
	size_t done = 0;

	if (level > log_level())
		return;
	line[len++] = '\n';
	while (done < len) {
		ssize_t w = sys_write(atomic_load(&log_fd), line + done, len - done);

		if (w == -EINTR)
			continue;
		if (w <= 0)
			break; /* the log is gone; nowhere to say so */
		done += (size_t)w;
	}
}
