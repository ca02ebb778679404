/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * conform/conn.c: a connection to the peer under test. Each message is read by itself, header and
 * then body, so that descriptors are known to be its own. Nothing waits past its deadline, and
 * while a message is sent the peer's answers are taken in, so that neither waits for the other.
 */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/json.h"
#include "base/util.h"
#include "conform/internal.h"

#define MAX_MESSAGE (64u << 20) /* a peer that announces more is out of step */

static const char full_json[] =
	"{\"capabilities\":{\"max_msg_fds\":16,\"max_data_xfer_size\":1048576,"
	"\"max_dma_maps\":65535,\"pgsizes\":4096,\"write_multiple\":true}}";

struct ct_conn *ct_conn_of(struct ct *t, int fd)
{
	struct ct_conn *c = ct_alloc(t, sizeof(*c));

	if (t->nconns == CT_CONNS)
		ct_fail(t, "the test has too many connections");
	c->t = t;
	c->fd = fd;
	c->id = (int)t->nconns + 1;
	c->next_id = 1;
	t->conns[t->nconns++] = c;
	return c;
}

void ct_close(struct ct_conn *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

static int try_connect(struct ct *t)
{
	struct timeval limit = { .tv_sec = t->run->o->timeout_ms / 1000 + 1 };
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), rc;

	if (fd < 0)
		ct_fail(t, "socket: %s", strerror(errno));
	memcpy(addr.sun_path, t->run->socket, sizeof(addr.sun_path));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (!connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
		return fd;
	rc = -errno;
	close(fd);
	return rc;
}

struct ct_conn *ct_connect(struct ct *t)
{
	double until = ct_now() + t->run->o->timeout_ms / 1000.; /* it may come back */
	int fd, rc;

	if (t->run->gone)
		ct_skip(t, "the server is gone");
	if (t->run->used) {
		ct_check(t, !t->nconns || t->conns[t->nconns - 1]->fd < 0,
			 "the test needs a server of more than one client");
		ct_process_ended(t->run, 20);
		ct_process_kill(t->run);
	}
	t->run->used = t->run->o->once;
	for (;;) {
		rc = ct_process_start(t->run);
		if (rc)
			ct_fail(t, "%s: %s", t->run->o->command[0], strerror(-rc));
		fd = try_connect(t);
		if (fd >= 0)
			return ct_conn_of(t, fd);
		if ((fd != -ECONNREFUSED && fd != -ENOENT && fd != -EAGAIN) || ct_now() > until)
			break;
		poll(NULL, 0, 5);
		ct_process_ended(t->run, 0);
	}
	t->run->gone = true;
	ct_fail(t, "connect to %s: %s", t->run->socket, strerror(-fd));
}

struct ct_conn *ct_session(struct ct *t)
{
	return ct_session_with(t, 0, full_json);
}

struct ct_conn *ct_session_with(struct ct *t, uint16_t minor, const char *json)
{
	struct ct_conn *c;
	struct ct_msg *m, *r;

	/* A server that ends with its client may still have its old socket. */
	for (int i = 0;; i++) {
		c = ct_connect(t);
		m = ct_version(c, 0, minor, json);
		if (ct_try_send(c, m, 0, m->size, false) &&
		    ct_take(c, &r, t->run->o->timeout_ms) == CT_MSG)
			break;
		ct_check(t, c->closed && t->run->o->command && i < 20,
			 c->closed ? "the connection was closed before VERSION was answered"
				   : "VERSION was not answered within %u ms",
			 t->run->o->timeout_ms);
		ct_close(c);
		ct_process_ended(t->run, 50);
	}
	c->queue[c->queued++] = r; /* once more, for its header to be checked */
	ct_success(c, m, -1);
	return c;
}

/* ---- sending ---- */

static bool take_in(struct ct_conn *c);

bool ct_try_send(struct ct_conn *c, struct ct_msg *m, size_t from, size_t len, bool with_fds)
{
	double until = ct_now() + c->t->run->o->timeout_ms / 1000.;
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int) * CT_FDS)];
	} control;
	size_t done = 0;

	ct_log(c, true, m->data + from, len, from || len != m->size ? len : m->size,
	       with_fds ? m->nfds : 0,
	       from	       ? "the rest"
	       : len < m->size ? "a part"
			       : NULL);
	while (done < len) {
		struct iovec iov = { m->data + from + done, len - done };
		struct msghdr h = { .msg_iov = &iov, .msg_iovlen = 1 };
		struct pollfd p = { .fd = c->fd, .events = POLLIN | POLLOUT };
		ssize_t n;

		if (with_fds && m->nfds && !done) {
			h.msg_control = &control;
			h.msg_controllen = CMSG_SPACE(sizeof(int) * m->nfds);
			memset(&control, 0, sizeof(control));
			CMSG_FIRSTHDR(&h)->cmsg_level = SOL_SOCKET;
			CMSG_FIRSTHDR(&h)->cmsg_type = SCM_RIGHTS;
			CMSG_FIRSTHDR(&h)->cmsg_len = CMSG_LEN(sizeof(int) * m->nfds);
			memcpy(CMSG_DATA(CMSG_FIRSTHDR(&h)), m->fds, sizeof(int) * m->nfds);
		}
		n = sendmsg(c->fd, &h, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n > 0) {
			done += (size_t)n;
			continue;
		}
		if (n < 0 && errno != EAGAIN && errno != EINTR) {
			ct_log(c, true, NULL, 0, done, 0, strerror(errno));
			return false;
		}
		if (c->queued < ARRAY_SIZE(c->queue) && !c->closed)
			while (c->queued < ARRAY_SIZE(c->queue) && take_in(c))
				;
		if (c->queued == ARRAY_SIZE(c->queue) || c->closed)
			p.events = POLLOUT;
		ct_check(c->t, ct_now() < until,
			 "of %zu bytes %zu were taken within %u ms, and no more", len, done,
			 c->t->run->o->timeout_ms);
		poll(&p, 1, 100);
	}
	return true;
}

