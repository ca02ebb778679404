/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ctl/show.c: how a device is now, which the process says that has its group open: lines for a
 * person, whose number and sense are the model's.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/internal.h"

struct shown {
	pid_t pid; /* whose text it is */
	struct text lines;
	char memory[CTL_SHOW_MAX];
};

static void hear(struct question *q, struct agent *a, const struct ctl_packet *p)
{
	struct request *r = q->arg;
	struct shown *s = r->data;
	const struct ctl_text *t;

	if (p->op == CTL_TEXT && p->a <= sizeof(t->text)) {
		t = container_of_type(p, const struct ctl_text, packet);
		s->pid = a->pid;
		text_append(&s->lines, t->text, p->a);
	} else if (p->op == CTL_DONE && p->value != -ENODEV) {
		r->value = p->value;
	}
}

void request_answer_lines(struct request *r, pid_t pid, const char *lines)
{
	char name[64];
	size_t len;

	fprintf(r->out, "{\"ok\":true,");
	json_write_member(r->out, "device", r->addr);
	fprintf(r->out, ",\"pid\":%d,", (int)pid);
	json_write_member(r->out, "command", process_name(pid, name));
	fputs(",\"lines\":[", r->out);
	for (const char *at = lines; *at; at += len) {
		char line[1024];

		len = strcspn(at, "\n");
		snprintf(line, sizeof(line), "%.*s", (int)(len < sizeof(line) ? len : 1000), at);
		if (at != lines)
			putc(',', r->out);
		json_write(r->out, line);
		len += at[len] == '\n';
	}
	fputs("]}", r->out);
	request_end(r);
}

static void done(struct question *q)
{
	struct request *r = q->arg;
	struct shown *s = r->data;
	unsigned silent = 0;

	for (unsigned i = 0; i < AGENTS_MAX; i++)
		silent += q->failed[i];
	if (!r->value)
		request_answer_lines(r, s->pid, s->lines.at);
	else if (r->value == -ENODEV && silent)
		request_fail(r, -ETIMEDOUT,
			     "%s: no process says that it has it open, and %u did not answer",
			     r->addr, silent);
	else if (r->value == -ENODEV)
		request_fail(r, r->value,
			     "%s: no process has it open: it is as after a reset, and made when "
			     "its group is opened",
			     r->addr);
	else if (r->value == -EOPNOTSUPP)
		request_fail(r, r->value, "%s: what it is knows its hardware, or its server, alone",
			     r->addr);
	else
		request_fail(r, r->value, "%s: %s", r->addr, strerror(-r->value));
	free(s);
}

void request_show(struct request *r)
{
	struct ctl_packet p = { .op = CTL_ASK_SHOW };
	const char *addr = request_device(r);
	struct shown *s;

	if (!addr || !request_finds_device(r))
		return;
	s = calloc(1, sizeof(*s));
	if (!s) {
		request_fail(r, -ENOMEM, "out of memory");
		return;
	}
	text_init(&s->lines, s->memory, sizeof(s->memory));
	snprintf(p.addr, sizeof(p.addr), "%s", addr);
	r->data = s;
	r->value = -ENODEV;
	r->question.hear = hear;
	r->question.done = done;
	r->question.arg = r;
	server_ask(r->s, &r->question, &p);
}
