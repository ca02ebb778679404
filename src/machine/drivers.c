/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine/drivers.c: which driver a device has. It is a matter of the run: whoever writes bind or
 * unbind changes the link `driver` of the view (machine/run/bind.c), and a process looks there
 * before it answers for a group.
 *
 * Two things keep a writer from changing what is in use. A device that is open has a byte of its
 * group's file locked, which unbind waits for. And a group whose DMA somebody owns has another one
 * locked, without which no driver binds that would do DMA for the host.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <string.h>

#include "machine/internal.h"
#include "machine/run/run.h"
#include "vfio/abi.h"

bool machine_is_vfio(const struct plugged *dev)
{
	return !strcmp(dev->driver, vfio_abi_driver());
}

void machine_set_driver(struct plugged *dev, const char *driver)
{
	snprintf(dev->driver, sizeof(dev->driver), "%s", driver ? driver : vfio_abi_driver());
	if (!strcmp(dev->driver, MACHINE_NO_DRIVER))
		*dev->driver = '\0';
	dev->d.driver = dev->driver;
}

/* Check that @dev can have the driver that the user wants. */
int machine_check_driver(const struct plugged *dev, char **err)
{
	const char *driver = dev->spec.driver, *own = dev->hw->face.sriov.host_driver;
	struct run_id id;

	if (!driver || !strcmp(driver, MACHINE_NO_DRIVER) || !strcmp(driver, RUN_PCI_STUB) ||
	    (own && !strcmp(driver, own)))
		return 0;
	machine_id(dev, &id);
	if (run_driver_has_id(driver, &id))
		return 0;
	return machine_fail(err, -EINVAL, "%s: driver=%s: it can have vfio-pci, pci-stub, none%s%s",
			    dev->spec.model, driver, own ? " or " : "", own ? own : "");
}

void machine_id(const struct plugged *dev, struct run_id *id)
{
	const struct pci_face *f = dev->d.face, *pf = f->pf;

	*id = (struct run_id){
		.vendor = pci_face_read(pf ? pf : f, PCI_VENDOR_ID, 2),
		.device = pf ? pf->sriov.vf_device_id : pci_face_read(f, PCI_DEVICE_ID, 2),
		.subvendor = pci_face_read(f, PCI_SUBSYSTEM_VENDOR_ID, 2),
		.subdevice = pci_face_read(f, PCI_SUBSYSTEM_ID, 2),
		.class = pci_face_read(f, PCI_CLASS_REVISION, 4) >> 8,
	};
}

/* ---- following the run ---- */

static void leave_vfio(struct plugged *dev)
{
	if (dev->d.vdev) {
		vfio_group_remove_device(dev->group->vfio, dev->d.vdev);
		machine_unbind(dev);
	}
	vfio_group_unreserve(dev->group->vfio, &dev->place);
	if (vfio_group_set_foreign(dev->group->vfio, &dev->place, true))
		report_err("device-forgotten", dev->d.addr, -ENOMEM, "unbind: %m");
	if (!dev->group->vfio->n && vfio_group_revoke(dev->group->vfio))
		machine_disown(dev->group);
}

static int enter_vfio(struct plugged *dev)
{
	int rc = vfio_group_reserve(dev->group->vfio, &dev->place);

	vfio_group_set_foreign(dev->group->vfio, &dev->place, false);
	if (rc || !dev->hw)
		return rc;
	rc = machine_bind(dev, dev->pf ? dev->pf : dev);
	if (!rc)
		rc = vfio_group_add_device(dev->group->vfio, dev->d.vdev);
	if (rc) {
		machine_unbind(dev);
		vfio_group_unreserve(dev->group->vfio, &dev->place);
	}
	return rc;
}

/* Bring one device into line, which has a group. A device that is open stays as it is. */
static void follow(struct plugged *dev)
{
	char now[RUN_DRIVER_NAME], was[RUN_DRIVER_NAME];
	int rc;

	if (!dev->group || dev->opens)
		return;
	rc = run_driver(dev->m->run_dir, dev->d.addr, now);
	/* one that is not there was removed */
	if ((rc && rc != -ENODEV) || (!strcmp(now, dev->driver) && !dev->asked_back))
		return;
	/* one that was asked back left its driver meanwhile, and may have the same one again */
	dev->asked_back = false;
	strcpy(was, dev->driver);
	if (machine_is_vfio(dev))
		leave_vfio(dev);
	else if (dev->hw && *was)
		machine_unbind(dev);
	strcpy(dev->driver, now);
	rc = machine_is_vfio(dev) ? enter_vfio(dev) : dev->hw ? machine_bind(dev, dev) : 0;
	/* VFs that wait to be enabled learn whether vfio-pci has their PF */
	for (unsigned i = 0; dev->vfs && i < dev->layout.total && !rc; i++)
		if (dev->vfs[i] && dev->vfs[i]->hw)
			rc = machine_bind(dev->vfs[i], dev);
	if (!rc)
		return;
	*dev->driver = '\0';
	report_err("device-not-bound", dev->d.addr, rc, "%s cannot have it in this process: %m",
		   now);
}

