/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_user/conn.c: who reads, who waits and for what, and sending.
 *
 * A thread that waits for something is in the list of waiters. One of them has the reader's turn
 * and is in the kernel without a lock; when it has what it came for it wakes another one, which
 * goes on reading. A sender whose socket is full reads as well if nobody does: the peer may be
 * blocked in sending, too, and would never take anything.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>

#include "base/heap.h"
#include "base/report.h"
#include "base/sys.h"
#include "vfio_user/internal.h"

#define HEADER	  sizeof(struct vu_header)
#define NS_SEC	  1000000000u
#define IDS	  65536u
#define WORD_BITS 64u
/* So long a message is sent as one piece of memory. */
#define SMALL 256u
/* While another thread reads, a sender looks at times whether it still does. */
#define LOOK_NS 10000000u

struct waiter {
	bool next; /* for a command, else for the reply to this: */
	uint16_t id, command;
	struct vu_message *out;	    /* gets it */
	const struct vu_call *call; /* of one that can be stopped, else NULL */
	bool done, stopped;
	bool sleeping;
	pthread_cond_t wake; /* signalled with the lock, so it is free when its waiter has that */
	struct waiter *before, *after;
};

struct queued {
	struct vu_message msg;
	struct queued *after;
};

struct vu_conn {
	int fd;
	char *name;
	atomic_int error; /* 0, or why it is dead; set once, with lock held */

	pthread_mutex_t send_lock;     /* of the socket's sending side */
	atomic_uint sends_fds;	       /* a message has at most */
	_Atomic uint64_t send_timeout; /* limits.timeout_ns */

	pthread_mutex_t lock; /* of all below, but for the stream */
	struct vu_conn_limits limits;
	bool reading; /* a thread has the reader's turn */
	int wake_fd;  /* an eventfd: for who reads in a call that can be stopped; 0: none yet */
	bool (*stops)(void *arg, const struct vu_call *call); /* such calls; NULL: none */
	void *stops_arg;
	struct waiter *waiters, *last_waiter;
	struct queued *queue, **queue_end; /* commands */
	unsigned queued;
	uint64_t queued_bytes; /* behind their headers */
	uint64_t queued_fds;
	uint16_t last_id;
	uint64_t used_ids[IDS / WORD_BITS]; /* their replies have not come */

	struct vu_stream stream; /* of who has the reader's turn */
};

/* ---- life */

static void init_locks(struct vu_conn *c)
{
	pthread_mutex_init(&c->send_lock, NULL);
	pthread_mutex_init(&c->lock, NULL);
}

int vu_conn_new(int fd, const char *name, const struct vu_conn_limits *limits, struct vu_conn **out)
{
	struct vu_conn *c = heap_alloc(sizeof(*c));
	char *copy = heap_alloc(strlen(name) + 1);
	int own = fd_make_private(fd);
	long flags;

	if (!c || !copy || own < 0) {
		fd_close_private(own);
		if (own < 0)
			sys_close(fd);
		heap_free(c);
		heap_free(copy);
		return own < 0 ? own : -ENOMEM;
	}
	/* who waits is in the kernel, and who does not says so */
	flags = sys_call(SYS_fcntl, own, F_GETFL, 0, 0, 0, 0);
	sys_call(SYS_fcntl, own, F_SETFL, flags & ~O_NONBLOCK, 0, 0, 0);
	c->fd = own;
	c->name = strcpy(copy, name);
	c->limits = *limits;
	atomic_init(&c->sends_fds, VU_DEFAULT_FDS);
	atomic_init(&c->send_timeout, limits->timeout_ns);
	c->queue_end = &c->queue;
	init_locks(c);
	vu_stream_init(&c->stream, own, c->name);
	*out = c;
	return 0;
}

void vu_conn_free(struct vu_conn *c)
{
	struct queued *q;

	if (!c)
		return;
	while ((q = c->queue)) {
		c->queue = q->after;
		vu_message_fini(&q->msg);
		heap_free(q);
	}
	vu_stream_fini(&c->stream);
	if (c->wake_fd)
		fd_close_private(c->wake_fd);
	fd_close_private(c->fd);
	pthread_mutex_destroy(&c->lock);
	pthread_mutex_destroy(&c->send_lock);
	heap_free(c->name);
	heap_free(c);
}

void vu_conn_abandon(struct vu_conn *c)
{
	if (c->wake_fd)
		fd_close_private(c->wake_fd);
	fd_close_private(c->fd);
}

