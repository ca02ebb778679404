/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_user/server/service.c: the threads of a connection. One has the turn: it takes a command,
 * carries it out, replies, takes the next one. A second looks after it: a read of a region that
 * takes longer than a tick stops nothing, since the second takes the turn over then. The first
 * replies when it is done, and looks after the second, or waits until it is needed.
 *
 * A write is in the device before what comes behind it begins. But it is overtaken, too, once it is
 * in the device, while the client owes it an answer: the device reaches for memory of the client's
 * (dma_messages.c), in the write itself or with a lock that the write waits for, and for a whole
 * tick no such access is answered. There are clients (QEMU) that answer none while they wait for a
 * reply of ours, and that reply is behind the write. What comes then finds the device in the middle
 * of the write, as a chip that is at work: other callbacks may come while a model is in
 * uvfio_dma_read() (uvfio/model.h).
 *
 * All else is done before the next command begins. What turns the device off, or takes interrupts
 * away (a reset, a write of config space, SET_IRQS) may have to wait for such an access, too, whose
 * answer does not come before the reply. After some time without an answer these accesses fail, as
 * they do on a bus.
 *
 * That costs a read two changes of a number which is in this processor's cache, and a write, too,
 * if there is memory that messages reach. Ticks are there while clients do that, and end when they
 * do not for a while.
 */
#include <time.h>

#include "base/sys.h"
#include "base/thread.h"
#include "vfio_user/server/internal.h"

#define TICK	   MS
#define STOP_TICKS 100u
#define IDLE_TICKS 50u /* with nothing that can be overtaken: no more ticks until there is */
#define KIND	   3u  /* the bits of vu_service.doing that are a vu_turn; the rest is a number */

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

/* ---- what may be overtaken ---- */

uint64_t vu_service_begin(struct vu_server_client *c, enum vu_turn kind)
{
	struct vu_service *v = &c->service;
	uint64_t ticket;

	/* one command after the other, each with its reply */
	if (c->lasting)
		return 0;
	ticket = atomic_fetch_add(&v->doing, KIND + 1 + kind) + KIND + 1 + kind;

	if (!atomic_load(&v->armed)) {
		pthread_mutex_lock(&v->lock);
		atomic_store(&v->armed, true);
		pthread_cond_broadcast(&v->wake);
		pthread_mutex_unlock(&v->lock);
	}
	return ticket;
}

bool vu_service_end(struct vu_server_client *c, uint64_t ticket)
{
	struct vu_service *v = &c->service;
	unsigned long long expected = ticket;

	if (c->lasting)
		return true;
	if ((ticket & KIND) != VU_TURN_STOPS)
		return atomic_compare_exchange_strong(&v->doing, &expected, (ticket | KIND) + 1);
	pthread_mutex_lock(&v->lock);
	if (v->stops)
		vu_messages_go_on(c);
	v->stops = false;
	atomic_store(&v->doing, (ticket | KIND) + 1);
	pthread_mutex_unlock(&v->lock);
	return true;
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
 * True if the client was asked for memory and has answered nothing since the last time, when
 * @answered was what it had answered.
 */
static bool is_owed(struct vu_service *v, unsigned *answered)
{
	unsigned now = atomic_load(&v->answered), before = *answered;

	*answered = now;
	return now == before && atomic_load(&v->asked) != now;
}

/*
 * Wait until what the one with the turn is doing has to be overtaken, and take the turn over: true.
 * False: the connection ended.
 */
static bool look_after(struct vu_server_client *c)
{
	struct vu_service *v = &c->service;
	unsigned long long seen = 0, now;
	unsigned idle = 0, answered = 0, stuck = 0;

	while (!v->ended) {
		bool owed = is_owed(v, &answered);

		now = atomic_load(&v->doing);
		stuck = now == seen && owed ? stuck + 1 : 0;
		if ((now & KIND) == VU_TURN_STOPS && stuck >= STOP_TICKS && !v->stops) {
			v->stops = true;
			vu_messages_stop(c, 0, UINT64_MAX);
		}
		if (now == seen &&
		    ((now & KIND) == VU_TURN_READ || ((now & KIND) == VU_TURN_WRITE && owed))) {
			/* nobody else changes it but the end of what is done */
			if (atomic_compare_exchange_strong(&v->doing, &now, (now | KIND) + 1))
				return true;
			continue;
		}
		idle = now == seen && !(now & KIND) ? idle + 1 : 0;
		seen = now;
		if (idle > IDLE_TICKS) {
			idle = 0;
			atomic_store(&v->armed, false);
			/* one that began before it saw that, is seen here */
			if (atomic_load(&v->doing) == now)
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
	bool mine = vu_write_rest(c);

	while (mine && !vu_conn_next(c->conn, UINT64_MAX, &m)) {
		mine = vu_command_run(c, &m);
		vu_message_fini(&m);
	}
	if (!mine)
		return;
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
			if (!look_after(c))
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
