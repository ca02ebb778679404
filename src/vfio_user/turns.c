/* SPDX-License-Identifier: BSD-3-Clause */
/* vfio_user/turns.c: threads that take turns. */
#include <time.h>

#include "base/sys.h"
#include "base/thread.h"
#include "vfio_user/turns.h"

#define TICK_NS	   1000000u
#define IDLE_TICKS 50u /* without anything that counts: no more ticks until there is */
#define KIND	   3u  /* the bits of vu_turns.doing that are a kind */

void vu_turns_init(struct vu_turns *t, const struct vu_turns_ops *ops, void *arg)
{
	pthread_condattr_t attr;

	t->ops = ops;
	t->arg = arg;
	pthread_mutex_init(&t->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&t->wake, &attr);
	pthread_condattr_destroy(&attr);
}

void vu_turns_fini(struct vu_turns *t)
{
	pthread_cond_destroy(&t->wake);
	pthread_mutex_destroy(&t->lock);
}

/* ---- what counts ---- */

uint64_t vu_turns_begin(struct vu_turns *t, unsigned kind)
{
	uint64_t ticket = atomic_fetch_add(&t->doing, KIND + 1 + kind) + KIND + 1 + kind;

	if (!atomic_load(&t->armed)) {
		pthread_mutex_lock(&t->lock);
		atomic_store(&t->armed, true);
		pthread_cond_broadcast(&t->wake);
		pthread_mutex_unlock(&t->lock);
	}
	return ticket;
}

bool vu_turns_end(struct vu_turns *t, uint64_t ticket)
{
	unsigned long long expected = ticket;

	return atomic_compare_exchange_strong(&t->doing, &expected, (ticket | KIND) + 1);
}

/* ---- who looks after whom has the turn; t->lock held ---- */

static void wait_tick(struct vu_turns *t)
{
	uint64_t at = now_ns() + TICK_NS;
	struct timespec ts = { .tv_sec = (time_t)(at / 1000000000),
			       .tv_nsec = (long)(at % 1000000000) };

	pthread_cond_timedwait(&t->wake, &t->lock, &ts);
}

/* Wait until the one with the turn has to be overtaken, and take it over: true. False: the end. */
static bool look_after(struct vu_turns *t)
{
	unsigned long long seen = 0, now;
	unsigned idle = 0;

	while (!t->ended) {
		bool same, may;

		now = atomic_load(&t->doing);
		same = now == seen;
		may = t->ops->tick ? t->ops->tick(t->arg, now & KIND, same) : true;
		if (same && now & KIND && may) {
			/* nobody else changes it but the end of what is done */
			if (atomic_compare_exchange_strong(&t->doing, &now, (now | KIND) + 1))
				return true;
			continue;
		}
		idle = same && !(now & KIND) ? idle + 1 : 0;
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
static void call_watch(struct vu_turns *t)
{
	pthread_cond_broadcast(&t->wake);
	if (t->num_spare || t->num_helpers == VU_TURNS_THREADS - 1)
		return;
	/* without one, what takes long holds up what comes behind it */
	if (!thread_start(&t->helpers[t->num_helpers], help, t, t->ops->name))
		t->num_helpers++;
}

/* Have the turn, look after it, or wait, until the end. */
static void work(struct vu_turns *t)
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
		if (t->ops->carry(t->arg)) {
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

void vu_turns_run(struct vu_turns *t)
{
	work(t);
	/* nobody is started any more: all that could has ended */
	for (unsigned i = 0; i < t->num_helpers; i++)
		pthread_join(t->helpers[i], NULL);
}