int vu_conn_error(struct vu_conn *c)
{
	return atomic_load_explicit(&c->error, memory_order_acquire);
}

int vu_conn_fd(const struct vu_conn *c)
{
	return c->fd;
}

void vu_conn_set_limits(struct vu_conn *c, const struct vu_conn_limits *limits, uint32_t sends_fds)
{
	pthread_mutex_lock(&c->lock);
	c->limits = *limits;
	pthread_mutex_unlock(&c->lock);
	atomic_store_explicit(&c->sends_fds, sends_fds, memory_order_relaxed);
	atomic_store_explicit(&c->send_timeout, limits->timeout_ns, memory_order_relaxed);
}

static void wake(struct waiter *w)
{
	w->sleeping = false;
	pthread_cond_signal(&w->wake);
}

/* With the lock. */
static void kill_locked(struct vu_conn *c, int error)
{
	if (vu_conn_error(c))
		return;
	atomic_store_explicit(&c->error, error, memory_order_release);
	/* whoever is in the kernel for it comes back */
	sys_call(SYS_shutdown, c->fd, SHUT_RDWR, 0, 0, 0, 0);
	for (struct waiter *w = c->waiters; w; w = w->after)
		wake(w);
}

void vu_conn_kill(struct vu_conn *c, int error)
{
	pthread_mutex_lock(&c->lock);
	kill_locked(c, error);
	pthread_mutex_unlock(&c->lock);
}

/* ---- stopping calls */

int vu_conn_can_stop(struct vu_conn *c)
{
	int own;

	if (c->wake_fd)
		return 0;
	own = fd_own(sys_call(SYS_eventfd2, 0, EFD_CLOEXEC | EFD_NONBLOCK, 0, 0, 0, 0));
	if (own < 0)
		return own;
	c->wake_fd = own;
	return 0;
}

void vu_conn_stop_begin(struct vu_conn *c, bool (*which)(void *arg, const struct vu_call *call),
			void *arg)
{
	const uint64_t one = 1;
	bool reads = false;

	pthread_mutex_lock(&c->lock);
	c->stops = which;
	c->stops_arg = arg;
	for (struct waiter *w = c->waiters; w; w = w->after) {
		if (!w->call || w->done || !which(arg, w->call))
			continue;
		w->stopped = true;
		if (w->sleeping)
			wake(w);
		else
			reads = true; /* or sends still */
	}
	pthread_mutex_unlock(&c->lock);
	if (reads)
		sys_call(SYS_write, c->wake_fd, (long)&one, sizeof(one), 0, 0, 0);
}

void vu_conn_stop_end(struct vu_conn *c)
{
	pthread_mutex_lock(&c->lock);
	c->stops = NULL;
	pthread_mutex_unlock(&c->lock);
}

/* ---- numbers of commands */

static bool id_used(const struct vu_conn *c, uint16_t id)
{
	return c->used_ids[id / WORD_BITS] >> (id % WORD_BITS) & 1;
}

static void id_give(struct vu_conn *c, uint16_t id)
{
	c->used_ids[id / WORD_BITS] &= ~(1ull << (id % WORD_BITS));
}

/* Take one whose reply is not to come any more, or the sender's; false: there is none. */
static bool id_take(struct vu_conn *c, const struct vu_call *call, uint16_t *id)
{
	unsigned tries = call->numbered ? 1 : IDS;
	uint16_t next = call->numbered ? call->id : (uint16_t)(c->last_id + 1);

	for (; tries && id_used(c, next); tries--)
		next++;
	if (!tries)
		return false;
	c->last_id = *id = next;
	c->used_ids[next / WORD_BITS] |= 1ull << (next % WORD_BITS);
	return true;
}

uint16_t vu_conn_last_id(struct vu_conn *c)
{
	uint16_t id;

	pthread_mutex_lock(&c->lock);
	id = c->last_id;
	pthread_mutex_unlock(&c->lock);
	return id;
}

/* ---- who waits; with the lock, all of these */

static void add_waiter(struct vu_conn *c, struct waiter *w)
{
	w->before = c->last_waiter;
	if (w->before)
		w->before->after = w;
	else
		c->waiters = w;
	c->last_waiter = w;
}

static void remove_waiter(struct vu_conn *c, struct waiter *w)
{
	if (w->before)
		w->before->after = w->after;
	else
		c->waiters = w->after;
	if (w->after)
		w->after->before = w->before;
	else
		c->last_waiter = w->before;
}

