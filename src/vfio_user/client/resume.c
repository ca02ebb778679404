/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_user/client/resume.c: a device that outlives its server (`uvfio serve --state`): when the
 * connection breaks, a thread connects again, tells the new server what the old one was told
 * (mappings, eventfds, masks), and lets the device go on. Who has a command without a reply waits
 * meanwhile, and sends it again with the same number: the server knows by it what was carried out
 * already, and how it was answered.
 *
 * One command is under way at a time, that of who has the turn. Who has it notes what the command
 * did (vu_request.done) before the connection may be exchanged: so what is told again is what the
 * server was told. The thread reads it while nobody is inside.
 *
 * A server that does not have the state any more says so, and its device is as after a reset. That
 * is what ERR tells the program; the commands are then numbered anew, and a store to a register
 * that had no answer is not made again: it was the device before that it was for.
 */
#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "base/thread.h"
#include "vfio_user/client/internal.h"

#define NS_SEC	 1000000000ull
#define FIRST_NS 10000000ull  /* from one try to connect to the next, at first */
#define LAST_NS	 200000000ull /* and later */

enum state {
	UP,
	AWAY, /* its server is */
	LOST, /* it does not come back */
};

struct vu_resume {
	struct vu_client *c;
	struct vu_session *handle;
	bool has_thread;
	pthread_t thread;

	pthread_mutex_t turn; /* of who has a command under way; before: */
	pthread_mutex_t lock; /* guards: */
	pthread_cond_t changed;
	enum state state;
	bool leaving; /* nobody waits for a server that is away */
	bool pulled;  /* nor has it a server: the machine took the device */
	bool inside;  /* who has the turn is in the connection, or notes what its command did */
	struct vu_session *current;
	struct vu_session *next; /* that is being made, or NULL */
	uint8_t id[VU_LASTING_ID];
	uint16_t last_id; /* of a command */
	/* of the last one that may have changed the device: it had no reply, or was the last */
	uint16_t seq;
	unsigned resets;     /* how often it came back as after a reset */
	uint64_t since;	     /* when the server went; now_ns() */
	uint64_t back_since; /* and when it was back */
	bool answers;	     /* it has answered since then */
};

static struct vu_session *lock_current(struct vu_resume *l)
{
	pthread_mutex_lock(&l->lock);
	return l->current;
}

/* Wait with the lock until something changes, or @deadline. */
static void wait_until(struct vu_resume *l, uint64_t deadline)
{
	struct timespec ts = { .tv_sec = (time_t)(deadline / NS_SEC),
			       .tv_nsec = (long)(deadline % NS_SEC) };

	pthread_cond_clockwait(&l->changed, &l->lock, CLOCK_MONOTONIC, &ts);
}

static void kill_both(struct vu_session *s)
{
	if (!s)
		return;
	vu_conn_kill(s->conn, -ENODEV);
	if (s->twin)
		vu_conn_kill(s->twin, -ENODEV);
}

/* The connection of the moment is dead; with the lock. */
static void break_off(struct vu_resume *l)
{
	if (l->state != UP)
		return;
	l->state = AWAY;
	kill_both(l->current);
	pthread_cond_broadcast(&l->changed);
}

void vu_resume_broken(struct vu_resume *l, struct vu_session *s)
{
	if (lock_current(l) == s)
		break_off(l);
	pthread_mutex_unlock(&l->lock);
}

int vu_resume_connecting(struct vu_resume *l, struct vu_session *s)
{
	uint64_t now = now_ns(), end;
	int rc;

	pthread_mutex_lock(&l->lock);
	rc = s && l->leaving ? -ENODEV : 0;
	l->next = rc ? NULL : s;
	/* a server that is there, but does not answer, is waited for no longer than one that is not
	 */
	end = l->since + l->c->o.reconnect_ns;
	if (s) {
		s->timeout_ns = end > now + NS_SEC ? end - now : NS_SEC;
		if (s->timeout_ns > l->c->o.timeout_ns)
			s->timeout_ns = l->c->o.timeout_ns;
	}
	pthread_mutex_unlock(&l->lock);
	return rc;
}

/* ---- commands ---- */

/*
 * True if @r is a store to a register, which the device that was reset does not get. It is answered
 * as one that was made: *@reply.
 */
static bool is_void(const struct vu_request *r, struct vu_message *reply)
{
	const struct vu_region_access *a = r->iov[0].iov_base;

	if (r->command != VU_REGION_WRITE || a->region == VFIO_PCI_CONFIG_REGION_INDEX)
		return false;
	memcpy(reply->small, a, sizeof(*a));
	reply->data = reply->small;
	reply->len = sizeof(*a);
	return true;
}

