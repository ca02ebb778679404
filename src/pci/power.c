/* SPDX-License-Identifier: BSD-3-Clause */
/* pci/power.c: power management: the capability, and the D-state that it holds. */
#include <errno.h>

#include "pci/internal.h"

/* the D-states that there are: D0, D3hot, D3cold */
#define PME_STATES (1u | 8u | 16u)

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

int uvfio_add_pme(struct uvfio_dev *dev, unsigned states)
{
	unsigned pmc = dev->cap.pm + PCI_PM_PMC, ctrl = dev->cap.pm + PCI_PM_CTRL;

	if (!dev->create.now || !dev->cap.pm || !states || states & ~PME_STATES)
		return -EINVAL;
	put16(dev->cfg.bytes + pmc, (uint16_t)(get16(dev->cfg.bytes + pmc) | states << 11));
	put16(dev->cfg.wmask + ctrl, get16(dev->cfg.wmask + ctrl) | PCI_PM_CTRL_PME_ENABLE);
	put16(dev->cfg.w1c + ctrl, get16(dev->cfg.w1c + ctrl) | PCI_PM_CTRL_PME_STATUS);
	put16(dev->cfg.sticky + ctrl,
	      get16(dev->cfg.sticky + ctrl) | PCI_PM_CTRL_PME_ENABLE | PCI_PM_CTRL_PME_STATUS);
	return 0;
}

void uvfio_pme(struct uvfio_dev *dev)
{
	uint8_t *c = dev->cfg.bytes + dev->cap.pm;
	const struct pci_irq_sink *sink;
	bool can, on = false;

	pthread_mutex_lock(&dev->lock);
	can = dev->cap.pm && pci_present(dev) &&
	      get16(c + PCI_PM_PMC) >> 11 & 1u << pci_config_power(dev);
	if (can) {
		put16(c + PCI_PM_CTRL, get16(c + PCI_PM_CTRL) | PCI_PM_CTRL_PME_STATUS);
		on = get16(c + PCI_PM_CTRL) & PCI_PM_CTRL_PME_ENABLE;
	}
	pthread_mutex_unlock(&dev->lock);
	report_debug("pme", dev->name, 0, "PME%s",
		     on	   ? ""
		     : can ? ": it is not enabled"
			   : ": there is none from this D-state");
	if (!on)
		return;
	rcu_read_begin();
	sink = pci_sink(dev);
	if (sink && sink->pme)
		sink->pme(sink->arg);
	rcu_read_end();
}

unsigned pci_power_state(pci_function *fn)
{
	unsigned d;

	pthread_mutex_lock(&fn->lock);
	d = pci_config_power(fn);
	pthread_mutex_unlock(&fn->lock);
	return d;
}