/* Wake one that sleeps: of those for a command, or of all. */
static void wake_one(struct vu_conn *c, bool next)
{
	for (struct waiter *w = c->waiters; w; w = w->after)
		if (w->sleeping && (!next || w->next)) {
			wake(w);
			return;
		}
}

static bool have_room(const struct vu_conn *c, const struct vu_message *m)
{
	const struct vu_conn_limits *l = &c->limits;

	if (!c->queued)
		return l->max_queued;
	return c->queued < l->max_queued && c->queued_bytes + m->len <= 4 * (uint64_t)l->max_data &&
	       (!m->num_fds || c->queued_fds + m->num_fds <= 4 * (uint64_t)l->max_fds);
}

/*
 * True if nobody reads, and the next message is a command for which the queue has no room: only who
 * wants it can go on.
 */
static bool is_stuck(const struct vu_conn *c)
{
	return c->stream.whole && !have_room(c, &c->stream.msg);
}

/* Whoever read does not any more: let another one. */
static void give_turn(struct vu_conn *c)
{
	if (!c->reading)
		wake_one(c, is_stuck(c));
}

/* The message of the stream is whole: a command. 0; -ENOMEM. */
static int keep_command(struct vu_conn *c, struct waiter *me)
{
	struct queued *q;

	if (me && me->next && !me->done && !c->queue) {
		vu_stream_take(&c->stream, me->out);
		me->done = true;
		return 0;
	}
	if (!have_room(c, &c->stream.msg))
		return 0; /* stuck */
	q = heap_alloc(sizeof(*q));
	if (!q)
		return -ENOMEM;
	vu_stream_take(&c->stream, &q->msg);
	*c->queue_end = q;
	c->queue_end = &q->after;
	c->queued++;
	c->queued_bytes += q->msg.len;
	c->queued_fds += q->msg.num_fds;
	wake_one(c, true);
	return 0;
}

/* A reply. 0; -EPROTO: nobody asked. */
static int give_reply(struct vu_conn *c)
{
	const struct vu_header *h = &c->stream.msg.header;
	struct vu_message late = { 0 };
	struct waiter *w;

	for (w = c->waiters; w; w = w->after)
		if (!w->next && !w->done && w->id == h->id)
			break;
	if (w ? w->command != h->command : !id_used(c, h->id))
		return report_warn(REPORT_LIMITED("vfio-user-reply"), c->name, -EPROTO,
				   "a reply %u to command %u, which was not sent", h->id,
				   h->command);
	id_give(c, h->id);
	if (!w) {
		vu_stream_take(&c->stream, &late);
		vu_message_fini(&late);
		return 0;
	}
	vu_stream_take(&c->stream, w->out);
	w->done = true;
	if (w->sleeping)
		wake(w);
	return 0;
}

/*
 * Have the reader's turn for one message, with the lock, which is given up meanwhile. @me gets it
 * if it is for it (NULL: a sender reads). -ENOMEM: the message is there still.
 */
static int read_one(struct vu_conn *c, struct waiter *me, struct vu_until *u)
{
	struct vu_conn_limits limits = c->limits;
	int rc;

	c->reading = true;
	pthread_mutex_unlock(&c->lock);
	rc = vu_stream_read(&c->stream, &limits, u);
	pthread_mutex_lock(&c->lock);
	if (!rc && (c->stream.msg.header.flags & VU_FLAG_TYPE) == VU_TYPE_REPLY)
		rc = give_reply(c);
	else if (!rc)
		rc = keep_command(c, me);
	if (rc == -ECONNRESET && !vu_conn_error(c) && vu_stream_is_amid(&c->stream))
		report_warn(REPORT_LIMITED("vfio-user-cut"), c->name, rc,
			    "the peer closed its socket in the middle of a message");
	if (rc && rc != -EAGAIN && rc != -ENOMEM && rc != -ECANCELED) {
		kill_locked(c, rc);
		rc = vu_conn_error(c);
	}
	c->reading = false;
	return rc;
}

/* Take the first command out of the queue; false: there is none. */
static bool take_queued(struct vu_conn *c, struct vu_message *out)
{
	struct queued *q = c->queue;
	int error = vu_conn_error(c);

	if (!q || (error && error != -ECONNRESET))
		return false;
	c->queue = q->after;
	if (!c->queue)
		c->queue_end = &c->queue;
	c->queued--;
	c->queued_bytes -= q->msg.len;
	c->queued_fds -= q->msg.num_fds;
	vu_message_move(out, &q->msg);
	heap_free(q);
	return true;
}

