/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * trace/show/bells.c: when a driver rang for a command: the last store to the doorbell of its
 * queue, a register "SQTDBL[queue]", that put the queue's tail behind it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "trace/show/internal.h"

#define STORES 64u /* that are kept of a queue */
#define QUEUES 1024u

struct queue {
	uint16_t device, number;
	uint32_t tail, n;
	/* the queue's tail went from one place to another */
	struct store {
		uint64_t time;
		uint32_t from, to;
	} last[STORES];
};

static struct queue *find(struct queue **queues, unsigned *n, uint16_t device, uint16_t number)
{
	for (unsigned i = 0; i < *n; i++)
		if (queues[i]->device == device && queues[i]->number == number)
			return queues[i];
	if (*n == QUEUES)
		return NULL;
	queues[*n] = calloc(1, sizeof(struct queue));
	if (!queues[*n])
		return NULL;
	queues[*n]->device = device;
	queues[*n]->number = number;
	return queues[(*n)++];
}

static void ring(struct queue *q, uint64_t time, uint32_t tail)
{
	q->last[q->n++ % STORES] = (struct store){ time, q->tail, tail };
	q->tail = tail;
}

static bool covers(const struct store *s, uint32_t place)
{
	return s->from <= s->to ? place >= s->from && place < s->to
				: place >= s->from || place < s->to;
}

/* Return when @place was rung for; @time if that is not known. */
static uint64_t rung(const struct queue *q, uint32_t place, uint64_t time)
{
	for (uint32_t i = q->n; i && i + STORES > q->n; i--)
		if (covers(&q->last[(i - 1) % STORES], place))
			return q->last[(i - 1) % STORES].time;
	return time;
}

int trace_find_bells(struct trace_log *log)
{
	struct queue **queues = calloc(QUEUES, sizeof(*queues)), *q;
	char name[TRACE_NAME];
	unsigned n = 0, number;

	if (!queues)
		return -ENOMEM;
	for (uint32_t i = 0; i < log->n; i++) {
		struct trace_event *e = &log->event[i];
		const struct trace_record *r = e->r;

		if (r->kind == TRACE_BEGIN) {
			q = find(queues, &n, r->device, r->sub);
			e->time = q ? rung(q, r->space, r->time) : r->time;
		} else if (r->kind == TRACE_RESET) {
			/* queues are empty again */
			for (unsigned k = 0; k < n; k++)
				if (queues[k]->device == r->device)
					queues[k]->tail = queues[k]->n = 0;
		} else if (r->kind == TRACE_ACCESS && r->flags & TRACE_WRITE && !r->err &&
			   trace_reg_name(log, r, name) &&
			   sscanf(name, "SQTDBL[%u]", &number) == 1 && number < TRACE_NONE) {
			q = find(queues, &n, r->device, (uint16_t)number);
			if (q)
				ring(q, r->time, (uint32_t)r->value);
		}
	}
	for (unsigned k = 0; k < n; k++)
		free(queues[k]);
	free(queues);
	return 0;
}
