/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ctl/removal.c: unplug: a device leaves the run. As in vfio_unregister_group_dev() of the kernel,
 * nobody can open it from the first moment on; whoever has it open is asked to close it (REQ), at
 * once and then every ten seconds; and when it is closed everywhere it goes. That goes on whether a
 * client waits for it or not. A device that is pulled out (surprise) is dead before all that.
 *
 * Where all devices are in this process (struct ctl_local) it is asked instead, again and again,
 * and a device goes only while a client waits for that: else it stays.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/internal.h"

#define ASK_NS 10000000000ull /* HZ * 10 */
/* It may be closed by a process without an agent, which nobody tells. */
#define TRY_NS	 200000000ull
#define LOCAL_NS 100000000ull /* ctl_local.unplug() asks by how often it is called */

struct removal {
	struct cds_list_head node;
	struct ctl_server *s;
	char addr[PCI_ADDRESS_TEXT];
	bool lost;
	unsigned count;		     /* how often it was asked for */
	uint64_t next_ask, next_try; /* CLOCK_MONOTONIC */
	struct question question;
	bool asking; /* @question is under way */
	bool gone;   /* out of the run: @question tells the processes */
	pid_t holders[8];
	unsigned num_holders; /* there may be more than @holders has */
	char *why;	      /* ctl_local.unplug() said so last, or NULL */
};

/* A request that waits for one; its data. */
struct wait {
	struct removal *removal;
	uint64_t deadline; /* UINT64_MAX: none */
	bool progress;
};

static void add_holders(const struct removal *v, FILE *f)
{
	char name[64];

	for (unsigned i = 0; i < v->num_holders && i < ARRAY_SIZE(v->holders); i++)
		fprintf(f, "%s%s (%d)", i ? ", " : "", process_name(v->holders[i], name),
			(int)v->holders[i]);
	if (!v->num_holders)
		fputs("a process that cannot be asked", f);
	fprintf(f, " %s it open", v->num_holders > 1 ? "have" : "has");
}

static struct wait *wait_of(struct request *r, const struct removal *v)
{
	struct wait *w = request_waits(r) ? r->data : NULL;

	return w && w->removal == v ? w : NULL;
}

/* Tell those who want to know what is waited for. */
static void tell_progress(struct removal *v)
{
	struct request *r;
	char *text, *line;
	size_t len;
	FILE *f;

	cds_list_for_each_entry(r, &v->s->requests, node) {
		struct wait *w = wait_of(r, v);

		if (!w || !w->progress)
			continue;
		f = open_memstream(&text, &len);
		if (!f)
			return;
		fprintf(f, "%s: ", v->addr);
		add_holders(v, f);
		fclose(f);
		f = open_memstream(&line, &len);
		if (f) {
			putc('{', f);
			json_write_member(f, "progress", text);
			putc('}', f);
			fclose(f);
			server_say(r->client, line, len);
			free(line);
		}
		free(text);
	}
}

static void forget(struct removal *v)
{
	cds_list_del(&v->node);
	free(v->why);
	free(v);
}

/* Answer all that wait for @v, and forget it. */
static void finish(struct removal *v, int err)
{
	struct request *r, *next;

	cds_list_for_each_entry_safe(r, next, &v->s->requests, node) {
		struct wait *w = wait_of(r, v);

		if (!w)
			continue;
		r->data = NULL;
		free(w);
		if (err && v->why) {
			request_fail(r, err, "%s", v->why);
			continue;
		}
		if (err) {
			request_fail(r, err, "%s cannot be taken out: %s", v->addr, strerror(-err));
			continue;
		}
		fprintf(r->out, "{\"ok\":true,");
		json_write_member(r->out, "device", v->addr);
		putc('}', r->out);
		request_end(r);
	}
	forget(v);
}

/* Let the device stay if nobody waits for @v any more, and it goes only for those who wait. */
static void unwaited(struct removal *v)
{
	struct request *r;

	if (!v->s->local || v->s->over)
		return;
	cds_list_for_each_entry(r, &v->s->requests, node)
		if (wait_of(r, v))
			return;
	v->s->local->keep(v->s->local_arg, v->addr);
	forget(v);
}

void removal_abandon(struct request *r)
{
	struct wait *w = r->data;
	struct removal *v = w->removal;

	r->data = NULL;
	free(w);
	unwaited(v);
}

static void told(struct question *q)
{
	struct removal *v = q->arg;

	v->asking = false;
	if (!v->s->over)
		finish(v, 0);
}

/* Take it out if nobody has it any more. */
static void try(struct removal *v)
{
	struct ctl_packet p = { .op = CTL_ASK_SYNC };
	int rc = run_unplug(v->s->run_dir, v->addr);

	v->next_try = now_ns() + TRY_NS;
	if (rc == -EINPROGRESS)
		return;
	if (rc && rc != -ENODEV) {
		finish(v, rc);
		return;
	}
	v->gone = v->asking = true;
	v->question = (struct question){ .done = told, .arg = v };
	server_ask(v->s, &v->question, &p);
}

/* Take it out of this process, or ask who has it there. */
static void try_local(struct removal *v)
{
	const struct ctl_local *l = v->s->local;
	int rc;

	free(v->why);
	v->why = NULL;
	rc = l->unplug(v->s->local_arg, v->addr, v->lost, &v->why);
	v->next_ask = v->next_try = now_ns() + LOCAL_NS;
	if (rc != -EBUSY)
		finish(v, rc);
}

static void hear(struct question *q, struct agent *a, const struct ctl_packet *p)
{
	struct removal *v = q->arg;

	if (p->op != CTL_DONE || p->value <= 0)
		return;
	if (v->num_holders < ARRAY_SIZE(v->holders))
		v->holders[v->num_holders] = a->pid;
	v->num_holders++;
}