/* Sleep until woken, or @deadline. False: the time is over. */
static bool sleep_until(struct vu_conn *c, struct waiter *w, uint64_t deadline)
{
	struct timespec ts = { .tv_sec = (time_t)(deadline / NS_SEC),
			       .tv_nsec = (long)(deadline % NS_SEC) };
	int rc = 0;

	w->sleeping = true;
	while (w->sleeping && !rc)
		rc = deadline == UINT64_MAX
			     ? pthread_cond_wait(&w->wake, &c->lock)
			     : pthread_cond_clockwait(&w->wake, &c->lock, CLOCK_MONOTONIC, &ts);
	w->sleeping = false;
	return !rc;
}

/*
 * Wait, with the lock, for what @w wants. 0, -EAGAIN: not in time; -ECANCELED: stopped; -ENOMEM;
 * why it is dead.
 */
static int wait_for(struct vu_conn *c, struct waiter *w, struct vu_until u)
{
	int rc = 0;

	for (;;) {
		if (w->done || (w->next && take_queued(c, w->out)))
			return 0;
		if (w->stopped)
			return -ECANCELED;
		if (!rc || rc == -ECANCELED) /* another one was meant */
			rc = vu_conn_error(c);
		if (rc)
			return rc;
		if (!c->reading && (w->next || !is_stuck(c)))
			rc = read_one(c, w, &u);
		else if (!u.deadline || !sleep_until(c, w, u.deadline))
			rc = -EAGAIN;
	}
}

/* ---- sending */

/* The socket is full. Wait until there is room, or @deadline, and read if nobody else does. */
static int wait_for_room(struct vu_conn *c, uint64_t deadline)
{
	struct vu_until no_wait = { 0 };
	uint64_t now = now_ns(), left;
	bool reads;
	int rc;

	if (now >= deadline)
		return report_warn(REPORT_LIMITED("vfio-user-stalled"), c->name, -ETIMEDOUT,
				   "the peer takes nothing out of its socket");
	left = deadline - now;
	pthread_mutex_lock(&c->lock);
	do {
		reads = !c->reading && !is_stuck(c);
		rc = reads ? read_one(c, NULL, &no_wait) : 0;
	} while (reads && !rc);
	give_turn(c);
	reads = rc == -EAGAIN;
	rc = vu_conn_error(c);
	pthread_mutex_unlock(&c->lock);
	if (rc)
		return rc;
	if (!reads && left > LOOK_NS)
		left = LOOK_NS;
	rc = vu_poll(c->fd, reads ? POLLIN | POLLOUT : POLLOUT, left);
	return rc < 0 && rc != -EINTR ? rc : 0;
}

/* Let it be dead, and say why it is: maybe another one was first. */
static int dead(struct vu_conn *c, int error)
{
	vu_conn_kill(c, error);
	return vu_conn_error(c);
}

/* Take @n bytes from the front of what is to be sent. */
static void advance(struct msghdr *mh, size_t n)
{
	while (n && n >= mh->msg_iov->iov_len) {
		n -= mh->msg_iov->iov_len;
		mh->msg_iov++;
		mh->msg_iovlen--;
	}
	if (n) {
		mh->msg_iov->iov_base = (uint8_t *)mh->msg_iov->iov_base + n;
		mh->msg_iov->iov_len -= n;
	}
}

/* Send what the socket takes of @mh. The kernel takes one piece sooner than it takes a list. */
static long send_some(struct vu_conn *c, const struct msghdr *mh)
{
	const int flags = MSG_NOSIGNAL | MSG_DONTWAIT;

	if (mh->msg_iovlen == 1 && !mh->msg_control)
		return sys_call(SYS_sendto, c->fd, (long)mh->msg_iov->iov_base,
				(long)mh->msg_iov->iov_len, flags, 0, 0);
	return sys_call(SYS_sendmsg, c->fd, (long)mh, flags, 0, 0, 0);
}

