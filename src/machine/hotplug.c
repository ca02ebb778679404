/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine/hotplug.c: a device comes into a run whose programs are running (`uvfio ctl plug`). It is
 * made once, to find out where it can be, in a machine that has the places of all others; then it
 * is in the run's list, which processes follow, and in the view.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "machine/internal.h"
#include "machine/run/run.h"

/* Return how many units there are: devices that one process has or another. */
static unsigned num_units(const struct machine *m)
{
	unsigned n = 0;

	for (unsigned i = 0; i < m->num_plugged; i++) {
		bool first = !m->plugged[i]->gone;

		for (unsigned k = 0; k < i; k++)
			first &= m->plugged[k]->gone || m->plugged[k]->lead != m->plugged[i]->lead;
		n += first;
	}
	return n;
}

static int plug(struct machine *m, const char *run_dir, struct run_devices *l, const char *spec,
		char **err)
{
	unsigned units = num_units(m);
	char *place = NULL;
	int rc;

	m->spaces = (struct machine_spaces){ .io = l->next[0],
					     .mem32 = l->next[1],
					     .mem64 = l->next[2] };
	m->run = l->run;
	rc = machine_add(m, spec, err);
	if (rc)
		return rc;
	if (m->plugged[m->num_plugged - 1]->spec.own_process && !run_view_has(run_dir, RUN_OWN))
		return machine_fail(err, -EINVAL,
				    "process=own is for all devices of a run, or for none");
	/* two processes may have them open, and neither could give its own up */
	if (num_units(m) < units)
		return machine_fail(err, -EBUSY,
				    "it would tie devices together that have nothing to do with "
				    "each other so far (group=, net=peer:)");
	rc = machine_settle(m, &place);
	if (!rc)
		rc = run_devices_append(l, place, spec);
	free(place);
	machine_next(m, l->next, &l->run);
	/* who sees it in the view finds it in the list */
	if (!rc)
		rc = run_devices_write(run_dir, l);
	if (rc)
		return machine_fail(err, rc, "the run's list cannot be written: %s", strerror(-rc));
	rc = machine_view_add(m, run_dir);
	if (!rc)
		return 0;
	l->d[l->n - 1].died = l->serial + 1;
	run_devices_write(run_dir, l);
	return machine_fail(err, rc, "the view cannot be written: %s", strerror(-rc));
}

int machine_hotplug(const char *run_dir, const char *spec, char *addr, unsigned *group,
		    unsigned *numvfs, char **err)
{
	struct machine *m = machine_new();
	struct run_devices l = { 0 };
	char *absolute = NULL;
	int rc = m ? 0 : -ENOMEM;

	*err = NULL;
	if (!rc)
		rc = machine_claim_dir(m, run_dir);
	if (!rc)
		rc = machine_sync(m);
	if (!rc)
		rc = run_devices_read(run_dir, &l);
	if (!rc)
		rc = machine_shown_buses(m);
	if (rc) {
		machine_fail(err, rc, "the run cannot be looked at: %s", strerror(-rc));
		goto out;
	}
	rc = machine_spec_absolute(spec, &absolute, err);
	if (!rc)
		rc = plug(m, run_dir, &l, absolute, err);
	if (!rc) {
		const struct plugged *dev = m->plugged[m->num_plugged - 1];

		strcpy(addr, dev->d.addr);
		*group = dev->d.group;
		*numvfs = dev->spec.numvfs;
	}
out:
	free(absolute);
	run_devices_free(&l);
	machine_free(m, false);
	return rc;
}
