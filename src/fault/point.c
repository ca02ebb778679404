/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fault/point.c: an access passes a point: which fault is meant for it, and whether it happens now.
 * All counters are of one fault and one device. What is random is computed from them and the seed.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

#include "base/report.h"
#include "base/sys.h"
#include "fault/internal.h"

atomic_uint fault_wanted_points;
static struct fault_table *_Atomic table;

enum { NAME_FREE, NAME_WRITING, NAME_READY };

/*
 * Return where the counts of the device @name are; one of those that find no room any more shares
 * the last one. A process that ends in the middle of a name leaves its place unused.
 */
static unsigned device_index(struct fault_table *t, const char *name)
{
	if (!name || !*name)
		return 0;
	for (unsigned i = 1; i < FAULT_DEVICES; i++) {
		unsigned state = NAME_FREE;

		if (atomic_compare_exchange_strong(&t->device[i].state, &state, NAME_WRITING)) {
			snprintf(t->device[i].name, FAULT_NAME, "%s", name);
			atomic_store(&t->device[i].state, NAME_READY);
			return i;
		}
		/* two threads that meet a new device at once: it gets one place */
		for (unsigned spin = 0; state == NAME_WRITING && spin < 100000; spin++)
			state = atomic_load(&t->device[i].state);
		if (state == NAME_READY && !strncmp(t->device[i].name, name, FAULT_NAME - 1))
			return i;
	}
	return FAULT_DEVICES - 1;
}

/* The stream of random numbers of a device has its name, not its place, which may change. */
static uint64_t stream_of(unsigned slot, const char *name)
{
	uint64_t h = 14695981039346656037ull; /* FNV-1a */

	for (const char *p = name ? name : ""; *p; p++)
		h = (h ^ (uint8_t)*p) * 1099511628211ull;
	return h ^ slot;
}

/* True if the number that @k names is one of its. */
static bool fits(const struct fault_key *k, const struct fault_where *w)
{
	for (unsigned i = 0; i < w->num_keys; i++)
		if (!strcmp(k->name, w->key_names[i]))
			return w->keys[i] >= k->from && w->keys[i] <= k->to;
	return false;
}

static bool is_meant_of_model(const struct fault_spec *s, const struct fault_where *w)
{
	if (strcmp(s->model, w->model) || strcmp(s->name, w->name))
		return false;
	for (unsigned i = 0; i < s->num_keys && i < FAULT_KEYS; i++)
		if (!fits(&s->key[i], w))
			return false;
	return true;
}

/* True if @s means the access @w. */
static bool is_meant(const struct fault_spec *s, const struct fault_where *w)
{
	uint64_t last = w->at + (w->size ? w->size - 1 : 0);

	if (s->device[0] && (!w->device || strcmp(s->device, w->device)))
		return false;
	if (w->model)
		return is_meant_of_model(s, w);
	if (s->bar != FAULT_NO_BAR && s->bar != w->bar)
		return false;
	if (s->reg[0] && (!w->reg || strcmp(s->reg, w->reg)))
		return false;
	return last >= s->from && w->at <= s->to;
}

/* Count an access that is meant. True: it is to go wrong; *@nth is which one it is. */
static bool happens(const struct fault_table *t, struct fault_slot *slot, unsigned index,
		    unsigned device, const char *name, uint64_t *seen, uint64_t *nth)
{
	const struct fault_spec *s = &slot->spec;
	struct fault_count *c = &slot->of[device];
	unsigned long long fired;

	*seen = atomic_fetch_add(&c->seen, 1) + 1;
	if (s->action == FAULT_COUNT || *seen <= s->after || (*seen - s->after) % s->every)
		return false;
	if (fault_random(t->seed, stream_of(index, name), *seen) >> 32 >= s->rate)
		return false;
	if (s->at_ns && now_ns() - slot->since < s->at_ns)
		return false;
	fired = atomic_load(&c->fired);
	do {
		if (s->times && fired >= s->times)
			return false;
	} while (!atomic_compare_exchange_weak(&c->fired, &fired, fired + 1));
	*nth = fired + 1;
	return true;
}

