/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ctl/changes.c: requests that change something at once, and are answered when all processes have
 * it: the cable of a device, an error of it, the number of its VFs.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/internal.h"

static void answer(struct request *r)
{
	fprintf(r->out, "{\"ok\":true,");
	json_write_member(r->out, "device", r->addr);
	putc('}', r->out);
	request_end(r);
}

static void synced(struct question *q)
{
	answer(q->arg);
}

/* Have all processes follow the run, and answer. */
static void sync_all(struct request *r)
{
	struct ctl_packet p = { .op = CTL_ASK_SYNC };

	r->question.done = synced;
	r->question.arg = r;
	server_ask(r->s, &r->question, &p);
}

/* ---- aer ---- */

static void hear_error(struct question *q, struct agent *a, const struct ctl_packet *p)
{
	struct request *r = q->arg;

	/* one process has it open, and the others -ENODEV */
	if (p->op == CTL_DONE && p->value != -ENODEV)
		r->value = p->value;
}

static void error_done(struct question *q)
{
	struct request *r = q->arg;
	const char *addr = r->addr;

	if (!r->value)
		answer(r);
	else if (r->value == -EINVAL)
		request_fail(r, r->value,
			     "%s: all errors of this severity are masked, or have another one",
			     addr);
	else if (r->value == -EOPNOTSUPP)
		request_fail(r, r->value, "%s cannot report errors", addr);
	else
		request_fail(r, -ENODEV, "%s: no process has it open, to hear of an error", addr);
}

void request_aer(struct request *r)
{
	static const char *const names[] = {
		[MACHINE_CORRECTABLE] = "correctable",
		[MACHINE_NONFATAL] = "nonfatal",
		[MACHINE_FATAL] = "fatal",
	};
	const char *severity = json_text(r->nodes, "severity"), *addr = request_device(r);
	struct ctl_packet p = { .op = CTL_ASK_ERROR };

	if (!addr)
		return;
	while (p.a < ARRAY_SIZE(names) && strcmp(names[p.a], severity))
		p.a++;
	if (p.a == ARRAY_SIZE(names)) {
		request_fail(r, -EINVAL, "'%.32s': an error is correctable, nonfatal or fatal",
			     severity);
		return;
	}
	if (!request_finds_device(r))
		return;
	snprintf(p.addr, sizeof(p.addr), "%s", addr);
	r->value = -ENODEV;
	r->question.hear = hear_error;
	r->question.done = error_done;
	r->question.arg = r;
	server_ask(r->s, &r->question, &p);
}

/* ---- link ---- */

/* Return 0 if the device at @addr has a cable, or an errno. */
static int check_link(const char *run_dir, const char *addr)
{
	struct run_devices l;
	struct run_device *d;
	int rc = run_devices_read(run_dir, &l);

	if (rc)
		return rc;
	d = run_devices_find(&l, addr);
	rc = !d								 ? -ENODEV
	     : machine_spec_cable(d->spec, NULL, 0) == MACHINE_NO_SOCKET ? -EOPNOTSUPP
									 : 0;
	run_devices_free(&l);
	return rc;
}

void request_link(struct request *r)
{
	const char *state = json_text(r->nodes, "state"), *addr = request_device(r);
	int rc;

	if (!addr)
		return;
	if (strcmp(state, "up") && strcmp(state, "down")) {
		request_fail(r, -EINVAL, "'%.32s': a link is up or down", state);
		return;
	}
	rc = check_link(r->s->run_dir, addr);
	if (!rc)
		rc = run_change_device(r->s->run_dir, addr, run_device_link, !strcmp(state, "up"));
	if (rc == -ENODEV && !request_finds_device(r))
		return;
	if (rc == -ENODEV || rc == -EOPNOTSUPP)
		request_fail(r, -EOPNOTSUPP, "%s has no cable", addr);
	else if (rc)
		request_fail(r, rc, "%s: %s", addr, strerror(-rc));
	else
		sync_all(r);
}

/* ---- plug ---- */

static void plugged(struct question *q)
{
	struct request *r = q->arg;

	fprintf(r->out, "{\"ok\":true,");
	json_write_member(r->out, "device", r->addr);
	fprintf(r->out, ",\"group\":%d}", r->value);
	request_end(r);
}

void request_plug(struct request *r)
{
	const char *run_dir = r->s->run_dir, *spec = json_text(r->nodes, "device");
	struct ctl_packet p = { .op = CTL_ASK_SYNC };
	unsigned group = 0, numvfs = 0;
	char *why = NULL;
	int fd, rc;

	fd = run_lock_view(run_dir);
	rc = fd < 0 ? fd : machine_hotplug(run_dir, spec, r->addr, &group, &numvfs, &why);
	if (fd >= 0)
		run_unlock(fd);
	if (!rc && numvfs)
		rc = run_set_numvfs(run_dir, r->addr, numvfs, NULL);
	if (rc) {
		request_fail(r, rc, "%s", why ? why : strerror(-rc));
		free(why);
		return;
	}
	r->value = (int)group;
	r->question.done = plugged;
	r->question.arg = r;
	server_ask(r->s, &r->question, &p);
}

/* ---- sriov ---- */

void request_sriov(struct request *r)
{
	const struct json *num = json_member(r->nodes, "numvfs", JSON_NUMBER);
	const char *addr = request_device(r);
	int rc;

	if (!addr || !request_finds_device(r))
		return;
	rc = num->number < 0 || num->number > UINT16_MAX
		     ? -EINVAL
		     : run_set_numvfs(r->s->run_dir, addr, (unsigned)num->number, NULL);
	if (rc == -EBUSY)
		request_fail(r, rc,
			     "%s: a virtual function is open, or there are some: set 0 first",
			     addr);
	else if (rc == -ERANGE)
		request_fail(r, rc, "%s has not so many virtual functions", addr);
	else if (rc == -ENODEV)
		request_fail(r, rc, "%s has no virtual functions", addr);
	else if (rc)
		request_fail(r, rc, "%s: %s", addr, strerror(-rc));
	else
		sync_all(r);
}
