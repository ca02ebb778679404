/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * base/log.h: the log. One line an event: "uvfio: LEVEL: WHO: text". The one piece of process-wide
 * state (a log is one per process, as stderr is). Never on a hot path. Async-signal-safe as far as
 * snprintf is with plain integers and strings: one write(2) a line, no stdio, no malloc, no lock.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_ERR, LOG_WARN, LOG_INFO, LOG_DEBUG, LOG_NONE = -1 };

/* Where lines go. Default: fd 2, LOG_WARN. The fd is not taken over. */
void log_set(int fd, int level);
int log_level(void);
/*
 * "error", "warn", "info", "debug", "none" -> level; -EINVAL: unknown, LOG_NONE is -1 so test with
 * == -EINVAL
 */
int log_parse_level(const char *text);

/* "error", "warn", "info", "debug" */
const char *log_level_name(int level);
/* Write @line, which has room for a line's end behind @len bytes, if @level is wanted. */
void log_write(int level, char *line, size_t len);

void log_line(int level, const char *who, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void log_vline(int level, const char *who, const char *fmt, va_list ap);
#define log_err(who, ...)  log_line(LOG_ERR, who, __VA_ARGS__)
#define log_warn(who, ...) log_line(LOG_WARN, who, __VA_ARGS__)
#define log_info(who, ...) log_line(LOG_INFO, who, __VA_ARGS__)
#define log_debug(who, ...)                                    \
	do {                                                   \
		if (log_level() >= LOG_DEBUG)                  \
			log_line(LOG_DEBUG, who, __VA_ARGS__); \
	} while (0)

/* Tests read the log: every line also goes to @fn (NULL: off). */
void log_tap(void (*fn)(int level, const char *line, void *arg), void *arg);

/*
 * Token bucket so that a driver in a loop cannot bury the log: true if the line may be written;
 * *@suppressed gets how many were not since.
 */
struct log_limit {
	uint64_t window_ns;
	uint32_t left, suppressed;
};
bool log_allow(struct log_limit *l, uint32_t *suppressed); /* 20 lines a second */
#endif