void ct_send_part(struct ct_conn *c, struct ct_msg *m, size_t from, size_t len, bool fds)
{
	if (!ct_try_send(c, m, from, len, fds))
		ct_fail(c->t, "the connection was closed (%s) while a message was sent",
			strerror(errno));
}

void ct_send(struct ct_conn *c, struct ct_msg *m)
{
	ct_send_part(c, m, 0, m->size, true);
}

/* ---- receiving ---- */

static void take_fds(struct ct_conn *c, struct ct_msg *m, struct msghdr *h)
{
	for (struct cmsghdr *x = CMSG_FIRSTHDR(h); x; x = CMSG_NXTHDR(h, x)) {
		size_t n = (x->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (x->cmsg_level != SOL_SOCKET || x->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(x) + i * sizeof(int), sizeof(fd));
			ct_hold(c->t, fd);
			if (m->nfds < CT_FDS)
				m->fds[m->nfds++] = fd;
		}
	}
}

/* Read some of the next message, if there is something to read; true: it did. */
static bool take_in(struct ct_conn *c)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int) * CT_FDS)];
	} control;
	struct ct_msg *m = c->part;
	struct msghdr h = { .msg_iovlen = 1, .msg_control = &control };
	struct iovec iov;
	size_t want = HEADER;
	ssize_t n;

	if (!m) {
		m = c->part = ct_alloc(c->t, sizeof(*m));
		m->t = c->t;
		m->room = HEADER;
		m->data = ct_alloc(c->t, m->room);
	}
	if (m->size >= HEADER)
		want = get32(m->data + H_SIZE);
	iov = (struct iovec){ m->data + m->size, want - m->size };
	h.msg_iov = &iov;
	h.msg_controllen = sizeof(control);
	n = recvmsg(c->fd, &h, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		c->closed = true;
		if (m->size)
			ct_log(c, false, m->data, m->size, m->size, m->nfds, "a part, and the end");
		else
			ct_log(c, false, NULL, 0, 0, 0, n ? strerror(errno) : "end of file");
		return false;
	}
	take_fds(c, m, &h);
	m->size += (size_t)n;
	if (m->size == HEADER) {
		want = get32(m->data + H_SIZE);
		if (want < HEADER || want > MAX_MESSAGE) {
			ct_log(c, false, m->data, m->size, m->size, m->nfds, "its size is wrong");
			ct_fail(c->t, "a message came whose header says a size of %zu bytes", want);
		}
		if (want > m->room) {
			uint8_t *data = ct_alloc(c->t, want);

			memcpy(data, m->data, HEADER);
			m->data = data;
			m->room = want;
		}
	}
	if (m->size >= HEADER && m->size == get32(m->data + H_SIZE)) {
		ct_log(c, false, m->data, m->size, m->size, m->nfds, NULL);
		c->queue[c->queued++] = m;
		c->part = NULL;
	}
	return true;
}

enum ct_came ct_take(struct ct_conn *c, struct ct_msg **m, unsigned ms)
{
	double until = ct_now() + ms / 1000.;

	for (;;) {
		struct pollfd p = { .fd = c->fd, .events = POLLIN };
		double left = until - ct_now();

		if (c->queued) {
			*m = c->queue[0];
			memmove(c->queue, c->queue + 1, --c->queued * sizeof(c->queue[0]));
			return CT_MSG;
		}
		if (c->closed)
			return CT_EOF;
		if (take_in(c) || c->closed)
			continue;
		if (left <= 0)
			return CT_NOTHING;
		poll(&p, 1, (int)(left * 1000) + 1);
	}
}

struct ct_msg *ct_reply(struct ct_conn *c, const struct ct_msg *m)
{
	const char *name = ct_cmd_name(ct_cmd(m));
	struct ct *t = c->t;
	struct ct_msg *r;

