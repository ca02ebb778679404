/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * trace/trace.h: the recorder of a trace, in a process that drives devices. It listens to events
 * (base/event.h) and reports (base/report.h) and writes each into the ring of its thread, in memory
 * that `uvfio run` reads (trace/show/).
 */
#ifndef TRACE_TRACE_H
#define TRACE_TRACE_H
#include <stdbool.h>

/* The file in the run directory; there is one if a trace is written. */
#define TRACE_FILE "trace"

struct trace_shared;
/*
 * Begin to record, if the run at @dir has a trace; once in a process. 0: it does, or there is
 * nothing to do; -errno.
 */
int trace_start(const char *dir);
/* The same with @s, which stays. */
int trace_start_with(struct trace_shared *s);
/* In a forked child: its threads are others. */
void trace_forked(void);
/* End it again. For tests: nothing happens meanwhile. */
void trace_stop(void);
#endif
