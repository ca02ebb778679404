/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ctl/agent.c: answers in a process of the program for its machine. On a thread of its own: what it
 * asks of the machine may wait for the devices' thread, and for calls of the program.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "base/heap.h"
#include "base/loop.h"
#include "base/report.h"
#include "base/sys.h"
#include "ctl/ctl.h"
#include "ctl/packet.h"

struct ctl_agent {
	struct machine *m;
	bool (*quiet)(bool on);
	struct loop *loop;
	int fd, release_fd;
	struct loop_watch *watch, *release_watch;
	uint32_t seq; /* of the question that is being answered */
};

/* Make a descriptor private, or close it. */
static int private(long fd)
{
	int rc;

	if (fd < 0)
		return (int)fd;
	rc = fd_make_private((int)fd);
	if (rc < 0)
		sys_close((int)fd);
	return rc;
}

/* The directory by a descriptor: a path has no more than 107 bytes in an address. */
static int connect_to(const char *run_dir, int fd)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	char name[SYS_FD_NAME];
	int dir, rc;

	dir = sys_open(run_dir, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
	if (dir < 0)
		return dir;
	snprintf(a.sun_path, sizeof(a.sun_path), "%s/" CTL_AGENTS, sys_fd_name(name, dir));
	rc = (int)sys_call(SYS_connect, fd, (long)&a, sizeof(a), 0, 0, 0);
	sys_close(dir);
	return rc;
}

struct ctl_agent *ctl_agent_new(const char *run_dir)
{
	struct ctl_agent *a = heap_alloc(sizeof(*a));
	int rc = -ENOMEM;

	if (!a)
		return NULL;
	a->fd = a->release_fd = -1;
	a->loop = loop_new();
	if (!a->loop)
		goto fail;
	rc = a->fd = private(fd_of_ours(SYS_socket, AF_UNIX,
					SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, 0));
	if (rc < 0)
		goto fail;
	rc = a->release_fd = private(fd_of_ours(SYS_eventfd2, 0, EFD_CLOEXEC | EFD_NONBLOCK, 0, 0));
	if (rc < 0)
		goto fail;
	rc = connect_to(run_dir, a->fd);
	if (!rc)
		return a;
fail:
	/* a program that gave up its user, or its /proc; or a run without a server */
	if (rc != -ENOENT)
		report_info("ctl-agent", "ctl", rc, "`uvfio ctl` does not reach this process: %m");
	ctl_agent_free(a);
	return NULL;
}

static void send_packet(struct ctl_agent *a, const struct ctl_packet *p)
{
	sys_call(SYS_sendto, a->fd, (long)p, sizeof(*p), MSG_DONTWAIT | MSG_NOSIGNAL, 0, 0);
}

static void tell_use(void *arg, const struct machine_use *u)
{
	struct ctl_agent *a = arg;
	struct ctl_packet p = {
		.op = CTL_USE,
		.seq = a->seq,
		.a = u->by_group,
		.b = u->by_itself,
		.c = u->power,
		.d = (u->lost ? CTL_USE_LOST : 0) | (u->has_master ? CTL_USE_MASTER : 0) |
		     (u->correctable ? CTL_USE_CORRECTABLE : 0) |
		     (u->uncorrectable ? CTL_USE_UNCORRECTABLE : 0),
	};

	snprintf(p.addr, sizeof(p.addr), "%s", u->addr);
	send_packet(a, &p);
}

static void answer(struct ctl_agent *a, struct ctl_packet *q)
{
	struct ctl_packet p = { .op = CTL_DONE, .seq = q->seq };
	bool was = a->quiet && a->quiet(true);

	q->addr[sizeof(q->addr) - 1] = '\0';
	a->seq = q->seq;
	switch (q->op) {
	case CTL_ASK_USES:
		machine_each_use(a->m, tell_use, a);
		break;
	case CTL_ASK_SYNC:
		p.value = machine_sync(a->m);
		break;
	case CTL_ASK_LEAVE:
		p.value = (int)machine_leave(a->m, q->addr, q->a, q->b);
		break;
	case CTL_ASK_ERROR:
		p.value = q->a <= MACHINE_FATAL ? machine_error(a->m, q->addr, q->a) : -EINVAL;
		break;
	default:
		p.value = -EOPNOTSUPP;
	}
	if (a->quiet)
		a->quiet(was);
	send_packet(a, &p);
}

static void on_packet(void *arg)
{
	struct ctl_agent *a = arg;
	struct ctl_packet q;
	long n;

	n = sys_call(SYS_recvfrom, a->fd, (long)&q, sizeof(q), MSG_DONTWAIT | MSG_TRUNC, 0, 0);
	if (n == sizeof(q)) {
		answer(a, &q);
	} else if (n != -EAGAIN && n != -EINTR) {
		/* the run's end */
		loop_unwatch(a->watch);
		a->watch = NULL;
	}
}

static void on_release(void *arg)
{
	struct ctl_packet p = { .op = CTL_RELEASED };
	struct ctl_agent *a = arg;
	uint64_t n;

	sys_read(a->release_fd, &n, sizeof(n));
	send_packet(a, &p);
}

static void released(void *arg)
{
	const struct ctl_agent *a = arg;
	uint64_t one = 1;

	sys_write(a->release_fd, &one, sizeof(one));
}

void ctl_agent_start(struct ctl_agent *a, struct machine *m, bool (*quiet)(bool on))
{
	int err;

	a->m = m;
	a->quiet = quiet;
	machine_on_release(m, released, a);
	a->release_watch = loop_watch(a->loop, a->release_fd, on_release, a, &err);
	if (a->release_watch)
		a->watch = loop_watch(a->loop, a->fd, on_packet, a, &err);
	if (!a->watch)
		report_warn("ctl-agent", "ctl", err, "`uvfio ctl` does not reach this process: %m");
}

void ctl_agent_free(struct ctl_agent *a)
{
	if (!a)
		return;
	loop_unwatch(a->watch);
	loop_unwatch(a->release_watch);
	loop_free(a->loop);
	if (a->m)
		machine_on_release(a->m, NULL, NULL);
	if (a->fd >= 0)
		fd_close_private(a->fd);
	if (a->release_fd >= 0)
		fd_close_private(a->release_fd);
	heap_free(a);
}

/* The memory is kept, and kept reachable, as that of the machine is. */
static struct ctl_agent *abandoned;

void ctl_agent_abandon(struct ctl_agent *a)
{
	if (!a)
		return;
	loop_abandon(a->loop);
	abandoned = a;
	(void)abandoned;
}