static void describe(enum fault_point p, const struct fault_where *w, char *text, size_t size)
{
	size_t len = 0;

	switch (p) {
	case FAULT_DMA_READ:
	case FAULT_DMA_WRITE:
		snprintf(text, size, "%s of %" PRIu64 " bytes at IOVA 0x%" PRIx64,
			 p == FAULT_DMA_READ ? "read" : "write", w->size, w->at);
		return;
	case FAULT_REG_READ:
		snprintf(text, size, "read of %" PRIu64 " bytes at 0x%" PRIx64 " of BAR%u%s%s",
			 w->size, w->at, w->bar, w->reg ? ", " : "", w->reg ? w->reg : "");
		return;
	case FAULT_MSI:
		snprintf(text, size, "message %" PRIu64, w->at);
		return;
	case FAULT_INTX:
		snprintf(text, size, "INTx");
		return;
	case FAULT_MAP:
		snprintf(text, size, "mapping of 0x%" PRIx64 " bytes at IOVA 0x%" PRIx64, w->size,
			 w->at);
		return;
	case FAULT_IRQS:
		snprintf(text, size, "SET_IRQS of %" PRIu64 " vectors", w->size);
		return;
	case FAULT_IOCTL:
		snprintf(text, size, "ioctl 0x%" PRIx64, w->at);
		return;
	case FAULT_MODEL:
		for (unsigned i = 0; i < w->num_keys && len < size; i++)
			len += (size_t)snprintf(text + len, size - len, "%s%s %" PRIu64,
						i ? ", " : "", w->key_names[i], w->keys[i]);
		if (!w->num_keys)
			snprintf(text, size, "%s", w->name);
		return;
	case FAULT_EVENT:
		if (w->bar == FAULT_NO_BAR)
			snprintf(text, size, "at its time");
		else
			snprintf(text, size, "at an access of 0x%" PRIx64 " of BAR%u", w->at,
				 w->bar);
		return;
	case FAULT_POINTS:
		break;
	}
	*text = '\0';
}

/* Fill in what happens. */
static void decide(const struct fault_table *t, unsigned index, const struct fault_where *w,
		   uint64_t seen, struct fault *out)
{
	const struct fault_spec *s = &t->slot[index].spec;

	*out = (struct fault){ .action = s->action, .err = s->err, .param = s->param };
	if (s->action == FAULT_CORRUPT)
		out->param = fault_random(~t->seed, stream_of(index, w->device), seen);
	else if (s->action == FAULT_VALUE && !s->has_value)
		out->param = w->value;
}

bool fault_at(enum fault_point p, const struct fault_where *w, struct fault *out)
{
	struct fault_table *t = atomic_load_explicit(&table, memory_order_acquire);
	unsigned device = t ? device_index(t, w->device) : 0, num = t ? atomic_load(&t->num) : 0;
	uint64_t seen, nth;
	bool hit = false;
	char where[128];

	for (unsigned i = 0; i < num && i < FAULT_SLOTS; i++) {
		struct fault_slot *slot = &t->slot[i];

		if (!atomic_load_explicit(&slot->ready, memory_order_acquire) ||
		    !(slot->spec.points >> p & 1) || !is_meant(&slot->spec, w))
			continue;
		/* all count, the first one that happens is the one that does */
		if (hit) {
			atomic_fetch_add(&slot->of[device].seen, 1);
			continue;
		}
		if (!happens(t, slot, i, device, w->device, &seen, &nth))
			continue;
		hit = true;
		decide(t, i, w, seen, out);
		describe(p, w, where, sizeof(where));
		report_warn("fault", w->device ? w->device : "fault", 0,
			    "injected %s: %s (its number %" PRIu64 ", access %" PRIu64
			    "; --seed %" PRIu64 ")",
			    slot->spec.text, where, nth, seen, t->seed);
	}
	return hit;
}

bool fault_event_due(const char *device, uint64_t *ns)
{
	struct fault_table *t = atomic_load_explicit(&table, memory_order_acquire);
	unsigned num = t ? atomic_load(&t->num) : 0;
	uint64_t now = now_ns();
	bool due = false;

	for (unsigned i = 0; i < num && i < FAULT_SLOTS; i++) {
		const struct fault_slot *s = &t->slot[i];
		uint64_t at;

		if (!atomic_load_explicit(&s->ready, memory_order_acquire) || !s->spec.at_ns ||
		    !(s->spec.points >> FAULT_EVENT & 1) || s->spec.bar != FAULT_NO_BAR ||
		    (s->spec.device[0] && strcmp(s->spec.device, device)))
			continue;
		at = s->since + s->spec.at_ns > now ? s->since + s->spec.at_ns - now : 0;
		*ns = due && *ns < at ? *ns : at;
		due = true;
	}
	return due;
}

void fault_sleep(uint64_t ns)
{
	struct timespec left = { .tv_sec = (time_t)(ns / 1000000000),
				 .tv_nsec = (long)(ns % 1000000000) };

	while (sys_call(SYS_nanosleep, (long)&left, (long)&left, 0, 0, 0, 0) == -EINTR)
		;
}

void fault_follow_table(struct fault_table *t)
{
	unsigned num = atomic_load(&t->num), points = 0;

	for (unsigned i = 0; i < num && i < FAULT_SLOTS; i++)
		if (atomic_load_explicit(&t->slot[i].ready, memory_order_acquire))
			points |= t->slot[i].spec.points;
	atomic_store_explicit(&table, t, memory_order_release);
	atomic_store(&fault_wanted_points, points);
}

int fault_follow(const char *dir)
{
	struct fault_table *t = atomic_load(&table);
	int rc = 0;

	if (!t)
		t = fault_table_map(dir, &rc);
	if (t)
		fault_follow_table(t);
	return rc == -ENOENT ? 0 : rc;
}

void fault_stop(void)
{
	atomic_store(&fault_wanted_points, 0);
	atomic_store(&table, NULL);
}
