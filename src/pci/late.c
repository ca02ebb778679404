/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pci/late.c: interrupts that a user wants to be lost, or to come late, twice, or in another order
 * (fault/fault.h). What comes late is late in the device: a mask that it meets then, or a reset, is
 * the one of that time, as PCI's ordering of writes has it.
 *
 * It is made at the first fault of this kind; a function without them has none of it.
 */
#include <errno.h>

#include "base/heap.h"
#include "base/sys.h"
#include "fault/fault.h"
#include "pci/internal.h"

#define LATE_MAX   64u
#define AGAIN_NS   1000000ull  /* the second of two comes so much later: it is one by itself then */
#define REORDER_NS 10000000ull /* so long the first one waits for another that overtakes it */
#define LINE	   UINT32_MAX  /* no vector, but the line */
#define LINE_AGAIN (LINE - 1)  /* the same, whether the line is up or not */

struct late {
	uint64_t due; /* CLOCK_MONOTONIC, ns; 0: free */
	uint32_t what;
	bool overtaken; /* it comes when another one has gone, at the latest when it is due */
};
/* Lock order: @lock is a leaf but for the loop's. */
struct pci_late {
	pthread_mutex_t lock;
	pci_function *fn;
	struct loop_timer *timer;
	struct late late[LATE_MAX];
};

/* Set the timer for the next one. The lock is held. */
static void set_timer(struct pci_late *l)
{
	uint64_t next = UINT64_MAX, now = now_ns();

	for (unsigned i = 0; i < LATE_MAX; i++)
		if (l->late[i].due && l->late[i].due < next)
			next = l->late[i].due;
	loop_timer_set(l->timer, next == UINT64_MAX ? next : next > now ? next - now : 0);
}

static void deliver(pci_function *fn, uint32_t what)
{
	if (what < LINE_AGAIN)
		pci_msi_send(fn, what);
	else
		pci_intx_late(fn, what == LINE_AGAIN);
}

/* Deliver those that are due at @now, and, if @overtaken, those that wait for another one. */
static void deliver_due(struct pci_late *l, uint64_t now, bool overtaken)
{
	for (unsigned i = 0; i < LATE_MAX; i++) {
		struct late one = { 0 };

		pthread_mutex_lock(&l->lock);
		if (l->late[i].due &&
		    (l->late[i].due <= now || (overtaken && l->late[i].overtaken))) {
			one = l->late[i];
			l->late[i].due = 0;
		}
		pthread_mutex_unlock(&l->lock);
		if (one.due)
			deliver(l->fn, one.what);
	}
}

static void on_timer(void *arg)
{
	struct pci_late *l = arg;

	deliver_due(l, now_ns(), false);
	pthread_mutex_lock(&l->lock);
	set_timer(l);
	pthread_mutex_unlock(&l->lock);
}

/* Return what @fn has for late ones, which is made if need be; NULL: no memory. */
static struct pci_late *get(pci_function *fn)
{
	struct pci_late *l = atomic_load(&fn->late), *other = NULL;

	if (l)
		return l;
	l = heap_alloc(sizeof(*l));
	if (!l)
		return NULL;
	l->fn = fn;
	pthread_mutex_init(&l->lock, NULL);
	l->timer = loop_timer_new(fn->loop, on_timer, l);
	if (l->timer && atomic_compare_exchange_strong(&fn->late, &other, l))
		return l;
	if (l->timer)
		loop_timer_free(l->timer);
	pthread_mutex_destroy(&l->lock);
	heap_free(l);
	return other;
}

/* Have @what come in @ns. False: it cannot, and comes now; a line says so. */
static bool add(pci_function *fn, uint32_t what, uint64_t ns, bool overtaken)
{
	struct pci_late *l = get(fn);
	unsigned i = 0;

	if (l) {
		pthread_mutex_lock(&l->lock);
		while (i < LATE_MAX && l->late[i].due)
			i++;
		if (i < LATE_MAX) {
			l->late[i] = (struct late){ now_ns() + ns, what, overtaken };
			set_timer(l);
		}
		pthread_mutex_unlock(&l->lock);
	}
	if (l && i < LATE_MAX)
		return true;
	report_warn("fault-late", fn->name, 0,
		    "there are %u late interrupts already: this one comes now", LATE_MAX);
	return false;
}

bool pci_late_message(pci_function *fn, unsigned vector)
{
	const struct fault_where w = { .device = fn->name, .at = vector, .size = 1 };
	struct fault f;

	if (!fault_at(FAULT_MSI, &w, &f))
		return false;
	switch (f.action) {
	case FAULT_DROP:
		return true;
	case FAULT_DELAY:
		return add(fn, vector, f.param, false);
	case FAULT_REORDER:
		return add(fn, vector, REORDER_NS, true);
	case FAULT_DUPLICATE:
		add(fn, vector, AGAIN_NS, false);
		return false;
	default:
		return false;
	}
}

void pci_late_overtaken(pci_function *fn)
{
	struct pci_late *l = atomic_load(&fn->late);

	if (l)
		deliver_due(l, 0, true);
}

bool pci_late_line(pci_function *fn)
{
	const struct fault_where w = { .device = fn->name };
	struct fault f;

	if (!fault_at(FAULT_INTX, &w, &f))
		return false;
	switch (f.action) {
	case FAULT_DROP:
		return true;
	case FAULT_DELAY:
		return add(fn, LINE, f.param, false);
	case FAULT_DUPLICATE:
		add(fn, LINE_AGAIN, AGAIN_NS, false);
		return false;
	default:
		return false;
	}
}

void pci_late_free(pci_function *fn)
{
	struct pci_late *l = atomic_exchange(&fn->late, NULL);

	if (!l)
		return;
	loop_timer_free(l->timer);
	pthread_mutex_destroy(&l->lock);
	heap_free(l);
}
