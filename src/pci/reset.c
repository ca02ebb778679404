/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pci/reset.c: reset, and quiet before it. A reset puts config space back first, which stops DMA
 * and messages and waits for those under way; only then is the model asked, so that nothing it does
 * while it resets reaches memory.
 */
#include "base/event.h"
#include "iommu/page_request.h"
#include "pci/internal.h"

bool pci_can_reset_by(const pci_function *fn, enum pci_reset_method how)
{
	switch (how) {
	case PCI_RESET_FLR:
		return fn->cap.exp_flr;
	case PCI_RESET_AF_FLR:
		return fn->cap.af;
	case PCI_RESET_PM:
		return fn->cap.pm && !fn->cap.no_soft_reset;
	}
	return false;
}

bool pci_can_reset(const pci_function *fn)
{
	return pci_can_reset_by(fn, PCI_RESET_FLR) || pci_can_reset_by(fn, PCI_RESET_AF_FLR) ||
	       pci_can_reset_by(fn, PCI_RESET_PM);
}

void pci_function_reset(pci_function *fn, enum uvfio_reset_kind kind)
{
	unsigned effects;

	EVENT(EVENT_RESET, .who = fn->name, .what = kind);
	pci_model_enter(fn);
	pthread_mutex_lock(&fn->lock);
	pci_config_defaults(fn, kind);
	pci_msix_table_reset(fn);
	pci_msi_clear_pending(fn, GATE_MSI);
	pci_msi_masks_changed(fn);
	effects = pci_config_derive(fn);
	pthread_mutex_unlock(&fn->lock);
	atomic_fetch_and(&fn->intx.state, ~INTX_LEVEL);
	if (effects & EFFECT_VFS)
		effects |= pci_vfs_derive(fn);
	pci_intx_update(fn);
	pci_pages_follow(fn);
	/* another device's access ends before this; or it waits for the turn, so not for it here */
	if (effects & EFFECT_SYNC && fn->model->concurrent)
		rcu_sync_all();
	else if (effects & EFFECT_SYNC)
		rcu_sync();
	iommu_pri_reset(&fn->iommu);
	if (fn->model->reset)
		fn->model->reset(fn, kind);
	uvfio_forget(fn); /* last: the model may have waited for what was under way */
	pci_model_leave(fn);
	if (effects & EFFECT_VFS)
		pci_vfs_tell(fn);
}

void pci_function_quiesce(pci_function *fn)
{
	if (!fn->model->quiesce)
		return;
	pci_model_enter(fn);
	fn->model->quiesce(fn);
	pci_model_leave(fn);
}
