/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine/follow.c: a machine follows its run, whose devices come and go: what is said of them in
 * the run's list (machine/run/devices.c) becomes true here. A device that went stays in the table,
 * without hardware and in no group: pointers to it stay good, and the unit that it was in stays the
 * same for all processes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/report.h"
#include "machine/internal.h"
#include "machine/run/run.h"

/* Say why the device of @known is not there, and free it. */
static int not_made(const struct run_device *known, int rc, char *why)
{
	if (rc)
		report_err("device-not-made", "machine", 0, "--device %s: %s", known->spec,
			   why ? why : strerror(-rc));
	free(why);
	return rc;
}

/* If this process has the unit of @dev claimed, its hardware is made at once. */
static int make_with_unit(struct plugged *dev, const struct run_device *known)
{
	char *why = NULL;
	int rc;

	if (dev->gone || dev->hw || dev->lead == dev || !dev->lead->made)
		return 0;
	rc = machine_make(dev, &why);
	return not_made(known, rc, why);
}

/* Plug in @known. */
static int add(struct machine *m, const struct run_device *known)
{
	char *why = NULL;
	int rc = machine_add_known(m, known, &why);

	return rc ? not_made(known, rc, why)
		  : make_with_unit(m->plugged[m->num_plugged - 1], known);
}

/*
 * Take @dev, which is not open here, out of the machine; its hardware stays for as long as its unit
 * is claimed (removal.c).
 */
static void take_out(struct plugged *dev)
{
	struct machine_group *g = dev->group;

	if (dev->num_vfs)
		machine_disable_vfs(dev);
	if (dev->d.vdev)
		vfio_device_leave(dev->d.vdev, true);
	machine_unplug(dev);
	machine_leave_group(dev);
	if (!dev->lead->claims)
		machine_unmake(dev);
	pthread_mutex_lock(&dev->m->tables_lock);
	dev->gone = true;
	pthread_mutex_unlock(&dev->m->tables_lock);
	if (vfio_group_revoke(g->vfio))
		machine_disown(g);
}

static int follow(struct machine *m, unsigned i, const struct run_device *known)
{
	struct plugged *dev;
	int rc;

	if (i >= m->num_plugged) {
		rc = add(m, known);
		if (rc)
			return rc;
	} else if (!known->died) {
		/* it failed before: what it lacked then may be there. Nobody else waits for that */
		make_with_unit(m->plugged[i], known);
	}
	dev = m->plugged[i];
	dev->died = known->died;
	if (known->leaving && !dev->leaving && dev->d.vdev)
		vfio_device_leave(dev->d.vdev, true);
	dev->leaving = known->leaving;
	if (dev->link_down != known->link_down)
		machine_set_link(dev, !known->link_down);
	if (dev->died && !dev->gone)
		take_out(dev);
	return 0;
}

int machine_follow(struct machine *m)
{
	struct run_devices l;
	int rc;

	if (!m->run_dir)
		return 0;
	rc = run_devices_read(m->run_dir, &l);
	if (rc)
		return rc == -ENOENT ? 0 : rc; /* a run directory without a list */
	for (unsigned i = 0; i < l.n && !rc && l.serial != m->serial; i++)
		rc = follow(m, i, &l.d[i]);
	if (!rc)
		m->serial = l.serial;
	run_devices_free(&l);
	return rc;
}

int machine_has_changed(struct machine *m)
{
	struct run_devices l;
	int rc;

	if (!m->run_dir)
		return 0;
	rc = run_devices_read(m->run_dir, &l);
	if (rc)
		return rc == -ENOENT ? 0 : rc; /* a run directory without a list */
	rc = l.serial != m->serial;
	run_devices_free(&l);
	return rc;
}