/* Send all of @mh, @size bytes, with the send_lock. */
static int send_all(struct vu_conn *c, struct msghdr *mh, size_t size)
{
	uint64_t deadline = 0, timeout_ns;
	size_t left = size;
	long n;
	int rc;

	while (left) {
		n = send_some(c, mh);
		if (n > 0) {
			left -= (size_t)n;
			if (left)
				advance(mh, (size_t)n);
			/* they went with the first byte */
			mh->msg_control = NULL;
			mh->msg_controllen = 0;
		} else if (n == -EWOULDBLOCK) {
			timeout_ns = atomic_load_explicit(&c->send_timeout, memory_order_relaxed);
			if (!deadline)
				deadline = timeout_ns ? now_ns() + timeout_ns : UINT64_MAX;
			rc = wait_for_room(c, deadline);
			if (rc)
				return dead(c, rc);
		} else if (n != -EINTR) {
			rc = n == -EPIPE ? -ECONNRESET : (int)n;
			/* nothing that could be read may follow a part of a message */
			return left < size || rc == -ECONNRESET ? dead(c, rc) : rc;
		}
	}
	return 0;
}

/* Copy what is to be sent to @to. */
static void gather(uint8_t *to, const struct msghdr *mh)
{
	for (size_t i = 0; i < mh->msg_iovlen; i++) {
		if (mh->msg_iov[i].iov_len)
			memcpy(to, mh->msg_iov[i].iov_base, mh->msg_iov[i].iov_len);
		to += mh->msg_iov[i].iov_len;
	}
}

/*
 * Send one message. 0; why the connection is dead; or another error, and nothing was sent:
 * -EMSGSIZE, or what the kernel says of the descriptors.
 */
static int send_message(struct vu_conn *c, struct vu_header *h, const struct iovec *iov,
			unsigned iovcnt, const int *fds, unsigned num_fds)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(VU_MAX_FDS * sizeof(int))];
	struct iovec all[1 + VU_MAX_IOV] = { { .iov_base = h, .iov_len = HEADER } };
	struct msghdr mh = { .msg_iov = all, .msg_iovlen = 1 + iovcnt };
	uint8_t small[SMALL];
	uint64_t size = HEADER;
	int rc;

	if (iovcnt > VU_MAX_IOV || num_fds > VU_MAX_FDS ||
	    num_fds > atomic_load_explicit(&c->sends_fds, memory_order_relaxed))
		return -EMSGSIZE;
	for (unsigned i = 0; i < iovcnt; i++) {
		all[1 + i] = iov[i];
		if (iov[i].iov_len > UINT32_MAX - size)
			return -EMSGSIZE;
		size += iov[i].iov_len;
	}
	h->size = (uint32_t)size;
	if (num_fds) {
		struct cmsghdr *cm = (struct cmsghdr *)control;

		memset(control, 0, CMSG_SPACE(0));
		cm->cmsg_level = SOL_SOCKET;
		cm->cmsg_type = SCM_RIGHTS;
		cm->cmsg_len = CMSG_LEN(num_fds * sizeof(int));
		memcpy(CMSG_DATA(cm), fds, num_fds * sizeof(int));
		mh.msg_control = control;
		mh.msg_controllen = cm->cmsg_len;
	}
	if (size <= sizeof(small) && !num_fds) {
		gather(small, &mh);
		all[0] = (struct iovec){ .iov_base = small, .iov_len = size };
		mh.msg_iovlen = 1;
	}
	pthread_mutex_lock(&c->send_lock);
	rc = vu_conn_error(c);
	if (!rc)
		rc = send_all(c, &mh, size);
	pthread_mutex_unlock(&c->send_lock);
	return rc;
}

/* ---- calls */

/* Return the peer's error, as @h has it. */
static int error_of(const struct vu_header *h)
{
	if (!(h->flags & VU_FLAG_ERROR))
		return 0;
	return h->error && h->error <= INT_MAX && strerrorname_np((int)h->error) ? -(int)h->error
										 : -EIO;
}

/* The same for the reply to @call, whose sender may want to know that it is late. */
static int wait_for_reply(struct vu_conn *c, struct waiter *w, const struct vu_call *call,
			  struct vu_until u)
{
	struct vu_until first = { .timeout_ns = call->late_ns };
	int rc;

	if (!call->late || (u.timeout_ns && call->late_ns >= u.timeout_ns))
		return wait_for(c, w, u);
	/* both began at the same time */
	first.deadline = (u.timeout_ns ? u.deadline - u.timeout_ns : now_ns()) + call->late_ns;
	rc = wait_for(c, w, first);
	if (rc != -EAGAIN)
		return rc;
	/* who reads meanwhile may give @w its reply */
	give_turn(c);
	pthread_mutex_unlock(&c->lock);
	call->late(call->arg, call->command);
	pthread_mutex_lock(&c->lock);
	u.timeout_ns = 0;
	return wait_for(c, w, u);
}

