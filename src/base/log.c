/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * base/log.c: a line is put together on the stack and leaves with one write(2), so that lines of
 * several threads and processes do not mix and a signal handler may log.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/sys.h"
#include "base/util.h"

#define LINE_MAX_BYTES 1024

struct tap {
	void (*fn)(int level, const char *line, void *arg);
	void *arg;
};

static atomic_int log_fd = 2;
static atomic_int threshold = LOG_WARN;
static struct tap tap; /* set by tests, before they start threads */

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

void log_tap(void (*fn)(int level, const char *line, void *arg), void *arg)
{
	tap.arg = arg;
	tap.fn = fn;
}

void log_vline(int level, const char *who, const char *fmt, va_list ap)
{
	char line[LINE_MAX_BYTES];
	int saved = errno, n, m;
	size_t len, done = 0;

	if (level < 0 || level >= (int)ARRAY_SIZE(level_names))
		level = LOG_ERR;
	if (level > log_level() && !tap.fn)
		return;
	n = snprintf(line, sizeof(line) - 1, "uvfio: %s: %s%s", level_names[level], who ? who : "",
		     who ? ": " : "");
	len = n < 0 ? 0 : (size_t)n;
	if (len > sizeof(line) - 2)
		len = sizeof(line) - 2;
	m = vsnprintf(line + len, sizeof(line) - 1 - len, fmt, ap);
	if (m > 0)
		len += (size_t)m;
	if (len > sizeof(line) - 2) { /* cut: say so */
		len = sizeof(line) - 2;
		memcpy(line + len - 3, "...", 3);
	}
	/* what a client gave (a name, a path) must not make a second line */
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
			line[i] = '?';
	line[len] = 0;
	if (tap.fn)
		tap.fn(level, line, tap.arg);
	if (level <= log_level()) {
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
	errno = saved;
}

void log_line(int level, const char *who, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_vline(level, who, fmt, ap);
	va_end(ap);
}

#define LIMIT_WINDOW_NS 1000000000ull
#define LIMIT_LINES	20u

/*
 * A bucket that is filled once a second. Without a lock: who wins the exchange of the window fills
 * the bucket; a line too many or too few when several threads meet does no harm.
 */
bool log_allow(struct log_limit *l, uint32_t *suppressed)
{
	uint64_t now = now_ns(), start = __atomic_load_n(&l->window_ns, __ATOMIC_RELAXED);
	uint32_t left;

	*suppressed = 0;
	if (!start || now - start >= LIMIT_WINDOW_NS) {
		if (__atomic_compare_exchange_n(&l->window_ns, &start, now, false, __ATOMIC_RELAXED,
						__ATOMIC_RELAXED))
			__atomic_store_n(&l->left, LIMIT_LINES, __ATOMIC_RELAXED);
	}
	left = __atomic_load_n(&l->left, __ATOMIC_RELAXED);
	do {
		if (!left) {
			__atomic_fetch_add(&l->suppressed, 1, __ATOMIC_RELAXED);
			return false;
		}
	} while (!__atomic_compare_exchange_n(&l->left, &left, left - 1, true, __ATOMIC_RELAXED,
					      __ATOMIC_RELAXED));
	*suppressed = __atomic_exchange_n(&l->suppressed, 0, __ATOMIC_RELAXED);
	return true;
}
