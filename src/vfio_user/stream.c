/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_user/stream.c: whole messages with their descriptors out of a stream socket, whatever pieces
 * they come in.
 *
 * A message that is no longer than the window takes one system call, and nothing is allocated if it
 * is short; the rest of a longer one is read to where it is to be. The kernel ends a read behind
 * the write that had descriptors (Linux, unix_stream_read_generic()), so they are those of the last
 * message in the read that can have any. Which bytes they came with is all that a socket says.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#include "base/heap.h"
#include "base/report.h"
#include "base/sys.h"
#include "vfio_user/internal.h"

#define HEADER sizeof(struct vu_header)
#define NS_SEC 1000000000u
/* The socket's own clock is the kernel's jiffies: shorter times are poll's. */
#define SOCKET_CLOCK_NS 100000000u

int vu_poll(int fd, short events, uint64_t timeout_ns)
{
	struct timespec ts = { .tv_sec = (time_t)(timeout_ns / NS_SEC),
			       .tv_nsec = (long)(timeout_ns % NS_SEC) };
	struct pollfd p = { .fd = fd, .events = events };
	long rc =
		sys_call(SYS_ppoll, (long)&p, 1, timeout_ns == UINT64_MAX ? 0 : (long)&ts, 0, 0, 0);

	return rc > 0 ? p.revents : (int)rc;
}

/* ---- a message */

static void close_fds(int *fds, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (fds[i] >= 0)
			sys_close(fds[i]);
	heap_free(fds);
}

void vu_message_fini(struct vu_message *m)
{
	if (m->data != m->small)
		heap_free(m->data);
	close_fds(m->fds, m->num_fds);
	m->data = NULL;
	m->fds = NULL;
	m->num_fds = 0;
	m->len = 0;
}

int vu_message_take_fd(struct vu_message *m, unsigned i)
{
	int fd = i < m->num_fds ? m->fds[i] : -1;

	if (fd >= 0)
		m->fds[i] = -1;
	return fd;
}

void vu_message_move(struct vu_message *to, struct vu_message *from)
{
	memcpy(to, from, offsetof(struct vu_message, small));
	if (from->data == from->small) {
		memcpy(to->small, from->small, from->len);
		to->data = to->small;
	}
	from->data = NULL;
	from->fds = NULL;
	from->num_fds = 0;
	from->len = 0;
	from->error = 0;
}

void vu_stream_init(struct vu_stream *s, int fd, const char *name)
{
	s->fd = fd;
	s->name = name;
}

static void drop_fds(struct vu_stream *s)
{
	close_fds(s->fds, s->num_fds);
	s->fds = NULL;
	s->num_fds = 0;
	s->fds_error = 0;
	s->have_fds = s->fds_found = s->undecided = false;
}

void vu_stream_fini(struct vu_stream *s)
{
	vu_message_fini(&s->msg);
	drop_fds(s);
}

void vu_stream_take(struct vu_stream *s, struct vu_message *to)
{
	vu_message_move(to, &s->msg);
	s->begun = s->whole = false;
}

/* ---- bytes become messages */

static int header_check(const struct vu_stream *s, const struct vu_header *h,
			const struct vu_conn_limits *limits)
{
	uint64_t data = limits->max_data > VU_CAPS_MAX ? limits->max_data : VU_CAPS_MAX;
	uint32_t type = h->flags & VU_FLAG_TYPE;

	if (h->size < HEADER || h->size > HEADER + VU_FIXED + data)
		return report_warn(REPORT_LIMITED("vfio-user-malformed"), s->name, -EPROTO,
				   "a message of %u bytes (command %u)", h->size, h->command);
	if (type != VU_TYPE_COMMAND && type != VU_TYPE_REPLY)
		return report_warn(REPORT_LIMITED("vfio-user-malformed"), s->name, -EPROTO,
				   "a message of type %u (command %u)", type, h->command);
	return 0;
}

/* Give the descriptors, which have come with its header, to the message. */
static void give_fds(struct vu_stream *s, const struct vu_conn_limits *limits)
{
	s->msg.error = s->fds_error;
	if (s->num_fds > limits->max_fds && !s->msg.error) {
		s->msg.error = report_warn(REPORT_LIMITED("vfio-user-fds"), s->name, -EINVAL,
					   "command %u with %u descriptors, of %u at most",
					   s->msg.header.command, s->num_fds, limits->max_fds);
	}
	if (!s->msg.error) {
		s->msg.fds = s->fds;
		s->msg.num_fds = s->num_fds;
		s->fds = NULL;
		s->num_fds = 0;
	}
	drop_fds(s);
}

