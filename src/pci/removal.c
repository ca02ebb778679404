/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pci/removal.c: what happens to a function from outside: it is pulled out of its slot, its cable
 * is.
 */
#include <errno.h>

#include "pci/internal.h"

bool pci_function_is_lost(const pci_function *fn)
{
	return atomic_load_explicit(&fn->lost, memory_order_acquire) ||
	       (fn->vf.pf && atomic_load_explicit(&fn->vf.pf->lost, memory_order_acquire));
}

/*
 * As a VF that is not enabled: decoding, bus mastering and messages are derived from that, so no
 * hot path knows of it.
 */
void pci_function_lose(pci_function *fn)
{
	unsigned effects;

	pthread_mutex_lock(&fn->lock);
	atomic_store(&fn->lost, true);
	effects = pci_config_derive(fn);
	pthread_mutex_unlock(&fn->lock);
	pci_intx_update(fn);
	if (fn->iov)
		effects |= pci_vfs_derive(fn);
	pci_pages_follow(fn);
	if (effects & EFFECT_SYNC)
		rcu_sync_all();
	pci_function_quiesce(fn);
	for (unsigned i = 0; i < pci_sriov_total(fn); i++) {
		pci_function *vf = uvfio_vf(fn, i);

		if (!vf)
			continue;
		pci_intx_update(vf);
		pci_function_quiesce(vf);
	}
}

int pci_function_link(pci_function *fn, bool up)
{
	if (!fn->model->link)
		return -EOPNOTSUPP;
	pci_model_enter(fn);
	fn->model->link(fn, up);
	pci_model_leave(fn);
	return 0;
}

int pci_function_link_up(pci_function *fn)
{
	bool up;

	if (!fn->model->link_up)
		return -EOPNOTSUPP;
	pci_model_enter(fn);
	up = fn->model->link_up(fn);
	pci_model_leave(fn);
	return up;
}
