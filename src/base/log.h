/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * base/log.h: where reports (base/report.h) are written to, and from which level on. The one piece
 * of process-wide state: a log is one per process, as stderr is. Async-signal-safe: one write(2) a
 * line, no lock.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H
#include <stddef.h>

enum log_level { LOG_ERR, LOG_WARN, LOG_INFO, LOG_DEBUG, LOG_NONE = -1 };

/* Set where lines go. Default: fd 2, LOG_WARN. The fd is not taken over. */
void log_set(int fd, int level);
int log_level(void);
/*
 * Return the level with the name "error", "warn", "info", "debug" or "none"; -EINVAL: there is none
 * of that name. LOG_NONE is negative, too: compare with -EINVAL.
 */
int log_parse_level(const char *text);

/* Return "error", "warn", "info" or "debug". */
const char *log_level_name(int level);
/* Write @line, which has room for a line's end behind @len bytes, if @level is wanted. */
void log_write(int level, char *line, size_t len);
#endif
