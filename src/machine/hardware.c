/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine/hardware.c: a device that is plugged in gets its hardware from its provider, and gives it
 * back. Made from the chip up: the device, its addresses on the bus, its driver, its group.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "machine/internal.h"
#include "vfio/abi.h"

/*
 * Show in dev->d what the provider made. What stays is not written: who has the device open may
 * look at its face while it gets another driver.
 */
static void show(struct plugged *dev)
{
	const struct pci_face *face = dev->hw ? &dev->hw->face : NULL;
	struct vfio_device *vdev = dev->hw ? dev->hw->vdev : NULL;

	if (dev->d.face != face)
		dev->d.face = face;
	if (dev->d.vdev != vdev)
		dev->d.vdev = vdev;
}

struct machine_request machine_request(struct plugged *dev)
{
	return (struct machine_request){
		.model = dev->spec.model,
		.opts = dev->spec.opts,
		.num_opts = dev->spec.num_opts,
		.address = dev->d.address,
		.name = dev->d.addr,
		.multi = dev->spec.bus_kind == MACHINE_BUS_PORT,
		.run = dev->run,
		.devices = dev->m->loop,
		.irqs = dev->m->sys->loop,
		.token_changed = machine_keep_token,
		.arg = dev,
	};
}

int machine_bind(struct plugged *dev, const struct plugged *as)
{
	const char *host = dev->hw->face.sriov.host_driver;
	int rc = 0;

	if (machine_is_vfio(dev))
		rc = dev->hw->provider->bind(dev->hw, NULL);
	else if (host && !strcmp(dev->driver, host))
		rc = dev->hw->provider->bind(dev->hw, host);
	show(dev);
	if (!rc && dev->d.vdev)
		machine_set_mmap(dev, as);
	if (!rc)
		machine_catch_up(dev);
	return rc;
}

void machine_unbind(struct plugged *dev)
{
	if (dev->hw)
		dev->hw->provider->unbind(dev->hw);
	show(dev);
}

/* True if no device has any of the bus's addresses in [@from, @to). */
static bool are_free(const struct machine *m, const struct machine_spaces *from,
		     const struct machine_spaces *to)
{
	for (unsigned i = 0; i < m->num_plugged; i++)
		if (machine_spaces_overlap(from, to, &m->plugged[i]->spaces, &m->plugged[i]->after))
			return false;
	return true;
}

/* Give @dev addresses behind those of others or, if there are none left, where some went. */
static int find_addresses(struct plugged *dev, struct machine_spaces *end, char **err)
{
	const struct machine *m = dev->m;
	struct machine_spaces from, to;
	int rc = machine_assign(end, &dev->hw->face, dev->d.addr, err);

	for (unsigned i = 0; rc == -ENOSPC && !dev->settled && i <= m->num_plugged; i++) {
		machine_spaces_init(&from);
		if (i)
			from = m->plugged[i - 1]->after;
		to = from;
		if (machine_assign(&to, &dev->hw->face, dev->d.addr, NULL))
			continue;
		if (dev->bus)
			machine_spaces_window(&to);
		if (!are_free(m, &from, &to))
			continue;
		if (err) {
			free(*err);
			*err = NULL;
		}
		dev->spaces = from;
		*end = to;
		rc = 0;
	}
	return rc;
}

