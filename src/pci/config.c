/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pci/config.c: config space as the bus sees it. A write changes the bits that its masks allow;
 * what else it does (reset, power, decoding, bus mastering, messages let go) is collected as
 * effects under the lock and done after it, because most of them call the model or wait.
 */
#include <errno.h>

#include "pci/internal.h"

/*
 * Fill in the header as every function has it, with memory BARs or I/O. PCI 3.0, 6.2; PCIe 6.0,
 * 7.5.1.1.
 */
void pci_header_init(pci_function *fn)
{
	if (fn->vf.pf) {
		/* All else of a VF's header reads 0 and keeps it. PCIe 6.0, 9.3.4.1 */
		put16(fn->cfg.bytes + PCI_VENDOR_ID, 0xffff);
		put16(fn->cfg.bytes + PCI_DEVICE_ID, 0xffff);
		put16(fn->cfg.wmask + PCI_COMMAND, PCI_COMMAND_MASTER);
		put16(fn->cfg.w1c + PCI_STATUS, PCI_STATUS_RW1C);
		for (unsigned i = 0; i < PCI_BARS; i++)
			fn->bars[i] = (struct pci_bar){ fn->vf.pf->iov->is.bars[i].size,
							fn->vf.pf->iov->is.bars[i].flags };
		memset(fn->cfg.used, 0xff, PCI_STD_HEADER_SIZEOF / 8);
		return;
	}
	/*
	 * IO, MEM and MASTER can be set also by a function that has no such BAR, as on many chips.
	 * DisINTx becomes writable with the pin (uvfio_add_intx), Parity Error Response with PCI
	 * Express.
	 */
	put16(fn->cfg.wmask + PCI_COMMAND,
	      PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_SERR);
	put16(fn->cfg.w1c + PCI_STATUS, PCI_STATUS_RW1C);
	fn->cfg.wmask[PCI_CACHE_LINE_SIZE] = 0xff;
	fn->cfg.wmask[PCI_INTERRUPT_LINE] = 0xff;
	fn->cfg.bytes[PCI_HEADER_TYPE] = PCI_HEADER_TYPE_NORMAL;
	memset(fn->cfg.used, 0xff, PCI_STD_HEADER_SIZEOF / 8);
}

int uvfio_set_ids(struct uvfio_dev *dev, const struct uvfio_ids *ids)
{
	if (!dev->create.now || ids->class_code > 0xffffff)
		return -EINVAL;
	if (!dev->vf.pf) {
		put16(dev->cfg.bytes + PCI_VENDOR_ID, ids->vendor);
		put16(dev->cfg.bytes + PCI_DEVICE_ID, ids->device);
	} else if (ids->vendor != uvfio_config_get(dev->vf.pf, PCI_VENDOR_ID, 2) ||
		   ids->device != dev->vf.pf->iov->is.vf_device_id) {
		return uvfio_error(dev,
				   "a VF has its PF's vendor, and the device ID that the SR-IOV "
				   "capability tells");
	}
	put32(dev->cfg.bytes + PCI_CLASS_REVISION, ids->class_code << 8 | ids->revision);
	put16(dev->cfg.bytes + PCI_SUBSYSTEM_VENDOR_ID, ids->subsystem_vendor);
	put16(dev->cfg.bytes + PCI_SUBSYSTEM_ID, ids->subsystem);
	return 0;
}

unsigned pci_config_size(const pci_function *fn)
{
	return fn->cap.exp ? PCI_CFG_EXP_SIZE : PCI_CFG_SIZE;
}

unsigned pci_config_power(const pci_function *fn)
{
	return fn->cap.pm ? get16(fn->cfg.bytes + fn->cap.pm + PCI_PM_CTRL) & PCI_PM_CTRL_STATE_MASK
			  : 0;
}

static bool access_valid(const pci_function *fn, unsigned off, unsigned size)
{
	return (size == 1 || size == 2 || size == 4) && off % size == 0 &&
	       range_within(off, size, pci_config_size(fn));
}

