/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine/reset.c: the host resets a device alone: by which methods is said in the view of the run,
 * which anybody may have written; and somebody wrote `reset`, and this process has the device.
 */
#include <errno.h>

#include "base/util.h"
#include "machine/internal.h"
#include "machine/run/run.h"

/* vfio_env's */
int machine_reset_methods(void *arg, const struct pci_address *at, enum vfio_reset_method *out)
{
	static const enum vfio_reset_method of[] = {
		[RUN_RESET_FLR] = VFIO_RESET_BY_FLR,
		[RUN_RESET_AF_FLR] = VFIO_RESET_BY_AF_FLR,
		[RUN_RESET_PM] = VFIO_RESET_BY_PM,
		[RUN_RESET_BUS] = VFIO_RESET_BY_BUS,
	};
	_Static_assert(RUN_RESET_METHODS <= VFIO_RESET_METHODS, "the caller has room");
	enum run_reset_method all[RUN_RESET_METHODS];
	const struct machine *m = arg;
	char addr[PCI_ADDRESS_TEXT];
	int n;

	if (!m->run_dir)
		return -ENOENT;
	pci_address_print(at, addr);
	n = run_reset_methods(m->run_dir, addr, all);
	for (int i = 0; i < n; i++)
		out[i] = of[all[i]];
	return n;
}

/* Reset a device that vfio-pci does not have. */
static int reset_foreign(struct machine *m, struct plugged *dev)
{
	enum vfio_reset_method all[VFIO_RESET_METHODS];
	int n = machine_reset_methods(m, &dev->d.address, all), rc = -ENOTTY;

	for (int i = 0; i < n && rc == -ENOTTY; i++)
		/* on a bus that is shared it may not be alone */
		if (dev->hw->provider->reset &&
		    (all[i] != VFIO_RESET_BY_BUS ||
		     (!dev->pf && dev->spec.bus_kind == MACHINE_BUS_OWN)))
			rc = dev->hw->provider->reset(dev->hw, all[i]);
	return rc;
}

int machine_reset(struct machine *m, const char *addr)
{
	struct machine_device *d;
	struct plugged *dev;
	int rc = -ENODEV;

	pthread_mutex_lock(&m->plug_lock);
	d = machine_find(m, addr);
	dev = d ? container_of_type(d, struct plugged, d) : NULL;
	if (dev && dev->hw)
		rc = dev->d.vdev ? vfio_device_host_reset(dev->d.vdev) : reset_foreign(m, dev);
	pthread_mutex_unlock(&m->plug_lock);
	return rc;
}
