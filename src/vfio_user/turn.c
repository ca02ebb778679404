/* SPDX-License-Identifier: BSD-3-Clause */
/* vfio_user/turn.c: threads that take turns. */
#include <time.h>

#include "base/sys.h"
#include "base/thread.h"
#include "vfio_user/turn.h"

#define TICK_NS	   1000000u
#define IDLE_TICKS 50u /* without anything that may be overtaken: no more ticks until there is */

void vu_turn_init(struct vu_turn *t)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&t->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&t->wake, &attr);
	pthread_condattr_destroy(&attr);
}

void vu_turn_fini(struct vu_turn *t)
{
	pthread_cond_destroy(&t->wake);
	pthread_mutex_destroy(&t->lock);
}

/* ---- what may be overtaken ---- */

uint64_t vu_turn_begin(struct vu_turn *t)
{
	uint64_t ticket = atomic_fetch_add(&t->doing, 1) + 1;

	if (!atomic_load(&t->armed)) {
		pthread_mutex_lock(&t->lock);
		atomic_store(&t->armed, true);
		pthread_cond_broadcast(&t->wake);
		pthread_mutex_unlock(&t->lock);
	}
	return ticket;
}

bool vu_turn_end(struct vu_turn *t, uint64_t ticket)
{
	unsigned long long expected = ticket;

	return atomic_compare_exchange_strong(&t->doing, &expected, ticket + 1);
}

/* ---- who looks after whom has the turn; t->lock held ---- */

static void wait_tick(struct vu_turn *t)
{
	uint64_t at = now_ns() + TICK_NS;
	struct timespec ts = { .tv_sec = (time_t)(at / 1000000000),
			       .tv_nsec = (long)(at % 1000000000) };

	pthread_cond_timedwait(&t->wake, &t->lock, &ts);
}

/* Wait until the one with the turn has to be overtaken, and take it over: true. False: the end. */
static bool look_after(struct vu_turn *t)
{
	unsigned long long seen = 0, now;
	unsigned idle = 0;

	while (!t->ended) {
		now = atomic_load(&t->doing);
		if (now == seen && now & 1) {
			/* nobody else changes an odd number but the end of what is done */
			if (atomic_compare_exchange_strong(&t->doing, &now, now + 1))
				return true;
			continue;
		}
		idle = now == seen ? idle + 1 : 0;
		seen = now;
		if (idle > IDLE_TICKS) {
			idle = 0;
			atomic_store(&t->armed, false);
			/* what began before it saw that, is seen here */
			if (atomic_load(&t->doing) == now)
				pthread_cond_wait(&t->wake, &t->lock);
			atomic_store(&t->armed, true);
		} else {
			wait_tick(t);
		}
	}
	return false;
}

/* ---- the threads ---- */

static void *help(void *arg);

/* Have somebody look after the one who has the turn. t->lock held. */
static void call_watch(struct vu_turn *t)
{
	pthread_cond_broadcast(&t->wake);
	if (t->num_spare || t->num_helpers == VU_TURN_THREADS - 1)
		return;
	/* without one, what takes long holds up what comes behind it */
	if (!thread_start(&t->helpers[t->num_helpers], help, t, t->name))
		t->num_helpers++;
}

/* Have the turn, look after it, or wait, until the end. */
static void work(struct vu_turn *t)
{
	pthread_mutex_lock(&t->lock);
	while (!t->ended) {
		if (!t->taken) {
			t->taken = true;
		} else if (!t->watched) {
			t->watched = true;
			if (!look_after(t))
				break;
			t->watched = false;
		} else {
			t->num_spare++;
			pthread_cond_wait(&t->wake, &t->lock);
			t->num_spare--;
			continue;
		}
		call_watch(t);
		pthread_mutex_unlock(&t->lock);
		if (t->carry(t->arg)) {
			pthread_mutex_lock(&t->lock);
			t->ended = true;
			pthread_cond_broadcast(&t->wake);
			break;
		}
		pthread_mutex_lock(&t->lock);
	}
	pthread_mutex_unlock(&t->lock);
}

static void *help(void *arg)
{
	work(arg);
	return NULL;
}

void vu_turn_run(struct vu_turn *t)
{
	work(t);
	/* nobody is started any more: all that could has ended */
	for (unsigned i = 0; i < t->num_helpers; i++)
		pthread_join(t->helpers[i], NULL);
}