/* Return a byte as it reads: some bits are not stored but show what is so at the moment. */
static uint8_t live_byte(const pci_function *fn, unsigned off)
{
	bool maskable = pci_config_flag(fn, fn->cap.msi, PCI_MSI_FLAGS, PCI_MSI_FLAGS_MASKBIT);
	unsigned pending = maskable ? fn->cap.msi + pci_msi_pending_offset(fn) : 0;
	uint8_t v = fn->cfg.bytes[off];

	if (off == PCI_STATUS &&
	    atomic_load_explicit(&fn->intx.state, memory_order_relaxed) & INTX_LEVEL)
		v |= PCI_STATUS_INTERRUPT;
	if (pending && off >= pending && off < pending + 4)
		v = (uint8_t)(pci_msi_pending(fn) >> 8 * (off - pending));
	return v;
}

static uint32_t read_locked(const pci_function *fn, unsigned off, unsigned size)
{
	uint32_t v = 0;

	for (unsigned i = 0; i < size; i++)
		v |= (uint32_t)live_byte(fn, off + i) << 8 * i;
	return v;
}

static uint32_t no_answer(unsigned size)
{
	return size < 4 ? (1u << 8 * size) - 1 : UINT32_MAX;
}

static uint32_t read_own(pci_function *fn, unsigned off, unsigned size)
{
	uint32_t v;

	if (!access_valid(fn, off, size))
		return no_answer(size);
	pthread_mutex_lock(&fn->lock);
	v = read_locked(fn, off, size);
	pthread_mutex_unlock(&fn->lock);
	return v;
}

uint32_t pci_config_read(pci_function *fn, unsigned off, unsigned size)
{
	return pci_present(fn) ? read_own(fn, off, size) : no_answer(size);
}

unsigned pci_config_derive(pci_function *fn)
{
	uint16_t command = get16(fn->cfg.bytes + PCI_COMMAND);
	/* a VF that is not enabled, or whose PF sleeps, does not get as far as its own registers */
	bool awake = pci_config_power(fn) == 0 && pci_present(fn) &&
		     (!fn->vf.pf || atomic_load(&fn->vf.pf->iov->awake));
	bool msix = pci_config_flag(fn, fn->cap.msix, PCI_MSIX_FLAGS, PCI_MSIX_FLAGS_ENABLE);
	bool msi = !msix && pci_config_flag(fn, fn->cap.msi, PCI_MSI_FLAGS, PCI_MSI_FLAGS_ENABLE);
	bool master = awake && command & PCI_COMMAND_MASTER;
	bool dma = master && !atomic_load(&fn->halt.dma);
	unsigned mode, gate, old_gate, decode = 0, messages, effects = 0;

	/*
	 * A message is a memory write by the function: no bus master, no message. PCI 3.0, 6.8.3;
	 * PCIe 6.0, 7.5.1.1.3
	 */
	gate = !master ? GATE_OFF : msix ? GATE_MSIX : msi ? GATE_MSI : GATE_OFF;
	old_gate = atomic_load_explicit(&fn->irq.gate, memory_order_relaxed);
	if (msi) {
		messages = (get16(fn->cfg.bytes + fn->cap.msi + PCI_MSI_FLAGS) &
			    PCI_MSI_FLAGS_QSIZE) >>
			   4;
		messages = 1u << messages;
		if (messages > fn->msi.vectors) /* reserved values of QSIZE too */
			messages = fn->msi.vectors;
		atomic_store_explicit(&fn->msi.modulo, messages - 1, memory_order_relaxed);
	}
	/*
	 * Pending messages are forgotten when messages are switched off, and again when they are
	 * switched on: one that was under way at the switching off may have left its bit behind.
	 */
	mode = msix ? UVFIO_IRQ_MSIX : msi ? UVFIO_IRQ_MSI : UVFIO_IRQ_INTX;
	if (mode != atomic_load(&fn->irq.mode)) {
		/* those of a stopped function are held back, or came with its state */
		if (!atomic_load(&fn->halt.irqs)) {
			pci_msi_clear_pending(fn, GATE_MSI);
			pci_msi_clear_pending(fn, GATE_MSIX);
		}
		atomic_store(&fn->irq.mode, mode);
	}
	atomic_store(&fn->irq.gate, gate);
	if (old_gate != GATE_OFF && gate != old_gate)
		effects |= EFFECT_SYNC;
	if (gate != GATE_OFF && gate != old_gate)
		effects |= EFFECT_FLUSH;

	if (awake && (fn->vf.pf ? atomic_load(&fn->vf.pf->iov->mse) : command & PCI_COMMAND_MEMORY))
		decode |= DECODE_MEM;
	if (awake && command & PCI_COMMAND_IO)
		decode |= DECODE_IO;
	if (atomic_exchange(&fn->decode, decode) & ~decode)
		effects |= EFFECT_SYNC; /* who is in a BAR leaves it first */

	if (!dma && !atomic_exchange(&fn->iommu.blocked, true))
		effects |= EFFECT_SYNC; /* DMA that began before ends before the write does */
	if (dma)
		atomic_store(&fn->iommu.blocked, false);

	if (msi || msix || !awake || atomic_load(&fn->halt.irqs) ||
	    (fn->intx.can_disable && command & PCI_COMMAND_INTX_DISABLE))
		atomic_fetch_or(&fn->intx.state, INTX_INHIBIT);
	/* a fall may have gone unseen meanwhile: a sink that looked is told again */
	else if (atomic_fetch_and(&fn->intx.state, ~INTX_INHIBIT) & INTX_INHIBIT)
		atomic_fetch_or(&fn->intx.state, INTX_ROSE);
	if (fn->iov)
		effects |= pci_sriov_derive(fn);
	return effects;
}

