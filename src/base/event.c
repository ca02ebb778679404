/* SPDX-License-Identifier: BSD-3-Clause */
/* base/event.c: who listens. */
#include "base/event.h"
#include "base/util.h"

#define LISTENERS 2u

atomic_uint event_kinds;
static struct {
	_Atomic(event_fn *) fn;
	atomic_uint kinds;
} listeners[LISTENERS];

void event_tell(const struct event *e)
{
	for (unsigned i = 0; i < LISTENERS; i++) {
		event_fn *fn = atomic_load_explicit(&listeners[i].fn, memory_order_acquire);

		if (fn &&
		    atomic_load_explicit(&listeners[i].kinds, memory_order_relaxed) >> e->kind & 1)
			fn(e);
	}
}

static void sum_up(void)
{
	unsigned all = 0;

	for (unsigned i = 0; i < LISTENERS; i++)
		if (atomic_load(&listeners[i].fn))
			all |= atomic_load(&listeners[i].kinds);
	atomic_store_explicit(&event_kinds, all, memory_order_release);
}

bool event_listen(event_fn *fn, unsigned kinds)
{
	for (unsigned i = 0; i < LISTENERS; i++) {
		if (atomic_load(&listeners[i].fn))
			continue;
		atomic_store(&listeners[i].kinds, kinds);
		atomic_store(&listeners[i].fn, fn);
		sum_up();
		return true;
	}
	return false;
}

void event_unlisten(event_fn *fn)
{
	for (unsigned i = 0; i < LISTENERS; i++)
		if (atomic_load(&listeners[i].fn) == fn)
			atomic_store(&listeners[i].fn, NULL);
	sum_up();
}