static void asked(struct question *q)
{
	struct removal *v = q->arg;

	v->asking = false;
	if (v->s->over)
		return;
	v->next_ask = now_ns() + ASK_NS;
	if (v->num_holders)
		tell_progress(v);
	try(v);
}

/* Ask everybody to close it. */
static void ask(struct removal *v)
{
	struct ctl_packet p = { .op = CTL_ASK_LEAVE, .a = v->count++, .b = v->lost };

	snprintf(p.addr, sizeof(p.addr), "%s", v->addr);
	v->num_holders = 0;
	v->asking = true;
	v->question = (struct question){ .hear = hear, .done = asked, .arg = v };
	server_ask(v->s, &v->question, &p);
}

/* @r has waited long enough. */
static void time_out(struct request *r)
{
	struct wait *w = r->data;
	struct removal *v = w->removal;

	r->data = NULL;
	free(w);
	if (r->s->local)
		request_fail(r, -EBUSY, "%s", v->why ? v->why : strerror(EBUSY));
	else
		request_fail(r, -ETIMEDOUT,
			     "%s is still open; nobody else can open it, and it goes when it is "
			     "closed",
			     v->addr);
	unwaited(v);
}

uint64_t removal_tick(struct ctl_server *s, bool released)
{
	uint64_t now = now_ns(), due = UINT64_MAX;
	struct removal *v, *next;
	struct request *r, *next_r;
	struct wait *w;

	cds_list_for_each_entry_safe(v, next, &s->removals, node) {
		if (v->asking || v->gone)
			continue;
		if (s->local && (now >= v->next_ask || now >= v->next_try))
			try_local(v);
		else if (s->local)
			continue;
		else if (now >= v->next_ask)
			ask(v);
		else if (released || now >= v->next_try)
			try(v);
	}
	cds_list_for_each_entry(v, &s->removals, node) {
		if (v->asking || v->gone)
			continue;
		due = v->next_ask < due ? v->next_ask : due;
		due = v->next_try < due ? v->next_try : due;
	}
	cds_list_for_each_entry_safe(r, next_r, &s->requests, node) {
		w = request_waits(r) ? r->data : NULL;
		if (!w)
			continue;
		if (w->deadline > now) {
			due = w->deadline < due ? w->deadline : due;
			continue;
		}
		time_out(r);
	}
	return due;
}

static struct removal *find(struct ctl_server *s, const char *addr)
{
	struct removal *v;

	cds_list_for_each_entry(v, &s->removals, node)
		if (!strcmp(v->addr, addr))
			return v;
	return NULL;
}

/* Have nobody of the run open the device at @addr any more; false: the request was answered. */
static bool close_to_others(struct request *r, const char *addr)
{
	int rc = run_change_device(r->s->run_dir, addr, run_device_leaving, true);

	if (rc == -ENODEV && !request_finds_device(r))
		return false;
	if (rc)
		request_fail(r, rc, "%s: %s", addr,
			     rc == -ENODEV ? "a virtual function goes by `uvfio ctl sriov`"
					   : strerror(-rc));
	return !rc;
}

/* Begin to take the device at @addr away, or join in. NULL: the request was answered. */
static struct removal *begin(struct request *r, const char *addr, bool lost)
{
	struct removal *v = find(r->s, addr);

	if (v) {
		if (lost && !v->lost)
			v->next_ask = 0;
		v->lost |= lost;
		v->next_try = 0; /* it may have been closed since */
		return v;
	}
	/* a process that has all devices does that itself */
	if (!r->s->local && !close_to_others(r, addr))
		return NULL;
	v = calloc(1, sizeof(*v));
	if (!v) {
		request_fail(r, -ENOMEM, "out of memory");
		return NULL;
	}
	v->s = r->s;
	v->lost = lost;
	snprintf(v->addr, sizeof(v->addr), "%s", addr);
	cds_list_add_tail(&v->node, &r->s->removals);
	return v; /* next_ask is 0: it is due */
}

/* True if the device of the run at @addr is a real one. */
static bool is_real(const char *run_dir, const char *addr)
{
	const struct run_device *d;
	struct run_devices l;
	bool real;

	if (run_devices_read(run_dir, &l))
		return false;
	d = run_devices_find(&l, addr);
	real = d && machine_spec_is_real(d->spec);
	run_devices_free(&l);
	return real;
}

void request_unplug(struct request *r)
{
	const struct json *timeout = json_member(r->nodes, "timeout", JSON_NUMBER),
			  *lost = json_member(r->nodes, "surprise", JSON_BOOL),
			  *progress = json_member(r->nodes, "progress", JSON_BOOL);
	const char *addr = request_device(r);
	struct removal *v;
	struct wait *w;

	if (!addr)
		return;
	if (timeout && (timeout->number < 0 || timeout->number > 1000000)) {
		request_fail(r, -EINVAL, "a timeout is a number of seconds");
		return;
	}
	if (lost && lost->number && !r->s->local && is_real(r->s->run_dir, addr)) {
		request_fail(r, -EOPNOTSUPP, "%s is a real device: it has to be pulled out by hand",
			     addr);
		return;
	}
	w = calloc(1, sizeof(*w));
	if (!w) {
		request_fail(r, -ENOMEM, "out of memory");
		return;
	}
	v = begin(r, addr, lost && lost->number);
	if (!v) {
		free(w);
		return;
	}
	w->removal = v;
	w->progress = progress && progress->number;
	w->deadline = timeout ? now_ns() + (uint64_t)timeout->number * 1000000000u : UINT64_MAX;
	r->data = w;
}

void removal_free_all(struct ctl_server *s)
{
	struct removal *v, *next;

	cds_list_for_each_entry_safe(v, next, &s->removals, node)
		forget(v);
}