	for (;;) {
		switch (ct_take(c, &r, t->run->o->timeout_ms)) {
		case CT_MSG:
			break;
		case CT_EOF:
			ct_fail(t, "the connection was closed, and %s was not answered", name);
		case CT_NOTHING:
			ct_fail(t, "%s was not answered within %u ms", name, t->run->o->timeout_ms);
		}
		if ((ct_flags(r) & F_TYPE) != F_COMMAND)
			break;
		ct_check(t, c->on_command, "instead of a reply to %s came a command", name);
		c->on_command(c, r, c->arg);
	}
	ct_check(t, (ct_flags(r) & F_TYPE) == F_REPLY,
		 "the reply to %s is of type %u: 1 is a reply", name, ct_flags(r) & F_TYPE);
	ct_check(t, get16(r->data + H_ID) == get16(m->data + H_ID),
		 "the reply to %s has message id 0x%x: the command's is 0x%x", name,
		 get16(r->data + H_ID), get16(m->data + H_ID));
	ct_check(t, ct_cmd(r) == ct_cmd(m), "the reply to %s is one to command %u", name,
		 ct_cmd(r));
	ct_check(t, !(ct_flags(r) & ~(F_TYPE | F_ERROR)),
		 "the reply to %s has flags 0x%x: a reply has bits 0 and 5 alone", name,
		 ct_flags(r));
	if (ct_flags(r) & F_ERROR)
		ct_check(t, r->size == HEADER,
			 "the error reply to %s has %zu bytes: it has a header alone", name,
			 r->size);
	return r;
}

struct ct_msg *ct_success(struct ct_conn *c, const struct ct_msg *m, ssize_t size)
{
	const char *name = ct_cmd_name(ct_cmd(m));
	struct ct_msg *r = ct_reply(c, m);

	ct_check(c->t, !(ct_flags(r) & F_ERROR), "%s was refused with error %u (%s)", name,
		 ct_error(r), strerror((int)ct_error(r)));
	ct_check(c->t, size < 0 || r->size == HEADER + (size_t)size,
		 "the reply to %s has %zu bytes behind the header, not %zd", name, r->size - HEADER,
		 size);
	return r;
}

struct ct_msg *ct_call(struct ct_conn *c, struct ct_msg *m, ssize_t size)
{
	ct_send(c, m);
	return ct_success(c, m, size);
}

uint32_t ct_refused(struct ct_conn *c, struct ct_msg *m, const char *fmt, ...)
{
	char what[160];
	struct ct_msg *r;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	ct_send(c, m);
	r = ct_reply(c, m);
	ct_check(c->t, ct_flags(r) & F_ERROR, "%s: it was not refused, the reply says success",
		 what);
	return ct_error(r);
}

bool ct_broken(struct ct_conn *c, struct ct_msg *m, const char *fmt, ...)
{
	char what[160];
	struct ct_msg *r;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	if (!ct_try_send(c, m, 0, m->size, true))
		return false;
	switch (ct_take(c, &r, c->t->run->o->timeout_ms)) {
	case CT_EOF:
		return false;
	case CT_NOTHING:
		ct_fail(c->t,
			"%s: neither an error reply nor the end of the connection came within "
			"%u ms",
			what, c->t->run->o->timeout_ms);
	case CT_MSG:
		break;
	}
	ct_check(c->t, (ct_flags(r) & F_TYPE) == F_REPLY && ct_flags(r) & F_ERROR,
		 "%s: it was not refused", what);
	return true;
}

void ct_still_there(struct ct_conn *c)
{
	struct ct_msg *m = ct_get_info(c);

	ct_call(c, m, INFO_SIZE);
}

void ct_short_bodies(struct ct *t, uint16_t cmd, unsigned full)
{
	struct ct_conn *c = ct_session(t);

	for (unsigned n = 0; n < full; n++) {
		struct ct_msg *m = ct_command(c, cmd);

		ct_add_zeros(m, n);
		if (n >= 4)
			put32(m->data + HEADER, full); /* argsz, where there is one */
		ct_refused(c, m, "%s with a body of %u bytes", ct_cmd_name(cmd), n);
	}
	ct_still_there(c);
}

static void check_access(struct ct_msg *r, struct ct_msg *m)
{
	ct_check(r->t, !memcmp(r->data + HEADER, m->data + HEADER, REGION_RW_SIZE),
		 "the reply is of another access: offset, region and count are the command's");
}

void ct_read(struct ct_conn *c, uint32_t region, uint64_t off, void *data, uint32_t count)
{
	struct ct_msg *m = ct_region_read(c, region, off, count), *r;

	r = ct_call(c, m, REGION_RW_SIZE + count);
	check_access(r, m);
	memcpy(data, r->data + HEADER + REGION_RW_SIZE, count);
}

void ct_write(struct ct_conn *c, uint32_t region, uint64_t off, const void *data, uint32_t count)
{
	struct ct_msg *m = ct_region_write(c, region, off, data, count);

	check_access(ct_call(c, m, REGION_RW_SIZE), m);
}

uint32_t ct_read32(struct ct_conn *c, uint32_t region, uint64_t off)
{
	uint32_t v;

	ct_read(c, region, off, &v, sizeof(v));
	return v;
}