/* Who has the turn waits, or is done; with the lock. */
static void come_out(struct vu_resume *l)
{
	l->inside = false;
	if (l->state != UP)
		pthread_cond_broadcast(&l->changed);
}

/* Send it, as often as the server goes before it has answered; with the turn and the lock. */
static int send_call(struct vu_resume *l, struct vu_call *call, const struct vu_request *r,
		     struct vu_message *reply)
{
	bool sent = false;
	unsigned resets = 0;
	struct vu_session *s;
	int rc;

	for (;;) {
		while (l->state == AWAY) {
			come_out(l);
			pthread_cond_wait(&l->changed, &l->lock);
		}
		l->inside = true;
		if (l->state == LOST)
			return -EIO;
		if (sent && resets != l->resets && is_void(r, reply))
			return 0;
		if (!sent || resets != l->resets)
			call->id = ++l->last_id;
		sent = true;
		resets = l->resets;
		if (vu_is_sequenced(r->command))
			l->seq = call->id;
		s = l->current;
		pthread_mutex_unlock(&l->lock);
		rc = vu_conn_call(s->conn, call, reply);
		pthread_mutex_lock(&l->lock);
		if (reply->header.flags & VU_TYPE_REPLY) {
			l->answers = true;
			return rc;
		}
		if (!vu_conn_error(s->conn))
			return rc; /* in time, or not at all */
		break_off(l);
	}
}

int vu_resume_call(struct vu_resume *l, const struct vu_call *how, const struct vu_request *r,
		   struct vu_message *reply)
{
	struct vu_call call = *how;
	int rc;

	call.numbered = true;
	memset(reply, 0, offsetof(struct vu_message, small));
	pthread_mutex_lock(&l->turn);
	pthread_mutex_lock(&l->lock);
	rc = send_call(l, &call, r, reply);
	pthread_mutex_unlock(&l->lock);
	if (r->done)
		r->done(r->arg, rc);
	pthread_mutex_lock(&l->lock);
	come_out(l);
	pthread_mutex_unlock(&l->lock);
	pthread_mutex_unlock(&l->turn);
	return rc;
}

/* ---- coming back ---- */

/* Have the device that is stopped run. 0; 1: it does not, and is as after a reset; -errno. */
static int run(struct vu_session *s)
{
	struct {
		struct vu_feature head;
		struct vfio_device_feature_mig_state state;
	} m = { { sizeof(m), VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE },
		{ VFIO_DEVICE_STATE_RUNNING, 0 } };
	const struct vu_request r = { .command = VU_DEVICE_FEATURE,
				      .iov = { { &m, sizeof(m) } },
				      .iovcnt = 1 };
	int rc = vu_session_do(s, &r);

	return !rc ? 0 : vu_session_is_lost(s) ? rc : 1;
}

/* See that the server takes as much as the one before it. */
static int check_caps(const struct vu_session *s, const struct vu_session *was, struct vu_why *why)
{
	const struct vu_caps *now = &s->caps, *old = &was->caps;

	if (s->max_data >= was->max_data && now->max_msg_fds >= old->max_msg_fds &&
	    now->max_dma_maps >= old->max_dma_maps && !(old->pgsizes & ~now->pgsizes))
		return 0;
	return vu_fail(why, -ENODEV,
		       "it takes less now: %u descriptors, %u bytes, %u mappings; it took %u, %u, "
		       "%u",
		       now->max_msg_fds, s->max_data, now->max_dma_maps, old->max_msg_fds,
		       was->max_data, old->max_dma_maps);
}

/*
 * Tell the new server by @s all that the old one knew, and have the device run. @reset: it is as
 * after a reset. 0 or -errno.
 */
static int tell_all(struct vu_resume *l, struct vu_session *s, bool *reset, struct vu_why *why)
{
	struct vu_client *c = l->c;
	int rc = check_caps(s, l->handle, why);

	if (!rc)
		rc = vu_learn_same(c, s, why);
	if (!rc)
		rc = vu_commands_start(s);
	if (!rc)
		rc = vu_dma_again(c, s, why);
	if (!rc)
		rc = vu_irqs_again(c, s, why);
	if (!rc && !*reset) {
		rc = run(s);
		if (rc > 0) {
			*reset = true;
			snprintf(s->caps.lasting.why, sizeof(s->caps.lasting.why),
				 "it did not go on");
			rc = 0;
		}
	}
	if (!rc && *reset)
		vu_face_again(c, s);
	return rc ? vu_fail(why, rc, "%s", strerror(-rc)) : 0;
}

