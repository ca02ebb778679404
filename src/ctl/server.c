/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ctl/server.c: the sockets of a run, its clients and its agents. What peers send is taken as
 * hostile: a line that is too long, or is no request, is answered with an error; a client that does
 * not read is cut off; half a line is nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/report.h"
#include "base/run_socket.h"
#include "base/thread.h"
#include "ctl/internal.h"

/* ---- clients ---- */

static void drop_client(struct client *c)
{
	if (c->request)
		request_abandon(c->request);
	close(c->fd);
	free(c->out);
	memset(c, 0, sizeof(*c));
	c->fd = -1;
}

/* Write what waits; false: the client is gone. */
static bool flush(struct client *c)
{
	ssize_t n;

	while (c->out_len) {
		n = send(c->fd, c->out, c->out_len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		memmove(c->out, c->out + n, c->out_len - (size_t)n);
		c->out_len -= (size_t)n;
	}
	return true;
}

/* Nothing is dropped here: who calls may be in the middle of something with the client. */
void server_say(struct client *c, const char *line, size_t len)
{
	char *more;

	if (!c)
		return;
	more = c->out_len + len < OUT_MAX ? realloc(c->out, c->out_len + len + 1) : NULL;
	if (!more) {
		c->closing = true;
		return;
	}
	c->out = more;
	memcpy(c->out + c->out_len, line, len);
	c->out[c->out_len + len] = '\n';
	c->out_len += len + 1;
}

/* Serve the lines that are there, one after the other. */
static void serve_lines(struct ctl_server *s, struct client *c)
{
	static const char too_long[] = "{\"ok\":false,\"error\":\"EMSGSIZE\",\"message\":"
				       "\"the request is too long\"}";
	char line[CTL_LINE_MAX + 1], *end;
	size_t len;

	while (!c->request && !c->closing) {
		end = memchr(c->in, '\n', c->in_len);
		if (!end && c->in_len <= CTL_LINE_MAX)
			return;
		if (!end) {
			server_say(c, too_long, sizeof(too_long) - 1);
			c->closing = true;
			return;
		}
		len = (size_t)(end - c->in);
		memcpy(line, c->in, len);
		c->in_len -= len + 1;
		memmove(c->in, end + 1, c->in_len);
		request_begin(s, c, line, len);
	}
}

/* Read from a client; false: it is gone. */
static bool read_client(struct client *c)
{
	ssize_t n;

	if (c->in_len == sizeof(c->in) || c->eof)
		return true;
	n = recv(c->fd, c->in + c->in_len, sizeof(c->in) - c->in_len, MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	c->in_len += (size_t)n;
	c->eof = !n;
	return true;
}

static void accept_client(struct ctl_server *s)
{
	static const char too_many[] = "{\"ok\":false,\"error\":\"EBUSY\",\"message\":"
				       "\"too many clients\"}\n";
	int fd = accept4(s->clients_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	for (unsigned i = 0; i < CLIENTS_MAX; i++) {
		if (s->clients[i].fd >= 0)
			continue;
		s->clients[i].fd = fd;
		return;
	}
	if (send(fd, too_many, sizeof(too_many) - 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		report_debug("ctl-client", "ctl", -errno, "a client too many: %m");
	close(fd);
}

/* ---- agents ---- */

static void answered(struct question *q)
{
	if (--q->waiting)
		return;
	cds_list_del(&q->node);
	q->done(q);
}

/* Nobody waits for an answer of agent @i any more. */
static void excuse(struct ctl_server *s, unsigned i)
{
	struct question *q, *next;

	cds_list_for_each_entry_safe(q, next, &s->questions, node) {
		if (!q->asked[i])
			continue;
		q->asked[i] = false;
		answered(q);
	}
}

static void drop_agent(struct ctl_server *s, unsigned i)
{
	close(s->agents[i].fd);
	s->agents[i].fd = -1;
	s->released = true; /* what it had */
	excuse(s, i);
}

static void accept_agent(struct ctl_server *s)
{
	int fd = accept4(s->agents_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct ucred cred = { 0 };
	socklen_t len = sizeof(cred);

	if (fd < 0)
		return;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len))
		cred.pid = 0;
	for (unsigned i = 0; i < AGENTS_MAX; i++) {
		if (s->agents[i].fd >= 0)
			continue;
		s->agents[i] = (struct agent){ fd, cred.pid, ++s->next_agent, false };
		return;
	}
	report_warn("ctl-agent", "ctl", 0, "process %d: too many processes to ask", cred.pid);
	close(fd);
}

static void read_agent(struct ctl_server *s, unsigned i)
{
	struct question *q, *next;
	struct ctl_text text;
	struct ctl_packet p;
	ssize_t n;

	n = recv(s->agents[i].fd, &text, sizeof(text), MSG_DONTWAIT | MSG_TRUNC);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	p = text.packet;
	if (n < (ssize_t)sizeof(p) ||
	    n != (ssize_t)(sizeof(p) + (p.op == CTL_TEXT ? (size_t)p.a : 0))) {
		drop_agent(s, i);
		return;
	}
	p.addr[sizeof(p.addr) - 1] = '\0';
	if (p.op == CTL_RELAY) {
		s->agents[i].asks = true;
		excuse(s, i);
		relay_begin(s, i, &p);
		return;
	}
	s->released |= p.op == CTL_RELEASED;
	cds_list_for_each_entry_safe(q, next, &s->questions, node) {
		if (q->seq != p.seq || !q->asked[i])
			continue;
		if (q->hear)
			q->hear(q, &s->agents[i], p.op == CTL_TEXT ? &text.packet : &p);
		if (p.op != CTL_DONE)
			return;
		q->asked[i] = false;
		answered(q);
		return;
	}
}

void server_ask(struct ctl_server *s, struct question *q, struct ctl_packet *p)
{
	p->seq = q->seq = ++s->next_seq;
	q->deadline = now_ns() + ANSWER_NS;
	q->waiting = 1; /* ourselves */
	memset(q->asked, 0, sizeof(q->asked));
	memset(q->failed, 0, sizeof(q->failed));
	cds_list_add_tail(&q->node, &s->questions);
	for (unsigned i = 0; i < AGENTS_MAX; i++) {
		if (s->agents[i].fd < 0 || s->agents[i].asks)
			continue;
		if (send(s->agents[i].fd, p, sizeof(*p), MSG_NOSIGNAL | MSG_DONTWAIT) ==
		    sizeof(*p)) {
			q->asked[i] = true;
			q->waiting++;
		} else {
			q->failed[i] = true;
		}
	}
	answered(q);
}

/* Give up on who did not answer in time. Return when the next one is due. */
static uint64_t expire(struct ctl_server *s)
{
	uint64_t now = now_ns(), due = UINT64_MAX;
	struct question *q, *next;

	cds_list_for_each_entry_safe(q, next, &s->questions, node) {
		if (q->deadline > now) {
			due = q->deadline < due ? q->deadline : due;
			continue;
		}
		for (unsigned i = 0; i < AGENTS_MAX; i++)
			q->failed[i] |= q->asked[i];
		q->waiting = 1;
		answered(q);
	}
	return due;
}

/* ---- what the host's kernel tells of its devices ---- */

/* Open a socket for it; -1: there are no such events here. */
static int open_host(void)
{
	struct sockaddr_nl a = { .nl_family = AF_NETLINK, .nl_groups = 1 };
	int fd =
		socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);

	if (fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof(a))) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* Pass one on to those who listen in this run instead. */
static void read_host(struct ctl_server *s)
{
	struct sockaddr_nl from = { 0 };
	socklen_t len = sizeof(from);
	char text[8192];
	ssize_t n;

	n = recvfrom(s->host_fd, text, sizeof(text), MSG_DONTWAIT, (struct sockaddr *)&from, &len);
	if (n > 0 && !from.nl_pid)
		run_uevent_send(s->run_dir, text, (size_t)n);
}

/* ---- the thread ---- */

static unsigned watch(struct pollfd *p, unsigned n, int fd, short events)
{
	p[n] = (struct pollfd){ .fd = fd, .events = events };
	return n + 1;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static int until(uint64_t due)
{
	uint64_t now = now_ns();

	if (due == UINT64_MAX)
		return -1;
	return due <= now ? 0 : (int)((due - now) / 1000000u) + 1;
}

static void serve_client(struct client *c, short events)
{
	if (events & (POLLHUP | POLLERR) || (events & POLLIN && !read_client(c)))
		drop_client(c);
}

/* Serve requests that were read, write answers, and close connections that are through. */
static void tend_clients(struct ctl_server *s)
{
	for (unsigned i = 0; i < CLIENTS_MAX; i++) {
		struct client *c = &s->clients[i];
		bool over;

		if (c->fd < 0)
			continue;
		serve_lines(s, c);
		over = c->closing || (c->eof && !c->request);
		if (!flush(c) || (over && !c->out_len))
			drop_client(c);
	}
}

static void *serve(void *arg)
{
	struct pollfd p[4 + AGENTS_MAX + CLIENTS_MAX];
	struct ctl_server *s = arg;
	unsigned n;

	for (;;) {
		uint64_t due;

		tend_clients(s);
		expire(s);
		due = removal_tick(s, s->released);
		s->released = false;
		due = earlier(due, local_tick(s));
		due = earlier(due, expire(s));
		n = watch(p, 0, s->stop_fd, POLLIN);
		n = watch(p, n, s->clients_fd, POLLIN);
		n = watch(p, n, s->agents_fd, POLLIN);
		for (unsigned i = 0; i < AGENTS_MAX; i++)
			n = watch(p, n, s->agents[i].fd, POLLIN);
		for (unsigned i = 0; i < CLIENTS_MAX; i++) {
			const struct client *c = &s->clients[i];

			n = watch(p, n, c->fd,
				  (short)((c->in_len < sizeof(c->in) && !c->eof ? POLLIN : 0) |
					  (c->out_len ? POLLOUT : 0)));
		}
		n = watch(p, n, s->host_fd, POLLIN);
		if (poll(p, n, until(due)) < 0 && errno != EINTR) {
			report_err("ctl-server", "ctl", -errno, "poll: %m: it ends");
			return NULL;
		}
		if (p[0].revents)
			return NULL;
		for (unsigned i = 0; i < AGENTS_MAX; i++)
			if (p[3 + i].revents && p[3 + i].fd == s->agents[i].fd)
				read_agent(s, i);
		for (unsigned i = 0; i < CLIENTS_MAX; i++)
			if (s->clients[i].fd >= 0 && p[3 + AGENTS_MAX + i].fd >= 0)
				serve_client(&s->clients[i], p[3 + AGENTS_MAX + i].revents);
		if (p[n - 1].revents)
			read_host(s);
		if (p[2].revents)
			accept_agent(s);
		if (p[1].revents)
			accept_client(s);
	}
}

/* ---- life ---- */

int ctl_server_new(const char *run_dir, const char *program, struct ctl_server **out)
{
	struct ctl_server *s = calloc(1, sizeof(*s));
	int rc = 0;

	if (!s)
		return -ENOMEM;
	CDS_INIT_LIST_HEAD(&s->questions);
	CDS_INIT_LIST_HEAD(&s->requests);
	CDS_INIT_LIST_HEAD(&s->removals);
	for (unsigned i = 0; i < AGENTS_MAX; i++)
		s->agents[i].fd = -1;
	for (unsigned i = 0; i < CLIENTS_MAX; i++)
		s->clients[i].fd = -1;
	snprintf(s->run_dir, sizeof(s->run_dir), "%s", run_dir);
	snprintf(s->program, sizeof(s->program), "%s", program);
	s->clients_fd = s->agents_fd = -1;
	atomic_init(&s->release_fd, -1);
	s->host_fd = open_host();
	s->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->stop_fd < 0)
		rc = -errno;
	if (!rc)
		rc = s->agents_fd =
			run_socket_listen(run_dir, CTL_AGENTS, SOCK_SEQPACKET | SOCK_NONBLOCK);
	if (rc >= 0)
		rc = s->clients_fd =
			run_socket_listen(run_dir, CTL_SOCKET, SOCK_STREAM | SOCK_NONBLOCK);
	if (rc < 0) {
		ctl_server_free(s);
		return rc;
	}
	*out = s;
	return 0;
}

void ctl_server_set_local(struct ctl_server *s, const struct ctl_local *l, void *arg)
{
	s->local = l;
	s->local_arg = arg;
}

int ctl_server_start(struct ctl_server *s)
{
	uint64_t n;
	int rc;

	sys_read(s->stop_fd, &n, sizeof(n));
	rc = thread_start(&s->thread, serve, s, "uvfio-ctl");
	s->started = !rc;
	return rc;
}

void ctl_server_set_release(struct ctl_server *s, int fd)
{
	if (s)
		atomic_store(&s->release_fd, fd);
}

void ctl_server_stop(struct ctl_server *s)
{
	uint64_t one = 1;

	if (!s || !s->started)
		return;
	sys_write(s->stop_fd, &one, sizeof(one));
	pthread_join(s->thread, NULL);
	s->started = false;
}

unsigned ctl_server_fds(const struct ctl_server *s, int *fds, unsigned max)
{
	unsigned n = 0;

	for (unsigned i = 0; n < max && i < 4 + AGENTS_MAX + CLIENTS_MAX; i++) {
		int own = i == 0	       ? s->stop_fd
			  : i == 1	       ? s->clients_fd
			  : i == 2	       ? s->agents_fd
			  : i == 3	       ? s->host_fd
			  : i < 4 + AGENTS_MAX ? s->agents[i - 4].fd
					       : s->clients[i - 4 - AGENTS_MAX].fd;
		unsigned at = n;

		if (own < 0)
			continue;
		for (; at && fds[at - 1] > own; at--)
			fds[at] = fds[at - 1];
		fds[at] = own;
		n++;
	}
	return n;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

void ctl_server_free(struct ctl_server *s)
{
	struct question *q, *next;

	if (!s)
		return;
	ctl_server_stop(s);
	s->over = true;
	for (unsigned i = 0; i < CLIENTS_MAX; i++)
		if (s->clients[i].fd >= 0)
			drop_client(&s->clients[i]);
	for (unsigned i = 0; i < AGENTS_MAX; i++)
		if (s->agents[i].fd >= 0)
			drop_agent(s, i);
	cds_list_for_each_entry_safe(q, next, &s->questions, node) {
		q->waiting = 1;
		answered(q);
	}
	removal_free_all(s);
	close_fd(s->clients_fd);
	close_fd(s->agents_fd);
	close_fd(s->stop_fd);
	close_fd(s->host_fd);
	free(s);
}
