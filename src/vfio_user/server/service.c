/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_user/server/service.c: the threads of a connection. One has the turn: it takes a command,
 * carries it out, replies, takes the next one. A second looks after it: a read of a region that
 * takes longer than a tick stops nothing, since the second takes the turn over then. The first
 * replies when it is done, and looks after the second, or waits until it is needed.
 *
 * Reads alone are overtaken. All else is done before the next command begins, so a posted write is
 * in the device before what comes behind it.
 *
 * That costs a read two changes of a number which is in this processor's cache. Ticks are there
 * while clients read, and end when they do not for a while.
 */
#include <time.h>

#include "base/sys.h"
#include "base/thread.h"
#include "vfio_user/server/internal.h"

#define TICK	   MS
#define IDLE_TICKS 50u /* without a read: no more ticks until the next one */

void vu_service_init(struct vu_service *v)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&v->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&v->wake, &attr);
	pthread_condattr_destroy(&attr);
}

void vu_service_fini(struct vu_service *v)
{
	pthread_cond_destroy(&v->wake);
	pthread_mutex_destroy(&v->lock);
}

/* ---- reads ---- */

uint64_t vu_service_read_begin(struct vu_server_client *c)
{
	struct vu_service *v = &c->service;
	uint64_t ticket = atomic_fetch_add(&v->reads, 1) + 1;

	if (!atomic_load(&v->armed)) {
		pthread_mutex_lock(&v->lock);
		atomic_store(&v->armed, true);
		pthread_cond_broadcast(&v->wake);
		pthread_mutex_unlock(&v->lock);
	}
	return ticket;
}

bool vu_service_read_end(struct vu_server_client *c, uint64_t ticket)
{
	unsigned long long expected = ticket;

	return atomic_compare_exchange_strong(&c->service.reads, &expected, ticket + 1);
}

/* ---- who looks after whom has the turn; v->lock held ---- */

static void wait_tick(struct vu_service *v)
{
	uint64_t at = now_ns() + TICK;
	struct timespec ts = { .tv_sec = (time_t)(at / 1000000000),
			       .tv_nsec = (long)(at % 1000000000) };

	pthread_cond_timedwait(&v->wake, &v->lock, &ts);
}

/*
 * Wait until the one with the turn is inside a read for longer than a tick, and take the turn over:
 * true. False: the connection ended.
 */
static bool look_after(struct vu_service *v)
{
	unsigned long long seen = 0, now;
	unsigned idle = 0;

	while (!v->ended) {
		now = atomic_load(&v->reads);
		if (now == seen && now & 1) {
			/* nobody else changes an odd number but the end of that read */
			if (atomic_compare_exchange_strong(&v->reads, &now, now + 1))
				return true;
			continue;
		}
		idle = now == seen ? idle + 1 : 0;
		seen = now;
		if (idle > IDLE_TICKS) {
			idle = 0;
			atomic_store(&v->armed, false);
			/* one that began before it saw that, is seen here */
			if (atomic_load(&v->reads) == now)
				pthread_cond_wait(&v->wake, &v->lock);
			atomic_store(&v->armed, true);
		} else {
			wait_tick(v);
		}
	}
	return false;
}

/* ---- the threads ---- */

/* Have the turn until another thread takes it over, or the connection is dead. */
static void carry(struct vu_server_client *c)
{
	struct vu_service *v = &c->service;
	struct vu_message m;

	while (!vu_conn_next(c->conn, UINT64_MAX, &m)) {
		bool mine = vu_command_run(c, &m);

		vu_message_fini(&m);
		if (!mine)
			return;
	}
	/* who waits for an answer there would keep the device */
	if (c->twin)
		vu_conn_kill(c->twin, vu_conn_error(c->conn));
	pthread_mutex_lock(&v->lock);
	v->ended = true;
	pthread_cond_broadcast(&v->wake);
	pthread_mutex_unlock(&v->lock);
}

static void *help(void *arg);

/* Have somebody look after the one who has the turn. v->lock held. */
static void call_watch(struct vu_server_client *c)
{
	struct vu_service *v = &c->service;

	pthread_cond_broadcast(&v->wake);
	if (v->num_spare || v->num_helpers == ARRAY_SIZE(v->helpers))
		return;
	/* without one, a read holds up what comes behind it */
	if (!thread_start(&v->helpers[v->num_helpers], help, c, "uvfio-client"))
		v->num_helpers++;
}

/* Have the turn, look after it, or wait, until the connection ends. */
static void work(struct vu_server_client *c)
{
	struct vu_service *v = &c->service;

	pthread_mutex_lock(&v->lock);
	while (!v->ended) {
		if (!v->taken) {
			v->taken = true;
		} else if (!v->watched) {
			v->watched = true;
			if (!look_after(v))
				break;
			v->watched = false;
		} else {
			v->num_spare++;
			pthread_cond_wait(&v->wake, &v->lock);
			v->num_spare--;
			continue;
		}
		call_watch(c);
		pthread_mutex_unlock(&v->lock);
		carry(c);
		pthread_mutex_lock(&v->lock);
	}
	pthread_mutex_unlock(&v->lock);
}

static void *help(void *arg)
{
	work(arg);
	return NULL;
}

void vu_service_run(struct vu_server_client *c)
{
	struct vu_service *v = &c->service;

	work(c);
	/* nobody is started any more: all that could has ended */
	for (unsigned i = 0; i < v->num_helpers; i++)
		pthread_join(v->helpers[i], NULL);
}
