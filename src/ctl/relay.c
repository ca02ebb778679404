/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ctl/relay.c: a process of the program, which writes to a file of sysfs, has the others do what
 * the kernel would: reset a device that one of them has, or ask its user for it. It is a question
 * to all agents, and what the one answered that has the device is the answer.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "ctl/internal.h"

struct relay {
	struct question question;
	struct ctl_server *s;
	unsigned agent; /* who asked: its place, and its number */
	uint32_t id;
	int nothing; /* the value of who does not have the device */
	struct ctl_packet answer;
};

static void tell(struct ctl_server *s, unsigned i, const struct ctl_packet *p)
{
	if (send(s->agents[i].fd, p, sizeof(*p), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		report_debug("ctl-agent", "ctl", -errno, "process %d: its answer: %m",
			     (int)s->agents[i].pid);
}

static void hear(struct question *q, struct agent *a, const struct ctl_packet *p)
{
	struct relay *r = q->arg;

	if (p->op == CTL_DONE && p->value != r->nothing)
		r->answer.value = p->value;
}

static void done(struct question *q)
{
	struct relay *r = q->arg;
	struct ctl_server *s = r->s;

	for (unsigned i = 0; i < AGENTS_MAX; i++)
		r->answer.a += q->failed[i];
	if (s->agents[r->agent].fd >= 0 && s->agents[r->agent].id == r->id)
		tell(s, r->agent, &r->answer);
	free(r);
}

void relay_begin(struct ctl_server *s, unsigned i, const struct ctl_packet *p)
{
	struct ctl_packet question = { .op = p->a, .a = p->b },
			  no_memory = { .op = CTL_DONE, .seq = p->seq, .value = -ENOMEM },
			  wrong = { .op = CTL_DONE, .seq = p->seq, .value = -EINVAL };
	struct relay *r;

	if (p->a != CTL_ASK_RESET && p->a != CTL_ASK_BACK) {
		tell(s, i, &wrong);
		return;
	}
	r = calloc(1, sizeof(*r));
	if (!r) {
		tell(s, i, &no_memory);
		return;
	}
	memcpy(question.addr, p->addr, sizeof(question.addr));
	r->s = s;
	r->agent = i;
	r->id = s->agents[i].id;
	r->nothing = p->a == CTL_ASK_RESET ? -ENODEV : 0;
	r->answer = (struct ctl_packet){ .op = CTL_DONE, .seq = p->seq, .value = r->nothing };
	r->question = (struct question){ .hear = hear, .done = done, .arg = r };
	server_ask(s, &r->question, &question);
}
