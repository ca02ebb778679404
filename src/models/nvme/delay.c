/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/nvme/delay.c: latency=TIME. A command is executed as ever, and its completion waits until
 * so much time has passed since the command was fetched. So none completes inside of the store that
 * rang its doorbell, and with a range they come out of order, as a disk's do: a driver that counts
 * on either is found out.
 *
 * A command that waits is a request in flight: deleting its queue, a reset and quiesce wait for it
 * as for any other. They do not wait for the time: while the controller is drained what waits
 * completes at once (and goes nowhere in a reset). A command whose completion waits was executed,
 * so Abort does not find it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "models/nvme/internal.h"

#define LONGEST 60000000000ull /* ns */

/* ---- the option ---- */

/* Parse a number and its unit, up to @end. 0 or -EINVAL. */
static int parse_time(const char *text, const char *end, uint64_t *ns)
{
	static const struct {
		const char *name;
		uint64_t ns;
	} units[] = { { "ns", 1 }, { "us", 1000 }, { "ms", 1000000 }, { "s", 1000000000 } };
	char *unit;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	*ns = strtoull(text, &unit, 10);
	if (errno)
		return -EINVAL;
	if (unit == end)
		return *ns ? -EINVAL : 0; /* of nothing no unit is needed */
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strlen(units[i].name) != (size_t)(end - unit) ||
		    memcmp(unit, units[i].name, (size_t)(end - unit)))
			continue;
		if (*ns > LONGEST / units[i].ns)
			return -EINVAL;
		*ns *= units[i].ns;
		return 0;
	}
	return -EINVAL;
}

static void expired(struct uvfio_dev *dev, void *arg);

int nvme_delay_init(struct nvme *n)
{
	const char *text = uvfio_opt_string(n->dev, "latency", 0);
	const char *end = text + strlen(text), *dash = strchr(text, '-');
	struct nvme_delay *d = &n->delay;

	if (parse_time(text, dash ? dash : end, &d->min) ||
	    (dash && parse_time(dash + 1, end, &d->max)))
		return uvfio_error(n->dev,
				   "latency=%s: a time with its unit (10us) or two (5us-2ms); ns, "
				   "us, ms, s, up to 60s",
				   text);
	if (!dash)
		d->max = d->min;
	if (d->min > d->max)
		return uvfio_error(n->dev, "latency=%s: the range ends before it begins", text);
	if (!d->max)
		return 0;
	d->timer = uvfio_timer_new(n->dev, expired, n);
	return d->timer ? 0 : -ENOMEM;
}

void nvme_delay_fini(struct nvme *n)
{
	if (n->delay.timer)
		uvfio_timer_free(n->delay.timer);
	free(n->delay.heap);
}

/* Return a delay in the range: splitmix64 of a counter. */
uint64_t nvme_delay_due(struct nvme *n, uint64_t now)
{
	struct nvme_delay *d = &n->delay;
	uint64_t z = atomic_fetch_add(&d->draws, 0x9e3779b97f4a7c15ull);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return now + d->min + (z ^ z >> 31) % (d->max - d->min + 1);
}

/*
 * ---- what waits: a heap, the first to complete on top; of those due together the first that came
 * ----
 */

static bool before(const struct nvme_req *a, const struct nvme_req *b)
{
	return a->due != b->due ? a->due < b->due : a->order < b->order;
}

/* Add to the heap. With lock. False: no memory. */
static bool heap_push(struct nvme_delay *d, struct nvme_req *r)
{
	unsigned i = d->count;

	if (d->count == d->room) {
		unsigned room = d->room ? d->room * 2 : 256;
		struct nvme_req **heap = realloc(d->heap, room * sizeof(*heap));

		if (!heap)
			return false;
		d->heap = heap;
		d->room = room;
	}
	r->order = d->order++;
	for (d->count++; i && before(r, d->heap[(i - 1) / 2]); i = (i - 1) / 2)
		d->heap[i] = d->heap[(i - 1) / 2];
	d->heap[i] = r;
	return true;
}

/* Take the first off the heap, which is not empty. With lock. */
static struct nvme_req *heap_pop(struct nvme_delay *d)
{
	struct nvme_req *top = d->heap[0], *last = d->heap[--d->count];
	unsigned i = 0, child;

	while ((child = 2 * i + 1) < d->count) {
		if (child + 1 < d->count && before(d->heap[child + 1], d->heap[child]))
			child++;
		if (!before(d->heap[child], last))
			break;
		d->heap[i] = d->heap[child];
		i = child;
	}
	d->heap[i] = last;
	return top;
}

/* Have the timer fire when the first is due. With lock. */
static void set_timer(struct nvme_delay *d, uint64_t now)
{
	if (d->count)
		uvfio_timer_set(d->timer, d->heap[0]->due > now ? d->heap[0]->due - now : 0);
}

/* Note the answer, which is not made again if the process is killed while it waits. */
static void executed(const struct nvme_req *r)
{
	union nvme_slot *slot = nvme_slot_of(r->sq, r->tag);

	slot->status = r->status;
	slot->result = r->result;
	slot->location = r->location;
	atomic_store_explicit(&slot->state, NVME_SLOT_EXECUTED, memory_order_release);
}

void nvme_delay(struct nvme_req *r)
{
	struct nvme_delay *d = &r->n->delay;
	bool waits;

	pthread_mutex_lock(&d->lock);
	waits = !d->hurry && heap_push(d, r);
	if (waits)
		executed(r);
	if (waits && d->heap[0] == r)
		set_timer(d, nvme_now_ns());
	pthread_mutex_unlock(&d->lock);
	if (!waits)
		nvme_req_end(r);
}

/* Complete what is due at @now. */
static void release(struct nvme *n, uint64_t now)
{
	struct nvme_delay *d = &n->delay;
	struct nvme_req *r;

	do {
		r = NULL;
		pthread_mutex_lock(&d->lock);
		if (d->count && d->heap[0]->due <= now)
			r = heap_pop(d);
		else
			set_timer(d, nvme_now_ns());
		pthread_mutex_unlock(&d->lock);
		if (r)
			nvme_req_end(r);
	} while (r);
}

static void expired(struct uvfio_dev *dev, void *arg)
{
	release(arg, nvme_now_ns());
}

void nvme_delay_hurry(struct nvme *n, bool hurry)
{
	if (!n->delay.timer)
		return;
	pthread_mutex_lock(&n->delay.lock);
	n->delay.hurry = hurry;
	pthread_mutex_unlock(&n->delay.lock);
	if (hurry)
		release(n, UINT64_MAX);
}

void nvme_delay_command(struct nvme_sq *sq, uint16_t tag, uint16_t status, uint32_t result,
			uint16_t location, uint64_t due)
{
	struct nvme_req *r = calloc(1, sizeof(*r));

	if (!r) {
		nvme_complete(sq, tag, status, result, location);
		nvme_cq_notify(sq->n, nvme_cq_of(sq));
		return;
	}
	r->n = sq->n;
	r->sq = sq;
	r->tag = tag;
	r->status = status;
	r->result = result;
	r->location = location;
	r->due = due;
	nvme_req_count(r);
	nvme_delay(r);
}
