/* SPDX-License-Identifier: BSD-3-Clause */
/* pci/power.c: power management: the capability, and the D-state that it holds. */
#include "pci/internal.h"

/* PCI PM 1.2, 3.2: version 3, D0 and D3hot, no PME */
int uvfio_add_pm(struct uvfio_dev *dev, bool no_soft_reset)
{
	int off;

	off = pci_cap_new(dev, PCI_CAP_ID_PM, PCI_PM_SIZEOF, NULL, NULL);
	if (off < 0)
		return off;
	dev->cap.pm = (unsigned)off;
	dev->cap.no_soft_reset = no_soft_reset;
	put16(dev->cfg.bytes + off + PCI_PM_PMC, 3);
	put16(dev->cfg.bytes + off + PCI_PM_CTRL, no_soft_reset ? PCI_PM_CTRL_NO_SOFT_RESET : 0);
	return off;
}

unsigned pci_power_state(pci_function *fn)
{
	unsigned d;

	pthread_mutex_lock(&fn->lock);
	d = pci_config_power(fn);
	pthread_mutex_unlock(&fn->lock);
	return d;
}
