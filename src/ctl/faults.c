/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ctl/faults.c: a fault that a user wants while programs run (fault/fault.h): it is put into the
 * run's table, which is made if there is none, and processes that have no table yet are told.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/internal.h"
#include "fault/table.h"

static void followed(struct question *q)
{
	struct request *r = q->arg;

	fprintf(r->out, "{\"ok\":true,");
	json_write_member(r->out, "device", r->addr[0] ? r->addr : NULL);
	putc(',', r->out);
	json_write_member(r->out, "fault", json_text(r->nodes, "fault"));
	fprintf(r->out, ",\"seed\":%llu}", (unsigned long long)r->seed);
	request_end(r);
}

/* Check a model's fault against the devices of the run. 0, or -errno with a sentence in @why. */
static int check(const char *run_dir, const struct fault_spec *spec, char *why, size_t size)
{
	struct run_devices l;
	const char **specs;
	int rc = run_devices_read(run_dir, &l);

	if (rc)
		return rc;
	specs = calloc(l.n + 1, sizeof(*specs));
	for (unsigned i = 0; specs && i < l.n; i++)
		specs[i] = l.d[i].spec;
	rc = specs ? machine_check_fault(specs, l.n, spec, why, size) : -ENOMEM;
	free(specs);
	run_devices_free(&l);
	return rc;
}

static int add(struct request *r, const struct fault_spec *spec)
{
	struct fault_table *t;
	uint64_t seed = 0;
	int rc = 0;

	fault_seed(NULL, &seed);
	t = fault_table_open(r->s->run_dir, seed, &rc);
	if (!t)
		return rc;
	rc = fault_table_add(t, spec);
	r->seed = t->seed;
	fault_table_close(t);
	return rc;
}

void request_fault(struct request *r)
{
	const char *text = json_text(r->nodes, "fault");
	struct ctl_packet p = { .op = CTL_ASK_FAULTS };
	struct fault_spec spec;
	char why[512] = "";
	int rc;

	if (json_text(r->nodes, "device") && (!request_device(r) || !request_finds_device(r)))
		return;
	rc = fault_parse(text, &spec, why, sizeof(why));
	if (!rc && r->addr[0])
		rc = fault_parse_device(&spec, r->addr, why, sizeof(why));
	if (!rc)
		rc = check(r->s->run_dir, &spec, why, sizeof(why));
	if (!rc)
		rc = add(r, &spec);
	if (rc == -ENOSPC)
		request_fail(r, rc, "there are %u faults in this run already", FAULT_SLOTS);
	else if (rc)
		request_fail(r, rc, "%.100s: %s", text, *why ? why : strerror(-rc));
	if (rc)
		return;
	r->question.done = followed;
	r->question.arg = r;
	server_ask(r->s, &r->question, &p);
}