static void drop_session(struct vu_session *s)
{
	vu_session_end(s);
	vu_session_put(s);
}

/* Have @s be the connection, unless it is dead, or nobody wants it. 0 or -errno. */
static int take_over(struct vu_resume *l, struct vu_session *s, bool reset)
{
	struct vu_session *old = lock_current(l);
	int rc = vu_conn_error(s->conn);

	l->next = NULL;
	if (!rc && s->twin)
		rc = vu_conn_error(s->twin);
	if (rc || l->leaving) {
		rc = -ECONNRESET;
	} else {
		l->current = s;
		memcpy(l->id, s->caps.lasting.id, sizeof(l->id));
		if (reset) {
			/* behind those that it has got: none of them is sent again */
			l->resets++;
			l->seq = l->last_id = vu_conn_last_id(s->conn);
		}
		l->back_since = now_ns();
		l->answers = false;
		l->state = UP;
		pthread_cond_broadcast(&l->changed);
	}
	pthread_mutex_unlock(&l->lock);
	drop_session(rc ? s : old);
	return rc;
}

static void say_back(struct vu_resume *l, const struct vu_lasting *said, bool reset)
{
	unsigned long long ms = (now_ns() - l->since) / 1000000;
	struct vu_client *c = l->c;

	if (!reset)
		report_warn(REPORT_LIMITED("vfio-user-back"), c->vdev.name, 0,
			    "its server (%s) is back after %llu ms, and the device goes on where "
			    "it was",
			    c->where, ms);
	else
		report_err(REPORT_LIMITED("vfio-user-reset"), c->vdev.name, 0,
			   "its server (%s) is back after %llu ms, but the device was reset (%s)%s",
			   c->where, ms, *said->why ? said->why : "it does not say why",
			   vfio_trigger_is_set(&c->err) ? ", its user is told by ERR"
							: ", and its user has no ERR to hear it");
}

int vu_resume_try(struct vu_resume *l, struct vu_why *why)
{
	struct vu_lasting what = { .kind = VU_LASTING_RESUME }, said;
	struct vu_session *s;
	bool reset;
	int rc;

	lock_current(l);
	memcpy(what.id, l->id, sizeof(what.id));
	what.seq = l->seq;
	pthread_mutex_unlock(&l->lock);
	rc = vu_session_new(l->c, l, &what, &s, why);
	if (rc)
		return rc;
	said = s->caps.lasting;
	reset = said.kind == VU_LASTING_LOST;
	rc = tell_all(l, s, &reset, why);
	if (rc) {
		vu_resume_connecting(l, NULL);
		drop_session(s);
		return rc;
	}
	said = s->caps.lasting;
	/* before whoever waits goes on with it */
	say_back(l, &said, reset);
	if (reset)
		vfio_trigger_signal(&l->c->err);
	rc = take_over(l, s, reset);
	return rc ? vu_fail(why, rc, "%s", strerror(-rc)) : 0;
}

/* True if another try would end in the same way: it is no server of this device. */
static bool is_final(int rc)
{
	return rc == -EPROTO || rc == -EINVAL || rc == -ENODEV || rc == -EOPNOTSUPP;
}

/*
 * Try until the server is back (0), the time is over (-ENODEV, and said), or nobody waits for it
 * (-ECANCELED).
 */
static int come_back(struct vu_resume *l)
{
	uint64_t delay = FIRST_NS, now, end;
	struct vu_client *c = l->c;
	struct vu_why why;
	bool left;
	int rc;

	report_warn(REPORT_LIMITED("vfio-user-away"), c->vdev.name, 0,
		    "its server (%s) is gone: it is connected to again, for up to %llu s", c->where,
		    (unsigned long long)(c->o.reconnect_ns / NS_SEC));
	for (;;) {
		*why.text = '\0';
		rc = vu_resume_try(l, &why);
		if (!rc)
			return 0;
		lock_current(l);
		now = now_ns();
		end = l->since + c->o.reconnect_ns;
		if (!l->leaving && !is_final(rc) && now < end)
			wait_until(l, now + delay < end ? now + delay : end);
		left = l->leaving;
		pthread_mutex_unlock(&l->lock);
		if (left)
			return -ECANCELED;
		if (is_final(rc) || now >= end)
			break;
		delay = delay * 3 / 2 < LAST_NS ? delay * 3 / 2 : LAST_NS;
	}
	if (is_final(rc))
		vu_session_say_lost(c, "came back, but cannot be used (%s)", why.text);
	else
		vu_session_say_lost(c, "has not come back in %llu s (%s)",
				    (unsigned long long)(c->o.reconnect_ns / NS_SEC), why.text);
	return -ENODEV;
}