void pci_config_effects(pci_function *fn, unsigned effects)
{
	pci_intx_update(fn);
	if (effects & EFFECT_VFS)
		effects |= pci_vfs_derive(fn);
	pci_pages_follow(fn);
	if (effects & EFFECT_SYNC)
		rcu_sync_all();
	if (effects & EFFECT_FLUSH)
		pci_msi_flush(fn);
	if (effects & EFFECT_FLR)
		pci_function_reset(fn, UVFIO_RESET_FLR);
	if (effects & EFFECT_TO_D0 && !fn->cap.no_soft_reset)
		pci_function_reset(fn, UVFIO_RESET_D3);
	if (effects & (EFFECT_TO_D0 | EFFECT_TO_D3) && fn->model->power) {
		pci_model_enter(fn);
		fn->model->power(fn, effects & EFFECT_TO_D3 ? 3 : 0);
		pci_model_leave(fn);
	}
	if (effects & EFFECT_VFS)
		pci_vfs_tell(fn);
}

static void tell_model(pci_function *fn, unsigned off, unsigned size)
{
	if (!fn->model->config_written)
		return;
	pci_model_enter(fn);
	fn->model->config_written(fn, off, size);
	pci_model_leave(fn);
}

/* True if byte @reg of capability @cap is among the bytes written; *@value gets its value. */
static bool byte_written(unsigned cap, unsigned reg, unsigned off, unsigned size, uint32_t value,
			 uint8_t *out)
{
	unsigned at = cap + reg;

	if (!cap || at < off || at >= off + size)
		return false;
	*out = (uint8_t)(value >> 8 * (at - off));
	return true;
}

/*
 * Treat the bits that a mask cannot describe: they trigger, or take some values only. Under lock.
 */
