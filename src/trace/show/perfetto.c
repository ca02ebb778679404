/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * trace/show/perfetto.c: a log in the format of Chrome's traces, which the Perfetto viewer opens:
 * a process for each of the program's, with its threads, and one for each device, with a track for
 * each queue, for each interrupt, and for DMA. A command is a slice of its queue's track, from the
 * doorbell to its completion; as many of them as are under way at a time have tracks of their own.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "trace/show/internal.h"

/* numbers of processes and tracks of devices: no process of Linux has such a one */
#define DEVICES	     (1u << 24)
#define TRACK_DMA    1u
#define TRACK_INTX   2u
#define TRACK_MISC   3u
#define TRACK_IRQS   16u
#define TRACK_QUEUES (1u << 16)
#define LANES	     256u

struct lanes {
	uint16_t device, queue;
	uint64_t until[LANES]; /* when the lane is free */
	unsigned n;
};

struct out {
	FILE *f;
	const struct trace_log *log;
	bool any;
	struct lanes *lanes;
	unsigned num_lanes, room;
};

/* ---- events of the format ---- */

static void begin(struct out *o)
{
	fputs(o->any ? ",\n{" : "\n{", o->f);
	o->any = true;
}

/* Name a process (@track 0), or one of its tracks. */
static void name_track(struct out *o, uint32_t process, uint32_t track, const char *name)
{
	begin(o);
	fprintf(o->f, "\"ph\":\"M\",\"pid\":%u,\"tid\":%u,\"name\":\"%s\",\"args\":{", process,
		track, track ? "thread_name" : "process_name");
	json_write_member(o->f, "name", name);
	fputs("}}", o->f);
}

static void put_us(FILE *f, const char *key, uint64_t ns)
{
	fprintf(f, ",\"%s\":%" PRIu64 ".%03u", key, ns / 1000, (unsigned)(ns % 1000));
}

/* An event on a track, with @ns as its length; 0: it is a moment. */
static void event(struct out *o, uint32_t process, uint32_t track, const struct trace_event *e,
		  uint64_t ns, const char *name)
{
	char *text = NULL;
	size_t len;
	FILE *f;

	begin(o);
	fprintf(o->f, "\"ph\":\"%s\",\"pid\":%u,\"tid\":%u", ns ? "X" : "i", process, track);
	put_us(o->f, "ts", trace_ns(o->log, e->time));
	if (ns)
		put_us(o->f, "dur", ns);
	else
		fputs(",\"s\":\"t\"", o->f);
	fprintf(o->f, ",\"cat\":\"%s\",", trace_kind_name(e->r));
	json_write_member(o->f, "name", name);
	f = open_memstream(&text, &len);
	if (f) {
		trace_describe(f, o->log, e);
		if (!fclose(f)) {
			fputs(",\"args\":{", o->f);
			json_write_member(o->f, "what", text);
			fputc('}', o->f);
		}
		free(text);
	}
	fputc('}', o->f);
}

/* ---- queues ---- */

/* Return the first lane of a queue that is free from @from on, and take it until @until. */
static uint32_t lane(struct out *o, const struct trace_record *r, uint64_t from, uint64_t until)
{
	struct lanes *l = NULL;
	char name[TRACE_NAME];
	unsigned i;

	for (i = 0; i < o->num_lanes && !l; i++)
		if (o->lanes[i].device == r->device && o->lanes[i].queue == r->sub)
			l = &o->lanes[i];
	if (!l && o->num_lanes == o->room) {
		l = realloc(o->lanes, (2 * o->room + 8) * sizeof(*l));
		if (!l)
			return TRACK_MISC;
		o->lanes = l;
		o->room = 2 * o->room + 8;
		l = NULL;
	}
	if (!l) {
		l = &o->lanes[o->num_lanes++];
		memset(l, 0, sizeof(*l));
		l->device = r->device;
		l->queue = r->sub;
	}
	for (i = 0; i < l->n && l->until[i] > from; i++)
		;
	if (i == LANES)
		return TRACK_MISC;
	if (i == l->n) {
		l->n++;
		snprintf(name, sizeof(name), i ? "queue %u (%u)" : "queue %u", r->sub, i + 1);
		name_track(o, DEVICES + r->device, TRACK_QUEUES + LANES * r->sub + i, name);
	}
	l->until[i] = until;
	return TRACK_QUEUES + LANES * r->sub + i;
}

static void command(struct out *o, const struct trace_event *e)
{
	const struct trace_record *end = NULL;
	uint64_t from = trace_ns(o->log, e->time), to = from + 1;
	char name[TRACE_NAME];

	if (e->pair != NOT_PAIRED)
		end = o->log->event[e->pair].r;
	if (end && trace_ns(o->log, end->time) > from)
		to = trace_ns(o->log, end->time);
	snprintf(name, sizeof(name), "%.*s", (int)e->r->data, trace_data(e->r));
	event(o, DEVICES + e->r->device, lane(o, e->r, from, to), e, to - from, name);
}