/* ---- the thread ---- */

/* Note, with the lock, since when it is away: a server that comes and goes is one that is away. */
static void note_away(struct vu_resume *l)
{
	uint64_t now = now_ns();

	if (!l->since || l->answers || now - l->back_since > l->c->o.reconnect_ns)
		l->since = now;
}

static void *look_after(void *arg)
{
	struct vu_resume *l = arg;
	bool pulled;
	int rc;

	lock_current(l);
	for (;;) {
		/* who is inside comes out soon: the connection is dead */
		while (l->inside || l->state == UP)
			pthread_cond_wait(&l->changed, &l->lock);
		note_away(l);
		rc = l->leaving ? -ECANCELED : 0;
		pthread_mutex_unlock(&l->lock);
		if (!rc)
			rc = come_back(l);
		lock_current(l);
		if (rc)
			break;
	}
	pulled = l->pulled;
	pthread_mutex_unlock(&l->lock);
	/* before whoever waits goes on without it */
	if (rc == -ECANCELED && pulled)
		vu_session_say_lost(l->c, "is gone (%s)", "ENODEV");
	lock_current(l);
	/* what was noted of it is not looked at here any more */
	l->state = LOST;
	atomic_store_explicit(&l->handle->lost, true, memory_order_release);
	pthread_cond_broadcast(&l->changed);
	pthread_mutex_unlock(&l->lock);
	return NULL;
}

/* ---- its life ---- */

int vu_resume_new(struct vu_session *s, struct vu_session **out)
{
	struct vu_session *handle = heap_alloc(sizeof(*handle));
	struct vu_resume *l = heap_alloc(sizeof(*l));

	if (!handle || !l) {
		heap_free(handle);
		heap_free(l);
		return -ENOMEM;
	}
	*handle = (struct vu_session){ .c = s->c,
				       .resume = l,
				       .timeout_ns = s->timeout_ns,
				       .caps = s->caps,
				       .max_data = s->max_data };
	ref_init(&handle->ref);
	*l = (struct vu_resume){ .c = s->c, .handle = handle, .state = UP, .current = s };
	pthread_mutex_init(&l->turn, NULL);
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->changed, NULL);
	memcpy(l->id, s->caps.lasting.id, sizeof(l->id));
	s->of = l;
	*out = handle;
	return 0;
}

int vu_resume_start(struct vu_session *handle)
{
	struct vu_resume *l = handle->resume;
	int rc;

	l->seq = l->last_id = vu_conn_last_id(l->current->conn);
	rc = thread_start(&l->thread, look_after, l, "uvfio-socket");
	l->has_thread = !rc;
	return rc;
}

/* With the lock. */
static void leave(struct vu_resume *l)
{
	l->leaving = true;
	kill_both(l->next);
	pthread_cond_broadcast(&l->changed);
}

void vu_resume_leave(struct vu_resume *l)
{
	lock_current(l);
	leave(l);
	pthread_mutex_unlock(&l->lock);
}

void vu_resume_pull(struct vu_resume *l)
{
	lock_current(l);
	l->pulled = true;
	leave(l);
	break_off(l);
	while (l->state != LOST)
		pthread_cond_wait(&l->changed, &l->lock);
	pthread_mutex_unlock(&l->lock);
}

void vu_resume_end(struct vu_resume *l)
{
	lock_current(l);
	leave(l);
	break_off(l);
	pthread_mutex_unlock(&l->lock);
	if (l->has_thread)
		pthread_join(l->thread, NULL);
	l->has_thread = false;
	atomic_store_explicit(&l->handle->lost, true, memory_order_release);
	vu_session_end(l->current);
}

void vu_resume_free(struct vu_resume *l)
{
	if (!l)
		return;
	vu_session_put(l->current);
	pthread_cond_destroy(&l->changed);
	pthread_mutex_destroy(&l->lock);
	pthread_mutex_destroy(&l->turn);
	heap_free(l);
}

void vu_resume_abandon(struct vu_resume *l)
{
	vu_session_abandon(l->current);
	if (l->next)
		vu_session_abandon(l->next);
}
