/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * base/event.h: what a listener above wants to know of that is no message: the checker (check/)
 * says of a mistake where in the program its beginning was. One listener a process, set once. While
 * there is none an event costs a load and a branch.
 */
#ifndef BASE_EVENT_H
#define BASE_EVENT_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum event_kind {
	EVENT_SPACE, /* @space is new, with nothing mapped */
	EVENT_MAP,   /* [@at, @at + @size) is mapped to @mem */
	EVENT_UNMAP, /* what was mapped there is not any more */
	EVENT_STORE, /* the driver's store to register @reg, at @at of @bar, of device @who */
};

struct event {
	enum event_kind kind;
	const void *space; /* an I/O address space; to be compared only */
	uint64_t at, size;
	const void *mem;
	const char *who;
	unsigned bar;
	uint64_t value;
	const char *reg; /* or NULL */
};

/*
 * Called where it happens, maybe in a signal handler and with any lock held: no malloc, no lock.
 */
typedef void event_fn(const struct event *e);
extern _Atomic(event_fn *) event_listener;

static inline event_fn *event_wanted(void)
{
	return atomic_load_explicit(&event_listener, memory_order_acquire);
}
#endif