static int begin(struct vu_stream *s, const struct vu_conn_limits *limits)
{
	struct vu_message *m = &s->msg;
	int rc;

	memcpy(&m->header, s->window + s->start, HEADER);
	rc = header_check(s, &m->header, limits);
	if (rc)
		return rc;
	m->error = 0;
	m->len = m->header.size - HEADER;
	m->data = m->len <= sizeof(m->small) ? m->small : heap_alloc(m->len);
	s->skipping = !m->data;
	if (s->have_fds && s->fds_at == s->start)
		give_fds(s, limits);
	if (s->skipping)
		m->error = -ENOMEM;
	s->start += HEADER;
	s->got = 0;
	s->begun = true;
	return 0;
}

/* Take from the window what it has of the message. 1: it is whole; 0: not yet; -EPROTO. */
static int take(struct vu_stream *s, const struct vu_conn_limits *limits)
{
	struct vu_message *m = &s->msg;
	size_t n;
	int rc;

	if (s->whole)
		return 1;
	if (!s->begun) {
		if (s->undecided || s->end - s->start < HEADER)
			return 0;
		rc = begin(s, limits);
		if (rc)
			return rc;
	}
	n = m->len - s->got;
	if (n > s->end - s->start)
		n = s->end - s->start;
	if (n && !s->skipping)
		memcpy(m->data + s->got, s->window + s->start, n);
	s->start += (unsigned)n;
	s->got += n;
	if (s->got < m->len)
		return 0;
	if (s->skipping)
		m->len = 0;
	s->skipping = false;
	return s->whole = true;
}

/* ---- descriptors */

/* True if the protocol has descriptors in such a message. */
static bool can_have_fds(const struct vu_header *h)
{
	if ((h->flags & VU_FLAG_TYPE) == VU_TYPE_REPLY)
		return h->command == VU_VERSION || h->command == VU_DEVICE_GET_REGION_INFO ||
		       h->command == VU_DEVICE_GET_REGION_IO_FDS || h->command == VU_UVFIO_RING;
	return h->command == VU_DMA_MAP || h->command == VU_DEVICE_SET_IRQS;
}

/* No more headers came with them. */
static void decided(struct vu_stream *s)
{
	s->undecided = false;
	if (!s->fds_found)
		drop_fds(s); /* strays, as of SPDK's DMA_UNMAP */
}

/* Find the message that they belong to, which came with the bytes of the window from @from up. */
static void decide(struct vu_stream *s, unsigned from)
{
	unsigned at = s->start;
	struct vu_header h;

	while (s->end - at >= HEADER) {
		memcpy(&h, s->window + at, HEADER);
		if (at + HEADER > from && can_have_fds(&h)) {
			s->fds_at = at;
			s->fds_found = true;
		}
		/* one that is malformed is the last */
		if (h.size < HEADER || h.size > s->end - at) {
			at = s->end;
			break;
		}
		at += h.size;
	}
	s->undecided = at < s->end;
	if (!s->undecided)
		decided(s);
}

/*
 * Close those that are sockets. One may be the peer's own end: while this process had it, the peer
 * would never be seen to have gone, whatever became of it.
 */
static void refuse_sockets(struct vu_stream *s)
{
	struct stat st;

	for (unsigned i = 0; i < s->num_fds; i++) {
		if (sys_call(SYS_fstat, s->fds[i], (long)&st, 0, 0, 0, 0) || !S_ISSOCK(st.st_mode))
			continue;
		sys_close(s->fds[i]);
		s->fds[i] = -1;
		s->fds_error = -EINVAL;
	}
}

/* Keep what the kernel gave with the bytes from @from up. */
static void keep_fds(struct vu_stream *s, struct msghdr *mh, bool into_window, unsigned from,
		     bool no_sockets)
{
	bool was_undecided = s->undecided, lost = mh->msg_flags & MSG_CTRUNC, none = true;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c)) {
		int *came = (int *)CMSG_DATA(c), *to = NULL;
		unsigned n = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		none = false;
		/* where no header begins, or with a header that had others, they mean nothing */
		if (into_window && !was_undecided && !s->fds) {
			to = heap_array(n, sizeof(int));
			if (!to)
				s->fds_error = -ENOMEM;
		}
		if (to) {
			memcpy(to, came, n * sizeof(*to));
			s->fds = to;
			s->num_fds = n;
			if (no_sockets)
				refuse_sockets(s);
			continue;
		}
		for (unsigned i = 0; i < n; i++)
			sys_close(came[i]);
	}
	if (!into_window)
		return;
	if (was_undecided) {
		decide(s, s->fds_at);
	} else if (!none || lost) {
		s->have_fds = true;
		if (lost)
			s->fds_error = -EMFILE;
		s->fds_at = from;
		decide(s, from);
	}
}

