/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ctl/local.c: requests of a run whose devices are all in this process (struct ctl_local), which is
 * asked by function calls: no run's list of devices, no view, no agents. Lines and answers are the
 * same, and so is what waits (removal.c).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/internal.h"

/* Answer with the device that the request is about. */
static void answer(struct request *r)
{
	fprintf(r->out, "{\"ok\":true,");
	json_write_member(r->out, "device", r->addr);
	putc('}', r->out);
	request_end(r);
}

/* Fail with @why, which is freed. */
static void explain(struct request *r, int rc, char *why)
{
	request_fail(r, rc, "%s", why ? why : strerror(-rc));
	free(why);
}

static void write_device(void *arg, const struct ctl_device *d)
{
	struct request *r = arg;

	if (r->value++)
		putc(',', r->out);
	putc('{', r->out);
	json_write_member(r->out, "address", d->addr);
	putc(',', r->out);
	json_write_member(r->out, "model", d->model);
	fprintf(r->out, ",\"group\":%u,\"driver\":\"vfio-pci\",\"physfn\":null,\"cable\":null,",
		d->group);
	fprintf(r->out, "\"open\":[],\"state\":\"%s\",\"error\":null,\"link\":null,",
		d->leaving ? "leaving"
		: d->open  ? "D0"
			   : "closed");
	json_write_member(r->out, "socket", d->socket);
	fputs(",\"bus_master\":null}", r->out);
}

static void list(struct request *r)
{
	const struct ctl_local *l = r->s->local;

	fprintf(r->out, "{\"ok\":true,");
	json_write_member(r->out, "run", r->s->run_dir);
	fprintf(r->out, ",\"pid\":%d,\"devices\":[", (int)getpid());
	l->each(r->s->local_arg, write_device, r);
	fprintf(r->out, "],\"silent\":[]}");
	request_end(r);
}

static void plug(struct request *r)
{
	unsigned group = 0;
	char *why = NULL;
	int rc = r->s->local->plug(r->s->local_arg, json_text(r->nodes, "device"), r->addr, &group,
				   &why);

	if (rc) {
		explain(r, rc, why);
		return;
	}
	fprintf(r->out, "{\"ok\":true,");
	json_write_member(r->out, "device", r->addr);
	fprintf(r->out, ",\"group\":%u}", group);
	request_end(r);
}

/* Of a device whose client is inside of it: how long it is tried again, and when. */
#define TRY_FOR_NS  3000000000ull
#define TRY_EACH_NS 50000000ull

/* Have the device report the error r->value. Without an answer it is tried again. */
static void try_aer(struct request *r)
{
	char *why = NULL;
	int rc =
		r->s->local->error(r->s->local_arg, r->addr, (enum machine_severity)r->value, &why);

	if (!rc)
		answer(r);
	else if (rc != -EBUSY || now_ns() >= r->try_until)
		explain(r, rc, why);
	else
		free(why);
}

uint64_t local_tick(struct ctl_server *s)
{
	struct request *r, *next;
	uint64_t due = UINT64_MAX;

	cds_list_for_each_entry_safe(r, next, &s->requests, node)
		if (r->try_until)
			try_aer(r);
	cds_list_for_each_entry(r, &s->requests, node)
		if (r->try_until)
			due = now_ns() + TRY_EACH_NS;
	return due;
}

static void aer(struct request *r)
{
	static const char *const names[] = { "correctable", "nonfatal", "fatal" };
	const char *severity = json_text(r->nodes, "severity");
	unsigned i = 0;

	if (!request_device(r))
		return;
	while (i < ARRAY_SIZE(names) && strcmp(names[i], severity))
		i++;
	if (i == ARRAY_SIZE(names)) {
		request_fail(r, -EINVAL, "'%.32s': an error is correctable, nonfatal or fatal",
			     severity);
		return;
	}
	r->value = (int)i;
	r->try_until = now_ns() + TRY_FOR_NS;
	try_aer(r);
}

bool local_begin(struct request *r, const char *name)
{
	static const struct {
		const char *name;
		void (*begin)(struct request *r);
	} kinds[] = {
		{ "list", list }, { "plug", plug }, { "unplug", request_unplug }, { "aer", aer }
	};

	if (!r->s->local || !strcmp(name, "run"))
		return false;
	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (strcmp(kinds[i].name, name))
			continue;
		kinds[i].begin(r);
		return true;
	}
	request_fail(r, -EOPNOTSUPP, "%s: devices that are served have no such request", name);
	return true;
}
