/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * trace/show/show.h: traces in the command: the writer of a file (drain.c), while the program of
 * `uvfio run` runs; and what is made of a file afterwards.
 */
#ifndef TRACE_SHOW_SHOW_H
#define TRACE_SHOW_SHOW_H
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* ---- drain.c ---- */

#define TRACE_MEMORY_DEFAULT (32ull << 20)
#define TRACE_MEMORY_MIN     (1ull << 20)
#define TRACE_MEMORY_MAX     (16ull << 30)
#define TRACE_DMA_DEFAULT    16u
#define TRACE_DMA_BYTES_MAX  4096u

struct trace_drain_options {
	const char *file;
	uint64_t memory; /* bytes of all rings; 0: the default */
	uint32_t of_dma; /* bytes of each DMA; UINT32_MAX: all */
};
struct trace_drain;
/*
 * Make the rings in the run directory @dir, and open the file. 0, or -errno and a sentence in *@why
 * (malloc'ed, or NULL).
 */
int trace_drain_new(const char *dir, const struct trace_drain_options *o, struct trace_drain **out,
		    char **why);
/* Start the thread that writes. 0 or -errno. */
int trace_drain_start(struct trace_drain *d);
/* Write what is left, and say what is not there. */
void trace_drain_end(struct trace_drain *d);
void trace_drain_free(struct trace_drain *d);

/* ---- read.c ---- */

struct trace_log;
/*
 * Read @path, all of it. 0, or -errno and a sentence in *@why (malloc'ed, or NULL): -EINVAL: it is
 * no trace. What is cut is read as far as it goes.
 */
int trace_log_read(const char *path, struct trace_log **out, char **why);
/* The same of @size bytes at @bytes, which stay. */
int trace_log_parse(const void *bytes, size_t size, struct trace_log **out);
void trace_log_free(struct trace_log *log);
/* Say on @out what is not in the log that was read from @path, if there is something. */
void trace_log_lacks(FILE *out, const struct trace_log *log, const char *path);

/* Which events are wanted. */
struct trace_filter {
	const char *device;	/* a part of its name, or NULL */
	const char *kinds;	/* names of kinds, with commas between, or NULL */
	const char *reg;	/* a part of the register's name, or NULL */
	int64_t from_ns, to_ns; /* since the first event; INT64_MAX: no end */
	const char *thread;	/* its name or number, or NULL */
};
/* Check @f: 0, or -EINVAL and *@bad is the word of kinds that is none (@len bytes). */
int trace_filter_check(const struct trace_filter *f, const char **bad, unsigned *len);

/* ---- text.c, json.c, perfetto.c, stats.c: what is wanted of a log ---- */
void trace_text(FILE *out, const struct trace_log *log, const struct trace_filter *f);
void trace_json(FILE *out, const struct trace_log *log, const struct trace_filter *f);
/* For the Perfetto viewer. */
void trace_perfetto(FILE *out, const struct trace_log *log, const struct trace_filter *f);
/* 0, or -1: no memory. */
int trace_stats(FILE *out, const struct trace_log *log, const struct trace_filter *f);

/* ---- report.c ---- */
#define TRACE_REPORT_EVENTS 200000u /* that a page has */
/* Write a page for a browser, of the log in file @name. 0 or -ENOMEM. */
int trace_report(FILE *out, const struct trace_log *log, const struct trace_filter *f,
		 const char *name);
#endif