static void follow_all(struct plugged *dev)
{
	follow(dev);
	for (unsigned i = 0; i < dev->num_vfs; i++)
		follow(dev->vfs[i]);
}

void machine_follow_drivers(struct machine *m)
{
	for (unsigned i = 0; m->run_dir && i < m->num_plugged; i++)
		follow_all(m->plugged[i]);
}

static struct machine_group *group_of(struct machine *m, unsigned id)
{
	for (unsigned i = 0; i < m->num_groups; i++)
		if (m->groups[i]->id == id)
			return m->groups[i];
	return NULL;
}

/* Call @fn for each device of @g until one is true, which is returned; else NULL. */
static struct plugged *find(struct machine *m, const struct machine_group *g,
			    bool (*fn)(struct plugged *dev, const void *arg), const void *arg)
{
	for (unsigned i = 0; i < m->num_plugged; i++) {
		struct plugged *dev = m->plugged[i];

		if (dev->group == g && fn(dev, arg))
			return dev;
		for (unsigned k = 0; k < dev->num_vfs; k++)
			if (dev->vfs[k]->group == g && fn(dev->vfs[k], arg))
				return dev->vfs[k];
	}
	return NULL;
}

static bool follow_one(struct plugged *dev, const void *arg)
{
	follow(dev);
	return false;
}

/* vfio_env's */
void machine_refresh(void *arg, unsigned group)
{
	struct machine *m = arg;
	struct machine_group *g;

	if (!m->run_dir)
		return;
	pthread_mutex_lock(&m->plug_lock);
	g = group_of(m, group);
	if (g)
		find(m, g, follow_one, NULL);
	pthread_mutex_unlock(&m->plug_lock);
}

/* ---- devices in use ---- */

static bool is_named(struct plugged *dev, const void *name)
{
	return !strcmp(dev->d.addr, name);
}

/* Keep the driver of @dev, which nobody in this process uses: with the byte locked it stays. */
static int use_first(struct plugged *dev)
{
	int claim = dev->group->claim, rc = 0;

	if (claim >= 0) {
		rc = run_lock_range(claim, F_WRLCK, false, run_device_byte(&dev->d.address), 1);
		if (rc == -EBUSY) /* it is being unbound */
			return -ENODEV;
		if (rc)
			return rc;
		follow(dev);
	}
	if (dev->d.vdev)
		return 0;
	if (claim >= 0)
		run_lock_range(claim, F_UNLCK, false, run_device_byte(&dev->d.address), 1);
	return -ENODEV;
}

/* vfio_env's */
int machine_use_device(void *arg, unsigned group, const char *name, bool take)
{
	struct machine *m = arg;
	struct machine_group *g;
	struct plugged *dev;
	int rc = 0;

	pthread_mutex_lock(&m->plug_lock);
	g = group_of(m, group);
	dev = g ? find(m, g, is_named, name) : NULL;
	if (!dev)
		rc = -ENODEV;
	else if (take && !dev->opens)
		rc = use_first(dev);
	if (!rc && take)
		dev->opens++;
	else if (!rc && !--dev->opens && g->claim >= 0)
		run_lock_range(g->claim, F_UNLCK, false, run_device_byte(&dev->d.address), 1);
	pthread_mutex_unlock(&m->plug_lock);
	if (!rc && take)
		machine_happen_open(m, name);
	return rc;
}

/* ---- whose the DMA of a group is ---- */

static bool is_unsafe(struct plugged *dev, const void *arg)
{
	return !run_driver_is_safe(dev->driver);
}

static int check_viable(struct machine *m, struct machine_group *g)
{
	const struct plugged *dev;

	if (m->run_dir)
		find(m, g, follow_one, NULL);
	dev = find(m, g, is_unsafe, NULL);
	if (!dev)
		return 0;
	return report_info("group-not-viable", dev->d.addr, -EPERM,
			   "group %u is not viable: this device of it has the driver %s", g->id,
			   dev->driver);
}

void machine_disown(struct machine_group *g)
{
	if (--g->owners || g->claim < 0)
		return;
	run_lock_range(g->claim, F_UNLCK, false, RUN_LOCK_OWNER, 1);
}

/* vfio_env's */
int machine_own(void *arg, unsigned group, bool take)
{
	struct machine *m = arg;
	struct machine_group *g;
	int rc = 0;

	pthread_mutex_lock(&m->plug_lock);
	g = group_of(m, group);
	if (!g) {
		rc = -ENODEV;
	} else if (!take) {
		machine_disown(g);
	} else if (!g->owners++) {
		/* who binds a driver meanwhile has it for a moment */
		if (g->claim >= 0)
			rc = run_lock_range(g->claim, F_WRLCK, true, RUN_LOCK_OWNER, 1);
		if (!rc)
			rc = check_viable(m, g);
		if (rc)
			machine_disown(g);
	}
	pthread_mutex_unlock(&m->plug_lock);
	return rc;
}

/* vfio_env's */
bool machine_viable(void *arg, unsigned group)
{
	struct machine *m = arg;
	struct machine_group *g;
	bool viable;

	pthread_mutex_lock(&m->plug_lock);
	g = group_of(m, group);
	viable = g && !check_viable(m, g);
	pthread_mutex_unlock(&m->plug_lock);
	return viable;
}
