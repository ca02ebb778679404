/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pci/timer.c: a model's timers. The service thread fires one and then needs the model's turn
 * (turn.lock), which another thread may have: by the time it gets it the model may have disarmed,
 * moved or freed the timer. So what counts is the deadline, looked at when the turn is ours; and a
 * timer freed inside a callback is only marked, and taken apart when the turn is given back.
 */
#include <sched.h>
#include <stdlib.h>

#include "base/sys.h"
#include "pci/internal.h"

/* Take the deadline if it has come. */
static bool take_deadline(struct uvfio_timer *t)
{
	uint64_t now = now_ns();
	bool due;

	pthread_mutex_lock(&t->lock);
	due = t->deadline <= now;
	if (due)
		t->deadline = UINT64_MAX;
	else if (t->deadline != UINT64_MAX && t->timer)
		loop_timer_set(t->timer, t->deadline - now);
	pthread_mutex_unlock(&t->lock);
	return due;
}

/* Begin a step: who wants to know of its end, or NULL. */
static const struct pci_steps *begin_step(struct uvfio_dev *dev)
{
	const struct pci_steps *steps;

	if (!atomic_load(&dev->steps))
		return NULL;
	atomic_fetch_add(&dev->in_steps, 1);
	steps = atomic_load(&dev->steps);
	if (steps)
		steps->begin(steps->arg);
	else
		atomic_fetch_sub(&dev->in_steps, 1);
	return steps;
}

static void end_step(struct uvfio_dev *dev, const struct pci_steps *steps)
{
	if (!steps)
		return;
	steps->end(steps->arg);
	atomic_fetch_sub(&dev->in_steps, 1);
}

void pci_set_steps(pci_function *fn, const struct pci_steps *steps)
{
	atomic_store(&fn->steps, steps);
	while (!steps && atomic_load(&fn->in_steps))
		sched_yield();
}

static void timer_fired(void *arg)
{
	struct uvfio_timer *t = arg;
	struct uvfio_dev *dev = t->dev;
	/* first: who waits until no timer runs may be in a step */
	const struct pci_steps *steps = begin_step(dev);

	atomic_fetch_add(&dev->timers.running, 1);
	pci_model_enter(dev);
	if (!t->dead && take_deadline(t))
		t->fn(dev, t->arg);
	pci_model_leave(dev); /* @t may be gone */
	if (atomic_load_explicit(&dev->timers.reap, memory_order_relaxed))
		pci_timers_reap(dev);
	end_step(dev, steps);
	atomic_fetch_sub(&dev->timers.running, 1); /* and from here on @dev */
}

/* Another timer was set that cannot fire. */
static void timer_late(void *arg)
{
	const struct uvfio_timer *t = arg;

	report_err(
		"model-hangs", t->dev->name, 0,
		"model %s: a timer's callback has not returned for five seconds: no timer of any "
		"device fires until it does",
		t->dev->model->name);
}

/* Not while timer->lock is held: loop_timer_free waits for timer_fired(), which takes it. */
static void stop(struct uvfio_timer *t)
{
	struct loop_timer *lt;

	pthread_mutex_lock(&t->lock);
	lt = t->timer;
	t->timer = NULL;
	t->deadline = UINT64_MAX;
	pthread_mutex_unlock(&t->lock);
	if (lt)
		loop_timer_free(lt);
}

