/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine/happen.c: what a user wants to happen to a device while it is used (fault/fault.h): it is
 * pulled out, reset, reports an error, loses its link. It happens on a thread of its own, right
 * behind the access that it was meant for: whoever makes an access may hold what a reset waits for.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/report.h"
#include "base/sys.h"
#include "fault/fault.h"
#include "machine/internal.h"

/* In the queue, in the place of an action: look whether something is due. */
#define LOOK   FAULT_ACTIONS
#define LINKED (FAULT_ACTIONS + 1u) /* put the cable in again */

static int reset_slot(struct machine *m, const char *addr)
{
	struct machine_device *d;
	int rc = -ENODEV;

	pthread_mutex_lock(&m->plug_lock);
	d = machine_find(m, addr);
	if (d && d->vdev)
		rc = d->vdev->ops->hot_reset ? d->vdev->ops->hot_reset(d->vdev)
					     : vfio_slot_reset(d->vdev);
	pthread_mutex_unlock(&m->plug_lock);
	return rc;
}

static void queue(struct machine *m, const char *addr, unsigned what, uint64_t param, uint64_t ns);

/* Look whether something is due whatever the device does. */
static void look(struct machine *m, const char *addr)
{
	const struct fault_where w = { .device = addr, .bar = FAULT_NO_BAR };
	struct fault f;

	if (fault_at(FAULT_EVENT, &w, &f))
		machine_happen(m, addr, &f);
}

static void happens(struct machine *m, const struct machine_happening *h)
{
	int rc = 0;

	switch (h->what) {
	case LOOK:
		look(m, h->addr);
		return;
	case LINKED:
		rc = machine_link(m, h->addr, true);
		break;
	case FAULT_SURPRISE:
	case FAULT_REQUEST:
		machine_leave(m, h->addr, 0, h->what == FAULT_SURPRISE);
		return;
	case FAULT_FLR:
		rc = machine_reset(m, h->addr);
		break;
	case FAULT_BUS:
		rc = reset_slot(m, h->addr);
		break;
	case FAULT_CORRECTABLE:
		rc = machine_error(m, h->addr, MACHINE_CORRECTABLE);
		break;
	case FAULT_NONFATAL:
		rc = machine_error(m, h->addr, MACHINE_NONFATAL);
		break;
	case FAULT_FATAL:
		rc = machine_error(m, h->addr, MACHINE_FATAL);
		break;
	case FAULT_DOWN:
		rc = machine_link(m, h->addr, false);
		if (!rc && h->param)
			queue(m, h->addr, LINKED, 0, h->param);
		break;
	}
	if (rc)
		report_warn("fault-event", h->addr, rc, "what was injected cannot be done: %m");
}

/* Set the timer for the next one. The lock is held. */
static void set_timer(struct machine *m)
{
	uint64_t next = UINT64_MAX, now = now_ns();

	for (unsigned i = 0; i < MACHINE_HAPPENINGS; i++)
		if (m->happen.queue[i].due && m->happen.queue[i].due < next)
			next = m->happen.queue[i].due;
	loop_timer_set(m->happen.timer, next == UINT64_MAX ? next : next > now ? next - now : 0);
}

static void on_timer(void *arg)
{
	struct machine_happening h;
	struct machine *m = arg;
	uint64_t now = now_ns();

	for (unsigned i = 0; i < MACHINE_HAPPENINGS; i++) {
		pthread_mutex_lock(&m->happen.lock);
		h = m->happen.queue[i];
		if (h.due && h.due <= now)
			m->happen.queue[i].due = 0;
		else
			h.due = 0;
		pthread_mutex_unlock(&m->happen.lock);
		if (h.due)
			happens(m, &h);
	}
	pthread_mutex_lock(&m->happen.lock);
	set_timer(m);
	pthread_mutex_unlock(&m->happen.lock);
}

static void queue(struct machine *m, const char *addr, unsigned what, uint64_t param, uint64_t ns)
{
	bool full = true;

	pthread_mutex_lock(&m->happen.lock);
	/* at the first one: the loop has a thread from then on */
	if (!m->happen.loop)
		m->happen.loop = loop_new();
	if (m->happen.loop && !m->happen.timer)
		m->happen.timer = loop_timer_new(m->happen.loop, on_timer, m);
	for (unsigned i = 0; i < MACHINE_HAPPENINGS && full && m->happen.timer; i++) {
		struct machine_happening *h = &m->happen.queue[i];

		if (h->due)
			continue;
		*h = (struct machine_happening){ now_ns() + ns, what, param, { 0 } };
		snprintf(h->addr, sizeof(h->addr), "%s", addr);
		full = false;
	}
	if (!full)
		set_timer(m);
	pthread_mutex_unlock(&m->happen.lock);
	if (full)
		report_warn("fault-event", addr, 0,
			    "no room, or no memory: what was injected is not done");
}

void machine_happen(void *arg, const char *name, const struct fault *what)
{
	queue(arg, name, what->action, what->param, 0);
}

void machine_happen_open(struct machine *m, const char *addr)
{
	uint64_t ns;

	if (fault_wanted(FAULT_EVENT) && fault_event_due(addr, &ns))
		queue(m, addr, LOOK, 0, ns);
}

void machine_happen_init(struct machine *m)
{
	pthread_mutex_init(&m->happen.lock, NULL);
}

void machine_happen_fini(struct machine *m)
{
	if (m->happen.timer)
		loop_timer_free(m->happen.timer);
	loop_free(m->happen.loop);
	pthread_mutex_destroy(&m->happen.lock);
}

void machine_happen_abandon(struct machine *m)
{
	if (m->happen.loop)
		loop_abandon(m->happen.loop);
	m->happen.loop = NULL;
}