static unsigned write_special(pci_function *fn, unsigned off, unsigned size, uint32_t value)
{
	unsigned effects = 0, d;
	uint8_t v;

	/*
	 * A state that the function does not have is not entered, the write is otherwise done. PCI
	 * PM 1.2, 3.2.4
	 */
	if (byte_written(fn->cap.pm, PCI_PM_CTRL, off, size, value, &v)) {
		d = v & PCI_PM_CTRL_STATE_MASK;
		if ((d == 0 || d == 3) && d != pci_config_power(fn)) {
			if (d == 0 && !fn->cap.no_soft_reset)
				pci_config_defaults(fn, UVFIO_RESET_D3);
			fn->cfg.bytes[fn->cap.pm + PCI_PM_CTRL] &= (uint8_t)~PCI_PM_CTRL_STATE_MASK;
			fn->cfg.bytes[fn->cap.pm + PCI_PM_CTRL] |= (uint8_t)d;
			effects |= EFFECT_CHANGED | (d ? EFFECT_TO_D3 : EFFECT_TO_D0);
		}
	}
	if (fn->cap.exp_flr &&
	    byte_written(fn->cap.exp, PCI_EXP_DEVCTL + 1, off, size, value, &v) &&
	    v & PCI_EXP_DEVCTL_BCR_FLR >> 8)
		effects |= EFFECT_FLR;
	if (byte_written(fn->cap.af, PCI_AF_CTRL, off, size, value, &v) && v & PCI_AF_CTRL_FLR)
		effects |= EFFECT_FLR;
	/*
	 * The flag is in the upper byte of the address; writing it starts the transfer. PCI 3.0,
	 * appendix I
	 */
	if (byte_written(fn->cap.vpd, PCI_VPD_ADDR + 1, off, size, value, &v))
		pci_vpd_transfer(fn);
	return effects;
}

void pci_config_write(pci_function *fn, unsigned off, unsigned size, uint32_t value)
{
	unsigned effects = 0;

	if (!access_valid(fn, off, size)) {
		report_debug("config-range", fn->name, 0,
			     "config write of %u bytes at 0x%x: there is nothing", size, off);
		return;
	}
	if (!pci_present(fn))
		return;
	pthread_mutex_lock(&fn->lock);
	for (unsigned i = 0; i < size; i++) {
		uint8_t *b = &fn->cfg.bytes[off + i], v = (uint8_t)(value >> 8 * i), old = *b;

		if (fn->iov && pci_sriov_frozen(fn, off + i))
			continue;
		*b = (uint8_t)((old & ~fn->cfg.wmask[off + i]) | (v & fn->cfg.wmask[off + i]));
		*b &= (uint8_t) ~(v & fn->cfg.w1c[off + i]);
		if (*b != old)
			effects |= EFFECT_CHANGED;
	}
	effects |= write_special(fn, off, size, value);
	if (effects & EFFECT_CHANGED) {
		pci_msi_masks_changed(fn);
		effects |= pci_config_derive(fn) | EFFECT_FLUSH;
	}
	pthread_mutex_unlock(&fn->lock);
	if (effects)
		pci_config_effects(fn, effects);
	if (effects & EFFECT_CHANGED)
		tell_model(fn, off, size);
}

void pci_config_defaults(pci_function *fn, enum uvfio_reset_kind kind)
{
	/* Bits that an FLR leaves alone though a hot reset does not. PCIe 6.0, 6.6.2 */
	static const struct {
		unsigned reg;
		uint16_t bits;
	} flr_keeps[] = {
		{ PCI_EXP_DEVCTL, PCI_EXP_DEVCTL_PAYLOAD },
		{ PCI_EXP_LNKCTL, PCI_EXP_LNKCTL_ASPMC | PCI_EXP_LNKCTL_RCB | PCI_EXP_LNKCTL_CCC |
					  PCI_EXP_LNKCTL_ES },
	};
	uint16_t kept[ARRAY_SIZE(flr_keeps)] = { 0 };
	bool flr = kind == UVFIO_RESET_FLR && fn->cap.exp;
	uint8_t *p;

	for (size_t i = 0; flr && i < ARRAY_SIZE(flr_keeps); i++)
		kept[i] = get16(fn->cfg.bytes + fn->cap.exp + flr_keeps[i].reg) & flr_keeps[i].bits;
	for (size_t i = 0; i < PCI_CFG_EXP_SIZE; i++) {
		uint8_t keep = kind == UVFIO_RESET_POWER_ON ? 0 : fn->cfg.sticky[i];

		fn->cfg.bytes[i] = (uint8_t)((fn->cfg.bytes[i] & keep) | (fn->cfg.init[i] & ~keep));
	}
	for (size_t i = 0; flr && i < ARRAY_SIZE(flr_keeps); i++) {
		p = fn->cfg.bytes + fn->cap.exp + flr_keeps[i].reg;
		put16(p, (uint16_t)((get16(p) & ~flr_keeps[i].bits) | kept[i]));
	}
}

