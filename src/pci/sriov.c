/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pci/sriov.c: SR-IOV: the capability of a PF, and how its VFs follow it. PCIe 6.0, 9.
 *
 * Whether a VF is there is written in its PF's config space. pci_config_derive() of the PF brings
 * it into a few atomics, which each VF's own pci_config_derive() reads: so a VF's DMA, messages and
 * BARs go by the same gates as everybody's, and the hot paths know nothing of SR-IOV. A change of
 * the PF therefore comes in three steps, of which only the last calls a model: the atomics (under
 * the PF's lock), each VF's derivation (under the VF's), and the telling.
 */
#include <errno.h>
#include <stdlib.h>

#include "pci/internal.h"

#define VFS_MAX 255u
/* 9.3.3.13: these are the sizes that every PF supports: 4 and 8 KiB, 64 and 256 KiB, 1 and 4 MiB */
#define PAGE_SIZES 0x553u

/* Fill in the VF BARs: one has whole pages, and a VF's part of it starts at one. 9.3.3.14 */
static int copy_bars(struct uvfio_dev *dev, struct pci_sriov *iov)
{
	unsigned at = dev->cap.sriov + PCI_SRIOV_BAR;

	for (unsigned i = 0; i < PCI_BARS; i++, at += 4) {
		uint64_t size = iov->is.bars[i].size, max;
		unsigned flags = iov->is.bars[i].flags;
		bool wide = flags & UVFIO_BAR_64;

		if (!size)
			continue;
		max = wide ? 1ull << 40 : 1ull << 31; /* as in bars.c */
		if (flags & ~(UVFIO_BAR_64 | UVFIO_BAR_PREFETCH) || !is_pow2(size) || size > max ||
		    (wide && (i + 1 >= PCI_BARS || iov->is.bars[i + 1].size)))
			return uvfio_error(dev,
					   "VF BAR%u: memory, of a power of two of bytes, and a "
					   "64-bit one takes two",
					   i);
		if (size < PAGE_SIZE_4K)
			iov->is.bars[i].size = size = PAGE_SIZE_4K;
		put32(dev->cfg.bytes + at,
		      (wide ? PCI_BASE_ADDRESS_MEM_TYPE_64 : 0) |
			      (flags & UVFIO_BAR_PREFETCH ? PCI_BASE_ADDRESS_MEM_PREFETCH : 0));
		put32(dev->cfg.wmask + at, (uint32_t) ~(size - 1));
		if (wide)
			put32(dev->cfg.wmask + at + 4, (uint32_t)(~(size - 1) >> 32));
	}
	return 0;
}

static int check(struct uvfio_dev *dev, const struct uvfio_sriov *is, struct uvfio_model *vf)
{
	char why[256] = "there is none";

	if (!dev->create.now || dev->vf.pf)
		return -EINVAL;
	if (!is->vf || pci_model_take(is->vf, vf, why, sizeof(why)))
		return uvfio_error(dev, "the VFs' model: %s", why);
	if (vf->options && vf->options->name)
		return uvfio_error(dev, "the VFs' model: not one that this uvfio can use");
	if (vf->concurrent != dev->model->concurrent)
		return uvfio_error(dev, "of PF and VFs, one is concurrent and one is not");
	if (!is->total_vfs || is->total_vfs > VFS_MAX || !is->first_vf_offset || !is->vf_stride)
		return uvfio_error(dev, "SR-IOV: 1 to %u VFs, with an offset and a stride",
				   VFS_MAX);
	if (!is->host_driver != !is->host_drives)
		return uvfio_error(dev, "SR-IOV: a driver of the host has a name and a function");
	return 0;
}

int uvfio_add_sriov(struct uvfio_dev *dev, const struct uvfio_sriov *sriov)
{
	struct uvfio_model vf;
	struct pci_sriov *iov;
	uint8_t *c, *w;
	int off;

	off = check(dev, sriov, &vf);
	if (off)
		return off;
	off = pci_ext_cap_new(dev, PCI_EXT_CAP_ID_SRIOV, 1, PCI_EXT_CAP_SRIOV_SIZEOF, NULL, NULL);
	if (off < 0)
		return off;
	iov = calloc(1, sizeof(*iov));
	if (!iov)
		return -ENOMEM;
	iov->is = *sriov;
	iov->vf = vf;
	iov->is.vf = &iov->vf;
	iov->vfs = calloc(sriov->total_vfs, sizeof(*iov->vfs));
	dev->iov = iov;
	dev->cap.sriov = (unsigned)off;
	if (!iov->vfs)
		return -ENOMEM;
	c = dev->cfg.bytes + off;
	w = dev->cfg.wmask + off;
	/*
	 * ARI is what the bridge above would have to have switched on: it can be set, and the
	 * places of VFs stay
	 */
	put16(w + PCI_SRIOV_CTRL, PCI_SRIOV_CTRL_VFE | PCI_SRIOV_CTRL_MSE | PCI_SRIOV_CTRL_ARI);
	put16(c + PCI_SRIOV_INITIAL_VF,
	      sriov->total_vfs); /* without MR-IOV they are the same: 9.3.3.5 */
	put16(c + PCI_SRIOV_TOTAL_VF, sriov->total_vfs);
	put16(w + PCI_SRIOV_NUM_VF, 0xffff);
	put16(c + PCI_SRIOV_VF_OFFSET, sriov->first_vf_offset);
	put16(c + PCI_SRIOV_VF_STRIDE, sriov->vf_stride);
	put16(c + PCI_SRIOV_VF_DID, sriov->vf_device_id);
	/* System Page Size stays what it is at power-on: no platform here has other pages */
	put32(c + PCI_SRIOV_SUP_PGSIZE, PAGE_SIZES);
	put32(c + PCI_SRIOV_SYS_PGSIZE, 1);
	if (copy_bars(dev, iov))
		return -EINVAL;
	return off;
}

void pci_sriov_free(pci_function *pf)
{
	if (!pf->iov)
		return;
	free((void *)pf->iov->vfs);
	free(pf->iov);
}

/* ---- how the VFs follow ---- */

bool pci_sriov_frozen(const pci_function *pf, unsigned off)
{
	/*
	 * 9.3.3.3.1: while VF Enable is set these must not be changed, and nothing good would come
	 * of it
	 */
	return get16(pf->cfg.bytes + pf->cap.sriov + PCI_SRIOV_CTRL) & PCI_SRIOV_CTRL_VFE &&
	       ((off >= pf->cap.sriov + PCI_SRIOV_NUM_VF &&
		 off < pf->cap.sriov + PCI_SRIOV_NUM_VF + 2) ||
		(off >= pf->cap.sriov + PCI_SRIOV_BAR && off < pf->cap.sriov + PCI_SRIOV_VFM));
}

unsigned pci_sriov_derive(pci_function *pf)
{
	struct pci_sriov *iov = pf->iov;
	const uint8_t *c = pf->cfg.bytes + pf->cap.sriov;
	uint16_t ctrl = get16(c + PCI_SRIOV_CTRL);
	bool awake = pci_config_power(pf) == 0, mse = ctrl & PCI_SRIOV_CTRL_MSE;
	unsigned on = ctrl & PCI_SRIOV_CTRL_VFE ? get16(c + PCI_SRIOV_NUM_VF) : 0, old;
	bool changed;
	pci_function *vf;

	if (on > iov->is.total_vfs)
		on = iov->is.total_vfs;
	old = atomic_exchange(&iov->on, on);
	changed = old != on;
	changed |= atomic_exchange(&iov->awake, awake) != awake;
	changed |= atomic_exchange(&iov->mse, mse) != mse;
	for (unsigned i = on; i < old; i++) {
		vf = atomic_load(&iov->vfs[i]);
		if (vf)
			atomic_store(&vf->vf.cut, true);
		atomic_store(&iov->cut, true);
	}
	return changed ? EFFECT_VFS : 0;
}

unsigned pci_vfs_derive(pci_function *pf)
{
	unsigned effects = 0;
	pci_function *vf;

	for (unsigned i = 0; i < pf->iov->is.total_vfs; i++) {
		vf = atomic_load(&pf->iov->vfs[i]);
		if (!vf)
			continue;
		pthread_mutex_lock(&vf->lock);
		effects |= pci_config_derive(vf);
		pthread_mutex_unlock(&vf->lock);
		pci_pages_follow(vf);
		if (effects & EFFECT_FLUSH)
			pci_msi_flush(vf);
	}
	return effects & EFFECT_SYNC;
}

static void tell_model(pci_function *pf, unsigned num)
{
	if (pf->iov->told == num)
		return;
	pf->iov->told = num;
	if (!pf->iov->is.vfs_changed)
		return;
	pci_model_enter(pf);
	pf->iov->is.vfs_changed(pf, num);
	pci_model_leave(pf);
}

/* As in intx.c: a thread that comes meanwhile leaves a count; the models hear the newest last. */
void pci_vfs_tell(pci_function *pf)
{
	struct pci_sriov *iov = pf->iov;
	unsigned seen;
	pci_function *vf;

	if (atomic_fetch_add(&iov->busy, 1))
		return;
	do {
		seen = atomic_load(&iov->busy);
		if (atomic_exchange(&iov->cut, false))
			tell_model(pf, 0);
		for (unsigned i = 0; i < iov->is.total_vfs; i++) {
			vf = atomic_load(&iov->vfs[i]);
			if (vf && atomic_exchange(&vf->vf.cut, false))
				pci_function_reset(vf, UVFIO_RESET_PF);
		}
		tell_model(pf, atomic_load(&iov->on));
	} while (atomic_fetch_sub(&iov->busy, seen) != seen);
}

unsigned pci_sriov_restore(pci_function *pf)
{
	uint8_t *c = pf->cfg.bytes + pf->cap.sriov;
	uint16_t ctrl = get16(c + PCI_SRIOV_CTRL);

	if (!pf->iov->wanted || ctrl & PCI_SRIOV_CTRL_VFE)
		return 0;
	put16(c + PCI_SRIOV_NUM_VF, (uint16_t)pf->iov->wanted);
	put16(c + PCI_SRIOV_CTRL, ctrl | PCI_SRIOV_CTRL_VFE | PCI_SRIOV_CTRL_MSE);
	return EFFECT_CHANGED;
}

/* ---- making VFs ---- */

int pci_vf_attach(pci_function *vf)
{
	pci_function *pf = vf->vf.pf, *none = NULL;

	if (!atomic_compare_exchange_strong(&pf->iov->vfs[vf->vf.index], &none, vf))
		return -EEXIST;
	return 0;
}

void pci_vf_detach(pci_function *vf)
{
	pci_function *self = vf;

	atomic_compare_exchange_strong(&vf->vf.pf->iov->vfs[vf->vf.index], &self, NULL);
}

/* ---- the platform ---- */

pci_function *pci_function_pf(const pci_function *fn)
{
	return fn->vf.pf;
}

const struct uvfio_sriov *pci_sriov_info(const pci_function *pf)
{
	return pf->iov ? &pf->iov->is : NULL;
}

unsigned pci_sriov_total(const pci_function *fn)
{
	return fn->iov ? fn->iov->is.total_vfs : 0;
}

int pci_sriov_set(pci_function *pf, unsigned num)
{
	unsigned ctrl;

	if (!pf->iov || num > pf->iov->is.total_vfs)
		return -EINVAL;
	pthread_mutex_lock(&pf->lock);
	pf->iov->wanted = num;
	pthread_mutex_unlock(&pf->lock);
	ctrl = pci_config_read(pf, pf->cap.sriov + PCI_SRIOV_CTRL, 2) &
	       ~(PCI_SRIOV_CTRL_VFE | PCI_SRIOV_CTRL_MSE);
	if (!num)
		pci_config_write(pf, pf->cap.sriov + PCI_SRIOV_CTRL, 2, ctrl);
	pci_config_write(pf, pf->cap.sriov + PCI_SRIOV_NUM_VF, 2, num);
	if (num)
		pci_config_write(pf, pf->cap.sriov + PCI_SRIOV_CTRL, 2,
				 ctrl | PCI_SRIOV_CTRL_VFE | PCI_SRIOV_CTRL_MSE);
	return 0;
}

void pci_sriov_host_drives(pci_function *pf)
{
	pci_model_enter(pf);
	pf->iov->is.host_drives(pf);
	pci_model_leave(pf);
}

/* ---- the model's side ---- */

struct uvfio_dev *uvfio_pf(const struct uvfio_dev *dev)
{
	return dev->vf.pf;
}

unsigned uvfio_vf_index(const struct uvfio_dev *vf)
{
	return vf->vf.index;
}

struct uvfio_dev *uvfio_vf(struct uvfio_dev *pf, unsigned index)
{
	return index < pci_sriov_total(pf) ? atomic_load(&pf->iov->vfs[index]) : NULL;
}

unsigned uvfio_num_vfs(const struct uvfio_dev *pf)
{
	return pf->iov ? atomic_load(&pf->iov->on) : 0;
}
