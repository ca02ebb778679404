/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_user/server/service.c: the threads of a connection, which take turns (turns.h). The one with
 * the turn takes a command, carries it out, replies, takes the next one. A read of a region that
 * takes longer than a tick is overtaken: its thread replies when it is done.
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
 * What that costs a read it costs a write, too, if there is memory that messages reach.
 */
#include "vfio_user/server/internal.h"

#define STOP_TICKS 100u

/* ---- what may be overtaken ---- */

uint64_t vu_service_begin(struct vu_server_client *c, enum vu_turn kind)
{
	/* one command after the other, each with its reply */
	return c->lasting ? VU_TURN_PLAIN : vu_turns_begin(&c->service.turns, kind);
}

bool vu_service_end(struct vu_server_client *c, enum vu_turn kind, uint64_t ticket)
{
	struct vu_service *v = &c->service;

	if (c->lasting)
		return true;
	if (kind != VU_TURN_STOPS)
		return vu_turns_end(&v->turns, ticket);
	/* nobody stops accesses for it from here on */
	pthread_mutex_lock(&v->turns.lock);
	if (v->stops)
		vu_messages_go_on(c);
	v->stops = false;
	vu_turns_end(&v->turns, ticket);
	pthread_mutex_unlock(&v->turns.lock);
	return true;
}

/* ---- by who looks after the one with the turn ---- */

/* True if the client was asked for memory, and has answered nothing for a tick. */
static bool is_owed(struct vu_service *v)
{
	unsigned now = atomic_load(&v->answered), before = v->answered_then;

	v->answered_then = now;
	return now == before && atomic_load(&v->asked) != now;
}

static bool tick(void *arg, unsigned kind, bool same)
{
	struct vu_server_client *c = arg;
	struct vu_service *v = &c->service;
	bool owed = is_owed(v);

	v->stuck = same && owed ? v->stuck + 1 : 0;
	if (kind == VU_TURN_STOPS && v->stuck >= STOP_TICKS && !v->stops) {
		v->stops = true;
		vu_messages_stop(c, 0, UINT64_MAX);
	}
	return kind == VU_TURN_READ || (kind == VU_TURN_WRITE && owed);
}

/* ---- who has the turn ---- */

static bool carry(void *arg)
{
	struct vu_server_client *c = arg;
	struct vu_message m;
	bool mine = vu_write_rest(c);

	while (mine && !vu_conn_next(c->conn, UINT64_MAX, &m)) {
		mine = vu_command_run(c, &m);
		vu_message_fini(&m);
	}
	/* who waits for an answer there would keep the device */
	if (mine && c->twin)
		vu_conn_kill(c->twin, vu_conn_error(c->conn));
	return mine;
}

static const struct vu_turns_ops ops = { carry, tick, "uvfio-client" };

void vu_service_init(struct vu_server_client *c)
{
	vu_turns_init(&c->service.turns, &ops, c);
}

void vu_service_fini(struct vu_server_client *c)
{
	vu_turns_fini(&c->service.turns);
}

void vu_service_run(struct vu_server_client *c)
{
	vu_turns_run(&c->service.turns);
}