/* ---- all ---- */

static void call(struct out *o, const struct trace_event *e, const struct trace_thread_data *t)
{
	uint64_t ns = 1;
	char name[TRACE_NAME];

	if (e->pair != NOT_PAIRED)
		ns = trace_ns(o->log, o->log->event[e->pair].r->time) - trace_ns(o->log, e->time);
	event(o, (uint32_t)t->pid, (uint32_t)t->tid, e, ns ? ns : 1,
	      trace_ioctl_name(e->r->sub, (unsigned)e->r->at, name));
}

static void put(struct out *o, const struct trace_event *e)
{
	const struct trace_thread_data *t = trace_thread(o->log, e->r);
	const struct trace_record *r = e->r;
	uint32_t device = DEVICES + r->device;
	char reg[TRACE_NAME], region[TRACE_NAME], name[2 * TRACE_NAME + 16];

	switch (r->kind) {
	case TRACE_ACCESS:
		snprintf(name, sizeof(name), "%s %s", r->flags & TRACE_WRITE ? "write" : "read",
			 trace_reg_name(o->log, r, reg) ? reg : trace_region_name(r->sub, region));
		event(o, (uint32_t)t->pid, (uint32_t)t->tid, e, 0, name);
		break;
	case TRACE_DMA:
		event(o, device, TRACK_DMA, e, 0, r->flags & TRACE_WRITE ? "write" : "read");
		break;
	case TRACE_IRQ:
		event(o, device,
		      r->at == TRACE_INTX ? TRACK_INTX : TRACK_IRQS + (uint32_t)(r->at & 0xfff), e,
		      0, trace_irq_name(r->sub));
		break;
	case TRACE_CALL:
		call(o, e, t);
		break;
	case TRACE_BEGIN:
		command(o, e);
		break;
	case TRACE_RETURN:
	case TRACE_END:
		break;
	case TRACE_RESET:
		event(o, device, TRACK_MISC, e, 0, "reset");
		break;
	case TRACE_REPORT:
		snprintf(name, sizeof(name), "%.*s",
			 (int)strnlen((const char *)trace_data(r), r->data), trace_data(r));
		event(o, (uint32_t)t->pid, (uint32_t)t->tid, e, 0, name);
		break;
	default:
		event(o, (uint32_t)t->pid, (uint32_t)t->tid, e, 0, "map");
	}
}

static void name_threads(struct out *o)
{
	const struct trace_log *log = o->log;

	for (uint32_t i = 0; i < log->num_threads; i++) {
		const struct trace_thread_data *t = &log->thread[i];

		/* the main thread has the process's name */
		if (t->pid == t->tid)
			name_track(o, (uint32_t)t->pid, 0, t->name);
		name_track(o, (uint32_t)t->pid, (uint32_t)t->tid, t->name);
	}
}

static void name_devices(struct out *o)
{
	const struct trace_log *log = o->log;
	bool seen[TRACE_DEVICES] = { false };
	uint16_t *vectors = calloc(TRACE_DEVICES, sizeof(*vectors));
	char name[TRACE_NAME + 40];

	for (uint32_t i = 0; i < log->n; i++) {
		const struct trace_record *r = log->event[i].r;

		if (r->device >= log->num_devices)
			continue;
		seen[r->device] |= r->kind == TRACE_DMA || r->kind == TRACE_IRQ ||
				   r->kind == TRACE_BEGIN || r->kind == TRACE_RESET;
		if (vectors && r->kind == TRACE_IRQ && r->at < 4096 && vectors[r->device] <= r->at)
			vectors[r->device] = (uint16_t)(r->at + 1);
	}
	for (uint32_t i = 0; i < log->num_devices; i++) {
		if (!seen[i])
			continue;
		snprintf(name, sizeof(name), "%s %s", log->device[i].name, log->device[i].model);
		name_track(o, DEVICES + i, 0, name);
		name_track(o, DEVICES + i, TRACK_DMA, "DMA");
		name_track(o, DEVICES + i, TRACK_INTX, "INTx");
		name_track(o, DEVICES + i, TRACK_MISC, "resets");
		for (unsigned v = 0; vectors && v < vectors[i]; v++) {
			snprintf(name, sizeof(name), "vector %u", v);
			name_track(o, DEVICES + i, TRACK_IRQS + v, name);
		}
	}
	free(vectors);
}

void trace_perfetto(FILE *out, const struct trace_log *log, const struct trace_filter *f)
{
	struct out o = { .f = out, .log = log };

	fputs("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[", out);
	name_threads(&o);
	name_devices(&o);
	for (uint32_t i = 0; i < log->n; i++)
		if (trace_wanted(log, &log->event[i], f))
			put(&o, &log->event[i]);
	fputs("\n]}\n", out);
	free(o.lanes);
}