int machine_make_hardware(struct plugged *dev, char **err)
{
	struct machine_request r = machine_request(dev);
	struct machine_spaces spaces = dev->spaces;
	int rc;

	rc = dev->provider->make(&r, &dev->hw, err);
	if (rc) {
		dev->hw = NULL;
		return rc;
	}
	show(dev);
	if (!dev->provider->is_real)
		rc = find_addresses(dev, &spaces, err);
	if (!rc)
		rc = machine_pf_init(dev, err);
	if (rc)
		return rc;
	rc = machine_bind(dev, dev);
	/* the driver of 2010 refuses it: then it has none, which the log says */
	if (rc && vfio_abi()->v3) {
		machine_set_driver(dev, MACHINE_NO_DRIVER);
		rc = 0;
	}
	if (rc)
		return machine_fail(err, rc, "%s at %s: cannot have a driver: %s", dev->spec.model,
				    dev->d.addr, strerror(-rc));
	if (dev->spec.mmap == MACHINE_MMAP_SHARED && !dev->provider->shares_memory)
		return machine_fail(err, -EOPNOTSUPP,
				    "%s at %s: mmap=shared: it has no memory of a model",
				    dev->spec.model, dev->d.addr);
	rc = machine_set_migration(dev, dev);
	if (rc)
		return machine_fail(
			err, rc, "%s at %s: migration=on: %s", dev->spec.model, dev->d.addr,
			rc == -EOPNOTSUPP ? "the model cannot save its state"
			: rc == -ENOSYS	  ? "the interface of 2010 (--abi v3) has no migration"
					  : strerror(-rc));
	/* the next device's begin behind it */
	if (dev->bus)
		machine_spaces_window(&spaces);
	if (!dev->settled) {
		dev->after = spaces;
		machine_spaces_raise(&dev->m->spaces, &spaces);
	}
	return 0;
}

int machine_make(struct plugged *dev, char **err)
{
	int rc = machine_make_hardware(dev, err);

	if (!rc) {
		machine_take_state(dev);
		rc = machine_plug(dev);
		if (rc)
			machine_fail(err, rc, "%s at %s: cannot be plugged in: %s", dev->spec.model,
				     dev->d.addr, strerror(-rc));
	}
	if (rc)
		machine_unmake(dev);
	return rc;
}

int machine_plug(struct plugged *dev)
{
	int rc = iommu_group_add(dev->group->iommu, dev->hw->iommu);

	dev->hw->iommu->no_iommu = dev->m->noiommu != MACHINE_HAS_IOMMU;
	if (rc || !dev->d.vdev)
		return rc;
	dev->d.vdev->reset_scope = dev->place.scope;
	dev->d.vdev->below_port = machine_below_port(dev);
	rc = vfio_group_add_device(dev->group->vfio, dev->d.vdev);
	if (rc)
		iommu_group_remove(dev->group->iommu, dev->hw->iommu);
	return rc;
}

void machine_unplug(struct plugged *dev)
{
	if (!dev->group || !dev->hw)
		return;
	if (dev->d.vdev)
		vfio_group_remove_device(dev->group->vfio, dev->d.vdev);
	iommu_group_remove(dev->group->iommu, dev->hw->iommu);
}

void machine_unmake(struct plugged *dev)
{
	if (dev->vfs)
		machine_unmake_vfs(dev);
	machine_unplug(dev);
	machine_leave_state(dev);
	if (dev->hw)
		dev->hw->provider->free(dev->hw);
	dev->hw = NULL;
	show(dev);
}

void machine_abandon(struct plugged *dev)
{
	if (dev->hw && dev->hw->provider->abandon)
		dev->hw->provider->abandon(dev->hw);
	for (unsigned i = 0; dev->vfs && i < dev->layout.total; i++)
		if (dev->vfs[i])
			machine_abandon(dev->vfs[i]);
}

void machine_plugged_free(struct plugged *dev)
{
	machine_unmake(dev);
	machine_drop_vfs(dev);
	machine_spec_free(&dev->spec);
	free(dev->d.id);
	free(dev);
}

int machine_set_migration(struct plugged *dev, const struct plugged *as)
{
	if (!as->spec.migration || !dev->d.vdev)
		return 0;
	return dev->hw->provider->set_migration ? dev->hw->provider->set_migration(dev->hw)
						: -EOPNOTSUPP;
}

int machine_let_migrate(struct machine_device *d)
{
	struct machine_hardware *hw = container_of_type(d, struct plugged, d)->hw;

	if (d->vdev->migrate)
		return 0;
	return hw->provider->set_migration ? hw->provider->set_migration(hw) : -EOPNOTSUPP;
}

void machine_set_mmap(struct plugged *dev, const struct plugged *as)
{
	bool off = dev->m->mmap_auto_off && as->spec.mmap == MACHINE_MMAP_AUTO &&
		   !dev->hw->provider->is_real;

	if (dev->hw->provider->set_mmap)
		dev->hw->provider->set_mmap(dev->hw, off ? MACHINE_MMAP_OFF : as->spec.mmap);
}