static void destroy(struct uvfio_timer *t)
{
	stop(t);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

struct uvfio_timer *uvfio_timer_new(struct uvfio_dev *dev,
				    void (*fn)(struct uvfio_dev *dev, void *arg), void *arg)
{
	struct uvfio_timer *t;
	bool late;

	if (!dev->loop)
		return NULL;
	t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	t->dev = dev;
	t->fn = fn;
	t->arg = arg;
	t->deadline = t->left = UINT64_MAX;
	t->timer = loop_timer_new(dev->loop, timer_fired, t);
	if (!t->timer) {
		free(t);
		return NULL;
	}
	loop_timer_set_late(t->timer, timer_late);
	pthread_mutex_init(&t->lock, NULL);
	pthread_mutex_lock(&dev->lock);
	late = dev->timers.stopped;
	t->frozen = dev->timers.frozen;
	if (!late)
		cds_list_add_tail(&t->node, &dev->timers.live);
	pthread_mutex_unlock(&dev->lock);
	if (late) {
		destroy(t);
		return NULL;
	}
	return t;
}

/* Have @t fire in @ns. With its lock. */
static void arm(struct uvfio_timer *t, uint64_t now, uint64_t ns)
{
	t->deadline = add_overflows(now, ns) ? UINT64_MAX : now + ns;
	if (t->timer)
		loop_timer_set(t->timer, t->deadline == UINT64_MAX ? UINT64_MAX : ns);
}

/* Return how long it still has; UINT64_MAX: it is not armed. With its lock. */
static uint64_t time_left(const struct uvfio_timer *t, uint64_t now)
{
	if (t->deadline == UINT64_MAX)
		return UINT64_MAX;
	return t->deadline > now ? t->deadline - now : 0;
}

void uvfio_timer_set(struct uvfio_timer *timer, uint64_t ns)
{
	uint64_t now = now_ns();

	pthread_mutex_lock(&timer->lock);
	if (timer->frozen)
		timer->left = add_overflows(now, ns) ? UINT64_MAX : ns;
	else
		arm(timer, now, ns);
	pthread_mutex_unlock(&timer->lock);
}

uint64_t uvfio_timer_left(struct uvfio_timer *timer)
{
	uint64_t now = now_ns(), left;

	pthread_mutex_lock(&timer->lock);
	left = timer->frozen ? timer->left : time_left(timer, now);
	pthread_mutex_unlock(&timer->lock);
	return left;
}

void uvfio_timer_free(struct uvfio_timer *timer)
{
	struct uvfio_dev *dev;
	bool now;

	if (!timer)
		return;
	dev = timer->dev;
	uvfio_timer_set(timer, UINT64_MAX);
	pthread_mutex_lock(&dev->lock);
	now = !dev->timers.stopped && !pci_model_inside(dev);
	if (!now)
		timer->dead = true;
	/* When the device goes its list stands still, and pci_timers_free() empties it. */
	if (!dev->timers.stopped) {
		cds_list_del(&timer->node);
		if (!now) {
			cds_list_add_tail(&timer->node, &dev->timers.dead);
			atomic_store(&dev->timers.reap, true);
		}
	}
	pthread_mutex_unlock(&dev->lock);
	if (now)
		destroy(timer);
}

void pci_timers_reap(pci_function *fn)
{
	struct uvfio_timer *t, *next;
	CDS_LIST_HEAD(dead);

	pthread_mutex_lock(&fn->lock);
	if (!fn->timers.stopped) {
		atomic_store(&fn->timers.reap, false);
		cds_list_splice(&fn->timers.dead, &dead);
		CDS_INIT_LIST_HEAD(&fn->timers.dead);
	}
	pthread_mutex_unlock(&fn->lock);
	cds_list_for_each_entry_safe(t, next, &dead, node)
		destroy(t);
}

void pci_timers_stop(pci_function *fn)
{
	struct uvfio_timer *t;

	pthread_mutex_lock(&fn->lock);
	fn->timers.stopped = true;
	pthread_mutex_unlock(&fn->lock);
	/*
	 * From here on the lists stand still, and stop() may wait for a callback without holding
	 * anything.
	 */
	cds_list_for_each_entry(t, &fn->timers.live, node)
		stop(t);
	cds_list_for_each_entry(t, &fn->timers.dead, node)
		stop(t);
	/* A callback that freed its own timer is on no list and has a few instructions to go. */
	while (atomic_load(&fn->timers.running))
		sched_yield();
}

void pci_timers_freeze(pci_function *fn)
{
	uint64_t now = now_ns();
	struct uvfio_timer *t;

	pthread_mutex_lock(&fn->lock);
	fn->timers.frozen = true;
	cds_list_for_each_entry(t, &fn->timers.live, node) {
		pthread_mutex_lock(&t->lock);
		if (!t->frozen) {
			t->left = time_left(t, now);
			t->frozen = true;
			arm(t, now, UINT64_MAX);
		}
		pthread_mutex_unlock(&t->lock);
	}
	pthread_mutex_unlock(&fn->lock);
	/* one that had come to its time is in the model, or about to be */
	while (atomic_load(&fn->timers.running))
		sched_yield();
}

void pci_timers_thaw(pci_function *fn)
{
	uint64_t now = now_ns();
	struct uvfio_timer *t;

	pthread_mutex_lock(&fn->lock);
	fn->timers.frozen = false;
	cds_list_for_each_entry(t, &fn->timers.live, node) {
		pthread_mutex_lock(&t->lock);
		if (t->frozen) {
			t->frozen = false;
			arm(t, now, t->left);
		}
		pthread_mutex_unlock(&t->lock);
	}
	pthread_mutex_unlock(&fn->lock);
}

void pci_timers_free(pci_function *fn)
{
	struct uvfio_timer *t, *next;

	cds_list_splice(&fn->timers.dead, &fn->timers.live);
	cds_list_for_each_entry_safe(t, next, &fn->timers.live, node) {
		cds_list_del(&t->node);
		pthread_mutex_destroy(&t->lock);
		free(t);
	}
}