/* ---- the socket */

/* Let a blocking read of the socket take at most @ns, 0: for ever. */
static int set_timeout(struct vu_stream *s, uint64_t ns)
{
	struct timeval tv = { .tv_sec = (time_t)(ns / NS_SEC),
			      .tv_usec = (suseconds_t)(ns % NS_SEC / 1000) };
	long rc;

	if (s->recv_timeout_ns == ns)
		return 0;
	rc = sys_call(SYS_setsockopt, s->fd, SOL_SOCKET, SO_RCVTIMEO, (long)&tv, sizeof(tv), 0);
	if (rc < 0)
		return (int)rc;
	s->recv_timeout_ns = ns;
	return 0;
}

/* Receive once. The number of bytes, 0: the peer has closed it; -errno. */
static long receive(struct vu_stream *s, bool no_sockets, int flags)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(VU_MAX_FDS * sizeof(int))];
	bool body = s->begun;
	struct iovec iov;
	struct msghdr mh = { .msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control,
			     .msg_controllen = sizeof(control) };
	unsigned from;
	size_t left;
	long n;

	if (s->start) {
		/* part of a header at most, but where descriptors are undecided */
		memmove(s->window, s->window + s->start, s->end - s->start);
		s->fds_at -= s->start;
		s->end -= s->start;
		s->start = 0;
	}
	from = s->end;
	if (body) {
		left = s->msg.len - s->got;
		iov.iov_base = s->skipping ? s->window : s->msg.data + s->got;
		iov.iov_len = s->skipping && left > VU_WINDOW ? VU_WINDOW : left;
	} else {
		iov.iov_base = s->window + from;
		/* a header that came in pieces, with descriptors: no more than its rest */
		iov.iov_len = s->undecided ? 1 : VU_WINDOW - from;
	}
	n = sys_call(SYS_recvmsg, s->fd, (long)&mh, MSG_CMSG_CLOEXEC | flags, 0, 0, 0);
	if (n <= 0)
		return n;
	if (body)
		s->got += (size_t)n;
	else
		s->end += (unsigned)n;
	if (s->undecided || mh.msg_controllen || mh.msg_flags & MSG_CTRUNC)
		keep_fds(s, &mh, !body, from, no_sockets);
	return n;
}

/* Wait until there is something to read. 1; -EAGAIN, -ECANCELED, -EINTR, or why it fails. */
static int await(struct vu_stream *s, const struct vu_until *u)
{
	struct pollfd p[2] = { { .fd = s->fd, .events = POLLIN },
			       { .fd = u->wake_fd ? u->wake_fd : -1, .events = POLLIN } };
	bool ever = u->deadline == UINT64_MAX;
	uint64_t now = now_ns(), count;
	struct timespec ts = { 0 };
	long rc;

	if (!ever && now >= u->deadline)
		return -EAGAIN;
	if (!ever) {
		ts.tv_sec = (time_t)((u->deadline - now) / NS_SEC);
		ts.tv_nsec = (long)((u->deadline - now) % NS_SEC);
	}
	rc = sys_call(SYS_ppoll, (long)p, 2, ever ? 0 : (long)&ts, 0, 0, 0);
	if (rc <= 0)
		return rc ? (int)rc : -EAGAIN;
	if (p[1].revents) {
		sys_call(SYS_read, u->wake_fd, (long)&count, sizeof(count), 0, 0, 0);
		return -ECANCELED;
	}
	return 1;
}

int vu_stream_read(struct vu_stream *s, const struct vu_conn_limits *limits, struct vu_until *u)
{
	for (;;) {
		bool poll = u->deadline && (u->wake_fd || (u->deadline != UINT64_MAX &&
							   u->timeout_ns < SOCKET_CLOCK_NS));
		int rc = take(s, limits);
		long n;

		if (rc)
			return rc < 0 ? rc : 0;
		if (poll) {
			rc = await(s, u);
			if (rc < 0 && rc != -EINTR)
				return rc;
		} else if (u->deadline) {
			rc = set_timeout(s, u->timeout_ns);
			if (rc)
				return rc;
		}
		u->timeout_ns = 0;
		n = receive(s, limits->no_sockets, poll || !u->deadline ? MSG_DONTWAIT : 0);
		if (!n && s->undecided) {
			decided(s); /* what came before is whole */
			continue;
		}
		if (!n)
			return -ECONNRESET;
		if (n == -EWOULDBLOCK && !u->deadline)
			return -EAGAIN;
		if (n < 0 && n != -EWOULDBLOCK && n != -EINTR)
			return (int)n;
	}
}
