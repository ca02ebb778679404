/* SPDX-License-Identifier: BSD-3-Clause */
/* base/log.c: where lines go, and from which level on. */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/report.h"
#include "base/sys.h"
#include "base/util.h"

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

static void to_tap(const struct report *r, void *arg)
{
	if (!r->limited)
		tap.fn(r->code->severity, r->line, tap.arg);
}

void log_tap(void (*fn)(int level, const char *line, void *arg), void *arg)
{
	static struct report_subscriber s = { .fn = to_tap, .level = LOG_INFO };

	report_unsubscribe(&s);
	tap.arg = arg;
	tap.fn = fn;
	if (fn)
		report_subscribe(&s);
}

void log_vline(int level, const char *who, const char *fmt, va_list ap)
{
	REPORT_CODE(err, LOG_ERR, "error");
	REPORT_CODE(warn, LOG_WARN, "warning");
	REPORT_CODE(info, LOG_INFO, "info");
	REPORT_CODE(debug, LOG_DEBUG, "debug");
	static const struct report_code *const codes[] = { &err, &warn, &info, &debug };

	report_vsay(codes[level < 0 || level > LOG_DEBUG ? LOG_ERR : level], who, 0, fmt, ap);
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