int vu_conn_call(struct vu_conn *c, const struct vu_call *call, struct vu_message *reply)
{
	struct waiter w = { .command = call->command,
			    .out = reply,
			    .wake = PTHREAD_COND_INITIALIZER };
	struct vu_until u = { .deadline = UINT64_MAX };
	struct vu_header h = { .command = call->command, .flags = VU_TYPE_COMMAND };
	int rc;

	memset(reply, 0, offsetof(struct vu_message, small));
	if (call->timeout_ns)
		u = (struct vu_until){ .deadline = now_ns() + call->timeout_ns,
				       .timeout_ns = call->timeout_ns };
	pthread_mutex_lock(&c->lock);
	rc = vu_conn_error(c);
	if (!rc && call->can_stop) {
		w.call = call;
		u.wake_fd = c->wake_fd;
		if (c->stops && c->stops(c->stops_arg, call))
			rc = -ECANCELED;
	}
	if (!rc && !id_take(c, call, &w.id)) {
		rc = report_warn(REPORT_LIMITED("vfio-user-unanswered"), c->name, -ETIMEDOUT,
				 "no number is free: commands were not answered");
		kill_locked(c, rc);
	}
	if (rc) {
		pthread_mutex_unlock(&c->lock);
		return rc;
	}
	add_waiter(c, &w);
	pthread_mutex_unlock(&c->lock);
	h.id = w.id;
	rc = send_message(c, &h, call->iov, call->iovcnt, call->fds, call->num_fds);
	pthread_mutex_lock(&c->lock);
	if (!rc)
		rc = wait_for_reply(c, &w, call, u);
	else if (!vu_conn_error(c))
		id_give(c, w.id); /* it was not sent */
	remove_waiter(c, &w);
	give_turn(c);
	pthread_mutex_unlock(&c->lock);
	if (!rc)
		rc = error_of(&reply->header);
	else if (rc == -EAGAIN)
		rc = -ETIMEDOUT;
	if (!rc)
		rc = reply->error;
	if (rc)
		vu_message_fini(reply);
	return rc;
}

int vu_conn_post(struct vu_conn *c, const struct vu_call *call)
{
	struct vu_header h = { .command = call->command,
			       .flags = VU_TYPE_COMMAND | VU_FLAG_NO_REPLY };

	return send_message(c, &h, call->iov, call->iovcnt, call->fds, call->num_fds);
}

int vu_conn_next(struct vu_conn *c, uint64_t timeout_ns, struct vu_message *out)
{
	struct waiter w = { .next = true, .out = out, .wake = PTHREAD_COND_INITIALIZER };
	struct vu_until u = { .deadline = timeout_ns, .timeout_ns = timeout_ns };
	int rc;

	if (timeout_ns == UINT64_MAX)
		u.timeout_ns = 0;
	else if (timeout_ns)
		u.deadline = now_ns() + timeout_ns;
	do {
		memset(out, 0, offsetof(struct vu_message, small));
		w.done = false;
		pthread_mutex_lock(&c->lock);
		add_waiter(c, &w);
		rc = wait_for(c, &w, u);
		remove_waiter(c, &w);
		give_turn(c);
		pthread_mutex_unlock(&c->lock);
		if (rc || !out->error)
			break;
		report_warn(REPORT_LIMITED("vfio-user-refused"), c->name, out->error,
			    "command %u is not carried out", out->header.command);
		rc = vu_conn_reply(c, &out->header, out->error, NULL, 0, NULL, 0);
		vu_message_fini(out);
	} while (!rc);
	return rc;
}

int vu_conn_reply(struct vu_conn *c, const struct vu_header *to, int error, const struct iovec *iov,
		  unsigned iovcnt, const int *fds, unsigned num_fds)
{
	struct vu_header h = { .id = to->id,
			       .command = to->command,
			       .flags = VU_TYPE_REPLY | (error ? VU_FLAG_ERROR : 0),
			       .error = (uint32_t)-error };

	if (to->flags & VU_FLAG_NO_REPLY)
		return vu_conn_error(c);
	if (error)
		return send_message(c, &h, NULL, 0, NULL, 0);
	return send_message(c, &h, iov, iovcnt, fds, num_fds);
}
