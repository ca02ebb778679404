/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRACE_SHOW_INTERNAL_H
#define TRACE_SHOW_INTERNAL_H
#include "base/event.h"
#include "trace/format.h"
#include "trace/shared.h"
#include "trace/show/show.h"

#define NOT_PAIRED UINT32_MAX

/* An event of a log, with its record and data, which are within their bounds. */
struct trace_event {
	const struct trace_record *r;
	uint64_t time; /* when it began; of a command: when the driver rang for it */
	uint32_t pair; /* of a call its return, of a command its end, and the other way round */
};

/* A file that was read. */
struct trace_log {
	void *mapped, *copy;
	size_t size;
	struct trace_event *event; /* by time */
	uint32_t n;
	uint64_t start;		  /* ticks of the first one */
	uint64_t ticks, ticks_ns; /* so many ticks took so long; 0: not known */
	uint64_t clock, real;	  /* what CLOCK_REALTIME was at @clock ticks */
	uint64_t dropped;
	bool whole;	  /* it has its end */
	uint64_t damaged; /* where it cannot be read any more; 0: nowhere */
	uint32_t of_dma;
	uint32_t num_threads, num_devices;
	struct trace_thread_data thread[TRACE_THREADS];
	struct trace_device_data device[TRACE_DEVICES];
	struct trace_register reg[TRACE_REGISTERS];
};

/* ---- drain.c ---- */
/* For tests. */
struct trace_shared *trace_drain_shared(struct trace_drain *d);

/* ---- read.c ---- */
/* Nanoseconds since the first event. */
uint64_t trace_ns(const struct trace_log *log, uint64_t ticks);
/* The device of @r, or NULL; its name and that of its thread, or "". */
const struct trace_device_data *trace_device(const struct trace_log *log,
					     const struct trace_record *r);
const char *trace_device_name(const struct trace_log *log, const struct trace_record *r);
const struct trace_thread_data *trace_thread(const struct trace_log *log,
					     const struct trace_record *r);
static inline const uint8_t *trace_data(const struct trace_record *r)
{
	return (const uint8_t *)(r + 1);
}

/* ---- filter.c ---- */
/* "bar", "config", "dma", ...: the kind as users know it. */
const char *trace_kind_name(const struct trace_record *r);
/* True if @e is wanted. */
bool trace_wanted(const struct trace_log *log, const struct trace_event *e,
		  const struct trace_filter *f);

/* ---- names.c ---- */
#define TRACE_NAME 64u
/* Find the name of the register that the access @r is of. */
bool trace_reg_name(const struct trace_log *log, const struct trace_record *r,
		    char name[TRACE_NAME]);
/* "BAR0", "config", "ROM", "region 9" */
const char *trace_region_name(unsigned index, char name[TRACE_NAME]);
const char *trace_irq_name(unsigned what);
const char *trace_reset_name(unsigned kind);

/* ---- ioctl.c ---- */
/* The name of ioctl @cmd of a file of @kind, in @buf if there is none. */
const char *trace_ioctl_name(unsigned kind, unsigned cmd, char buf[TRACE_NAME]);
/* Write the argument of the call @r, from its record or that of its return. */
void trace_ioctl_argument(FILE *out, const struct trace_record *r);

/* ---- stats.c ---- */
/* Bucket n: at least 2^n and less than 2^(n + 1) ns. */
#define TRACE_BUCKETS 40u
struct trace_histogram {
	uint64_t bucket[TRACE_BUCKETS], n, sum, min, max;
};
void trace_histogram_add(struct trace_histogram *h, uint64_t ns);
/* How often a register was accessed; @r is one of the accesses. */
struct trace_counted {
	uint64_t key, at, reads, writes;
	const struct trace_record *r;
};
#define TRACE_IRQS  7u /* enum event_irq */
#define TRACE_NAMED 128u
struct trace_sums {
	struct trace_device_sums {
		uint64_t accesses, access_bytes, commands;
		uint64_t dma[2], dma_bytes[2]; /* reads, writes */
		uint64_t irq[TRACE_IRQS];
	} device[TRACE_DEVICES];
	/* how long commands and ioctls took */
	struct trace_named {
		const char *kind;
		char name[TRACE_NAME];
		struct trace_histogram took;
	} named[TRACE_NAMED];
	unsigned num_named;
	struct trace_counted *counted; /* the most first */
	uint32_t num_counted, room;
};
/* Sum up what is wanted; NULL: no memory. */
struct trace_sums *trace_sums_new(const struct trace_log *log, const struct trace_filter *f);
void trace_sums_free(struct trace_sums *s);

/* ---- bells.c ---- */
/* Find when the driver rang for each command, where that is in the log. 0 or -ENOMEM. */
int trace_find_bells(struct trace_log *log);

/* ---- text.c ---- */
/* Write what happened, without time, thread and device. */
void trace_describe(FILE *out, const struct trace_log *log, const struct trace_event *e);
#endif
