/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reset and power states. A reset puts config space back first, which stops DMA and messages and
 * waits for those under way; only then is the model asked, so that nothing it does while it resets
 * reaches memory.
 */
#include <errno.h>

#include "pci/internal.h"

/* PCI PM 1.2, 3.2: version 3, D0 and D3hot, no PME */
int uvfio_add_pm(struct uvfio_dev *dev, bool no_soft_reset)
{
	int off;

	off = pci_cap_new(dev, PCI_CAP_ID_PM, PCI_PM_SIZEOF, NULL, NULL);
	if (off < 0)
		return off;
	dev->pm = (unsigned)off;
	dev->no_soft_reset = no_soft_reset;
	put16(dev->cfg + off + PCI_PM_PMC, 3);
	put16(dev->cfg + off + PCI_PM_CTRL, no_soft_reset ? PCI_PM_CTRL_NO_SOFT_RESET : 0);
	return off;
}

bool pci_can_reset(const pci_function *fn)
{
	return fn->exp_flr || fn->af || (fn->pm && !fn->no_soft_reset);
}

void pci_function_reset(pci_function *fn, enum uvfio_reset_kind kind)
{
	unsigned effects;

	pci_model_enter(fn);
	pthread_mutex_lock(&fn->lock);
	pci_config_defaults(fn, kind);
	pci_msix_table_reset(fn);
	pci_msi_clear_pending(fn, GATE_MSI);
	pci_msi_masks_changed(fn);
	effects = pci_config_derive(fn);
	pthread_mutex_unlock(&fn->lock);
	atomic_fetch_and(&fn->intx, ~INTX_LEVEL);
	if (effects & EFFECT_VFS)
		effects |= pci_vfs_derive(fn);
	pci_config_effects(fn, effects & EFFECT_SYNC);
	if (fn->model->reset)
		fn->model->reset(fn, kind);
	pci_model_leave(fn);
	if (effects & EFFECT_VFS)
		pci_vfs_tell(fn);
}

unsigned pci_power_state(pci_function *fn)
{
	unsigned d;

	pthread_mutex_lock(&fn->lock);
	d = pci_config_power(fn);
	pthread_mutex_unlock(&fn->lock);
	return d;
}

void pci_function_quiesce(pci_function *fn)
{
	if (!fn->model->quiesce)
		return;
	pci_model_enter(fn);
	fn->model->quiesce(fn);
	pci_model_leave(fn);
}
