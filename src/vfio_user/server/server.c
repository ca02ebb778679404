/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_user/server/server.c: a device's server: a thread that accepts connections, starts a thread
 * for each, and collects those that have ended; and who of them has the device.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/guard.h"
#include "base/sys.h"
#include "base/thread.h"
#include "vfio_user/server/internal.h"

/* Who has the device, and who will be told that it is not free; more wait in the backlog. */
#define MAX_CLIENTS 16u

static void wake(struct vu_server *s)
{
	uint64_t one = 1;

	sys_write(s->wake_fd, &one, sizeof(one));
}

/* ---- who has the device ---- */

/* True if the client is about to give the device back: its peer hung up. */
static bool is_leaving(struct vu_server_client *c)
{
	struct pollfd p = { .fd = vu_conn_fd(c->conn), .events = POLLRDHUP };

	return vu_conn_error(c->conn) || poll(&p, 1, 0) > 0;
}

int vu_server_take(struct vu_server_client *c)
{
	struct vu_server *s = c->s;
	int ret = 0;

	pthread_mutex_lock(&s->lock);
	while (s->holder && !s->stopping && !ret) {
		if (is_leaving(s->holder))
			pthread_cond_wait(&s->freed, &s->lock);
		else
			ret = -EBUSY;
	}
	if (s->stopping)
		ret = -ESHUTDOWN;
	if (!ret)
		s->holder = c;
	pthread_mutex_unlock(&s->lock);
	return ret;
}

void vu_server_give_back(struct vu_server_client *c)
{
	struct vu_server *s = c->s;

	pthread_mutex_lock(&s->lock);
	s->holder = NULL;
	pthread_cond_broadcast(&s->freed);
	pthread_mutex_unlock(&s->lock);
}

/* ---- the thread ---- */

void vu_server_done(struct vu_server_client *c)
{
	struct vu_server *s = c->s;

	pthread_mutex_lock(&s->lock);
	c->done = true;
	wake(s);
	pthread_mutex_unlock(&s->lock);
}

/* Take a client out of the list whose thread has ended, or NULL. */
static struct vu_server_client *next_done(struct vu_server *s)
{
	struct vu_server_client *c, *found = NULL;

	pthread_mutex_lock(&s->lock);
	cds_list_for_each_entry(c, &s->clients, node) {
		if (c->done) {
			found = c;
			cds_list_del(&c->node);
			s->num_clients--;
			break;
		}
	}
	pthread_mutex_unlock(&s->lock);
	return found;
}

static void collect(struct vu_server *s)
{
	struct vu_server_client *c;

	while ((c = next_done(s))) {
		pthread_join(c->thread, NULL);
		vu_server_client_free(c);
	}
}

static void accept_one(struct vu_server *s)
{
	long fd = fd_of_ours(SYS_accept4, s->fd, 0, 0, SOCK_CLOEXEC);
	int ret;

	if (fd == -EAGAIN || fd == -EINTR || fd == -ECONNABORTED)
		return;
	ret = fd < 0 ? (int)fd : vu_server_client_start(s, (int)fd);
	if (ret) {
		report_err(REPORT_LIMITED("serve-accept"), s->name, ret,
			   "a client cannot be served: %m");
		/* what is missing may be there later; the client waits, or has been hung up on */
		if (fd < 0)
			poll(NULL, 0, 100);
	}
}

/* Hang up on all clients. Return how many there are. */
static unsigned throw_out(struct vu_server *s)
{
	struct vu_server_client *c;
	unsigned n;

	pthread_mutex_lock(&s->lock);
	cds_list_for_each_entry(c, &s->clients, node)
		vu_conn_kill(c->conn, -ESHUTDOWN);
	n = s->num_clients;
	pthread_mutex_unlock(&s->lock);
	return n;
}

static void *serve(void *arg)
{
	struct vu_server *s = arg;
	bool stopping = false;
	uint64_t events;
	unsigned n = 0;

	do {
		struct pollfd p[] = { { .fd = s->wake_fd, .events = POLLIN },
				      { .fd = s->fd, .events = POLLIN } };

		poll(p, stopping || n >= MAX_CLIENTS ? 1 : 2, -1);
		if (p[0].revents & POLLIN)
			sys_read(s->wake_fd, &events, sizeof(events));
		collect(s);
		if (!stopping && p[1].revents)
			accept_one(s);
		pthread_mutex_lock(&s->lock);
		stopping = s->stopping;
		n = s->num_clients;
		pthread_mutex_unlock(&s->lock);
		if (stopping)
			n = throw_out(s);
	} while (!stopping || n);
	pthread_mutex_lock(&s->lock);
	s->ended = true;
	pthread_cond_broadcast(&s->freed);
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* ---- life ---- */

int vu_limit_reached(const struct vu_server_client *c, const char *name, uint64_t most)
{
	return report_warn(REPORT_LIMITED("serve-limit"), c->name, -ENOSPC,
			   "the client has all that it may have: --limit %s=%" PRIu64, name, most);
}

bool vu_socket_listens(int fd)
{
	int is = 0, domain = 0, type = 0;
	socklen_t len = sizeof(int);

	return !getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &is, &len) && is &&
	       !getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) && domain == AF_UNIX &&
	       !getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) && type == SOCK_STREAM;
}

