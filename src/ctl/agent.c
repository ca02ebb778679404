/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ctl/agent.c: answers in a process of the program for its machine. On a thread of its own: what it
 * asks of the machine may wait for the devices' thread, and for calls of the program.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "base/heap.h"
#include "base/report.h"
#include "base/sys.h"
#include "base/text.h"
#include "base/thread.h"
#include "ctl/ctl.h"
#include "ctl/packet.h"
#include "fault/fault.h"

/* Descriptors are few in some programs: one, and a thread that sleeps in a call on it. */
struct ctl_agent {
	struct machine *m;
	bool (*quiet)(bool on);
	void (*settle)(void *arg); /* or NULL */
	void *settle_arg;
	int fd;
	pthread_t thread;
	bool started;
	uint32_t seq; /* of the question that is being answered */
	char run_dir[];
};

struct ctl_agent *ctl_agent_new(const char *run_dir)
{
	size_t len = strlen(run_dir) + 1;
	struct ctl_agent *a = heap_alloc(sizeof(*a) + len);

	if (!a)
		return NULL;
	memcpy(a->run_dir, run_dir, len);
	a->fd = ctl_packet_connect(run_dir);
	if (a->fd >= 0)
		return a;
	/* a program that gave up its user, or its /proc; or a run without a server */
	if (a->fd != -ENOENT)
		report_info("ctl-agent", "ctl", a->fd,
			    "`uvfio ctl` does not reach this process: %m");
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
		     (u->uncorrectable ? CTL_USE_UNCORRECTABLE : 0) |
		     (u->link_up >= 0 ? CTL_USE_LINK : 0) | (u->link_up > 0 ? CTL_USE_LINK_UP : 0),
	};

	snprintf(p.addr, sizeof(p.addr), "%s", u->addr);
	send_packet(a, &p);
}

/* Send @t: 0 or -errno. */
static int send_text(struct ctl_agent *a, const struct text *t)
{
	struct ctl_text p = { .packet = { .op = CTL_TEXT, .seq = a->seq } };
	long n = 0;

	for (size_t at = 0; n >= 0 && at < t->len; at += p.packet.a) {
		size_t len = t->len - at < sizeof(p.text) ? t->len - at : sizeof(p.text);

		memcpy(p.text, t->at + at, len);
		p.packet.a = (uint32_t)len;
		n = sys_call(SYS_sendto, a->fd, (long)&p, offsetof(struct ctl_text, text) + len,
			     MSG_NOSIGNAL, 0, 0);
	}
	return n < 0 ? (int)n : 0;
}

static int show(struct ctl_agent *a, const char *addr)
{
	char *memory = heap_alloc(CTL_SHOW_MAX);
	struct text t;
	int rc;

	if (!memory)
		return -ENOMEM;
	text_init(&t, memory, CTL_SHOW_MAX);
	rc = machine_show(a->m, addr, &t);
	if (!rc)
		rc = send_text(a, &t);
	heap_free(memory);
	return rc;
}

static void answer(struct ctl_agent *a, struct ctl_packet *q)
{
	struct ctl_packet p = { .op = CTL_DONE, .seq = q->seq };
	bool was = a->quiet && a->quiet(true);

	q->addr[sizeof(q->addr) - 1] = '\0';
	a->seq = q->seq;
	if (a->settle &&
	    (q->op == CTL_ASK_LEAVE || q->op == CTL_ASK_BACK || q->op == CTL_ASK_RESET))
		a->settle(a->settle_arg);
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
	case CTL_ASK_SHOW:
		p.value = show(a, q->addr);
		break;
	case CTL_ASK_BACK:
		p.value = (int)machine_ask_back(a->m, q->addr, q->a);
		break;
	case CTL_ASK_RESET:
		p.value = machine_reset(a->m, q->addr);
		break;
	case CTL_ASK_FAULTS:
		p.value = fault_follow(a->run_dir);
		break;
	default:
		p.value = -EOPNOTSUPP;
	}
	if (a->quiet)
		a->quiet(was);
	send_packet(a, &p);
}

/* Until the run's end, or ctl_agent_free(). */
static void *serve(void *arg)
{
	struct ctl_agent *a = arg;
	struct ctl_packet q;
	long n;

	do {
		n = sys_call(SYS_recvfrom, a->fd, (long)&q, sizeof(q), MSG_TRUNC, 0, 0);
		if (n == sizeof(q))
			answer(a, &q);
	} while (n == sizeof(q) || n == -EINTR);
	return NULL;
}

static void released(void *arg)
{
	struct ctl_packet p = { .op = CTL_RELEASED };

	send_packet(arg, &p);
}

void ctl_agent_set_settle(struct ctl_agent *a, void (*fn)(void *arg), void *arg)
{
	a->settle = fn;
	a->settle_arg = arg;
}

void ctl_agent_start(struct ctl_agent *a, struct machine *m, bool (*quiet)(bool on))
{
	int err;

	a->m = m;
	a->quiet = quiet;
	machine_on_release(m, released, a);
	err = thread_start(&a->thread, serve, a, "uvfio-ctl");
	a->started = !err;
	if (err)
		report_warn("ctl-agent", "ctl", err, "`uvfio ctl` does not reach this process: %m");
}

void ctl_agent_free(struct ctl_agent *a)
{
	if (!a)
		return;
	if (a->started) {
		sys_call(SYS_shutdown, a->fd, SHUT_RDWR, 0, 0, 0, 0);
		pthread_join(a->thread, NULL);
	}
	if (a->m)
		machine_on_release(a->m, NULL, NULL);
	if (a->fd >= 0)
		fd_close_private(a->fd);
	heap_free(a);
}

/* The memory is kept, and kept reachable, as that of the machine is. */
static struct ctl_agent *abandoned;

void ctl_agent_abandon(struct ctl_agent *a)
{
	if (a)
		abandoned = a;
	(void)abandoned;
}