void pci_save_state(pci_function *fn, void *buf)
{
	pthread_mutex_lock(&fn->lock);
	memcpy(buf, fn->cfg.bytes, sizeof(fn->cfg.bytes));
	pthread_mutex_unlock(&fn->lock);
}

/*
 * Only what the PCI standard says how to put back: a vendor's capability may act on any write, VPD
 * and power state act on theirs. MSI and MSI-X are their driver's to set up again, which knows
 * whether they are still wanted: they may have been switched off since @buf was saved.
 */
void pci_restore_state(pci_function *fn, const void *buf)
{
	const struct {
		unsigned off, len;
	} ranges[] = {
		{ 0, PCI_STD_HEADER_SIZEOF },
		{ fn->cap.exp, fn->cap.exp ? PCI_EXP_LNKSTA2 : 0 },
		{ fn->cap.aer, fn->cap.aer ? PCI_ERR_HEADER_LOG : 0 },
		/* what is before it is not as it was then, but as the platform wants it now */
		{ fn->cap.sriov + PCI_SRIOV_SYS_PGSIZE,
		  fn->cap.sriov ? PCI_SRIOV_VFM - PCI_SRIOV_SYS_PGSIZE : 0 },
	};
	const uint8_t *saved = buf;
	unsigned effects = 0;

	pthread_mutex_lock(&fn->lock);
	for (size_t r = 0; r < ARRAY_SIZE(ranges); r++) {
		for (unsigned i = ranges[r].off; i < ranges[r].off + ranges[r].len; i++) {
			uint8_t w = fn->cfg.wmask[i],
				v = (uint8_t)((fn->cfg.bytes[i] & ~w) | (saved[i] & w));

			if (fn->cfg.bytes[i] != v)
				effects |= EFFECT_CHANGED;
			fn->cfg.bytes[i] = v;
		}
	}
	if (fn->iov)
		effects |= pci_sriov_restore(fn);
	if (effects) {
		pci_msi_masks_changed(fn);
		effects |= pci_config_derive(fn) | EFFECT_FLUSH;
	}
	pthread_mutex_unlock(&fn->lock);
	if (effects) {
		pci_config_effects(fn, effects);
		tell_model(fn, 0, pci_config_size(fn));
	}
}

uint32_t uvfio_config_get(const struct uvfio_dev *dev, unsigned offset, unsigned size)
{
	/*
	 * const for the model: a look at config space changes nothing that it could see. A VF that
	 * is not enabled still knows its own registers.
	 */
	return read_own((pci_function *)dev, offset, size);
}

void uvfio_config_set(struct uvfio_dev *dev, unsigned offset, unsigned size, uint32_t value)
{
	unsigned effects;

	if ((size != 1 && size != 2 && size != 4) ||
	    !range_within(offset, size, PCI_CFG_EXP_SIZE)) {
		report_err("model-config-range", dev->name, 0,
			   "model %s sets %u bytes at 0x%x of config space: there is nothing",
			   dev->model->name, size, offset);
		return;
	}
	pthread_mutex_lock(&dev->lock);
	for (unsigned i = 0; i < size; i++)
		dev->cfg.bytes[offset + i] = (uint8_t)(value >> 8 * i);
	pci_msi_masks_changed(dev);
	effects = pci_config_derive(dev);
	pthread_mutex_unlock(&dev->lock);
	/*
	 * No wait and no callback: this is called from callbacks and from inside uvfio_dma_begin.
	 * VF Enable is the driver's bit: a model does not set it.
	 */
	if (!dev->create.now)
		pci_config_effects(dev, (effects & ~(EFFECT_SYNC | EFFECT_VFS)) | EFFECT_FLUSH);
}