static int make_wake_fd(struct vu_server *s)
{
	int fd = (int)fd_of_ours(SYS_eventfd2, 0, EFD_CLOEXEC | EFD_NONBLOCK, 0, 0);

	if (fd < 0)
		return fd;
	s->wake_fd = fd_make_private(fd);
	if (s->wake_fd >= 0)
		return 0;
	sys_close(fd);
	return s->wake_fd;
}

int vu_server_new(const struct vu_server_config *cfg, int fd, struct vu_server **out)
{
	int ret = fd_is_private(fd) ? fd : fd_make_private(fd);
	pthread_condattr_t attr;
	struct vu_server *s;

	if (ret < 0) {
		sys_close(fd);
		return ret;
	}
	fd = ret;
	ret = -ENOMEM;
	s = calloc(1, sizeof(*s));
	if (!s)
		goto close;
	s->cfg = *cfg;
	vu_limits_default(&s->cfg.limits);
	s->fd = fd;
	s->name = strdup(cfg->name);
	if (!s->name)
		goto free;
	ret = vu_socket_listens(fd) ? 0 : -EINVAL;
	if (ret)
		goto free;
	/* who has connected may be gone when it is accepted */
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	/* clients' memory may be gone at any time */
	ret = guard_install();
	if (ret)
		goto free;
	ret = make_wake_fd(s);
	if (ret)
		goto free;
	vu_lasting_init(s);
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&s->freed, &attr);
	pthread_condattr_destroy(&attr);
	CDS_INIT_LIST_HEAD(&s->clients);
	ret = thread_start(&s->thread, serve, s, "uvfio-accept");
	if (ret)
		goto destroy;
	*out = s;
	return 0;
destroy:
	vu_lasting_fini(s);
	pthread_cond_destroy(&s->freed);
	pthread_mutex_destroy(&s->lock);
	fd_close_private(s->wake_fd);
free:
	free(s->name);
	free(s);
close:
	fd_close_private(fd);
	return ret;
}

void vu_server_stop(struct vu_server *s)
{
	pthread_mutex_lock(&s->lock);
	s->stopping = true;
	pthread_cond_broadcast(&s->freed);
	pthread_mutex_unlock(&s->lock);
	wake(s);
}

/* Say, once, by which client the end is held up. */
static void blame(struct vu_server *s)
{
	const struct vu_server_client *c = NULL;
	char name[64];
	bool again;

	pthread_mutex_lock(&s->lock);
	again = s->blamed;
	s->blamed = true;
	if (s->holder)
		c = s->holder;
	else if (!cds_list_empty(&s->clients))
		c = cds_list_first_entry(&s->clients, struct vu_server_client, node);
	snprintf(name, sizeof(name), "%s", c ? c->name : s->name);
	pthread_mutex_unlock(&s->lock);
	if (!again)
		report_warn("serve-stuck", name, -ETIMEDOUT,
			    "was hung up on, and is still inside the device: its end is waited "
			    "for");
}

static bool wait_until(struct vu_server *s, uint64_t ns)
{
	const struct timespec until = { .tv_sec = (time_t)(ns / 1000000000),
					.tv_nsec = (long)(ns % 1000000000) };
	bool ended;
	int rc = 0;

	pthread_mutex_lock(&s->lock);
	while (!s->ended && !rc)
		rc = pthread_cond_timedwait(&s->freed, &s->lock, &until);
	ended = s->ended;
	pthread_mutex_unlock(&s->lock);
	return ended;
}

bool vu_server_wait(struct vu_server *s, uint64_t until_ns)
{
	uint64_t patience = now_ns() + VU_SERVER_PATIENCE;

	if (wait_until(s, until_ns < patience ? until_ns : patience))
		return true;
	blame(s);
	return until_ns > patience && wait_until(s, until_ns);
}

void vu_server_free(struct vu_server *s)
{
	if (!s)
		return;
	vu_server_stop(s);
	vu_server_wait(s, UINT64_MAX);
	pthread_join(s->thread, NULL);
	vu_lasting_fini(s);
	fd_close_private(s->wake_fd);
	fd_close_private(s->fd);
	pthread_cond_destroy(&s->freed);
	pthread_mutex_destroy(&s->lock);
	free(s->name);
	free(s);
}
