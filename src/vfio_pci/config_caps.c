/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_pci/config_caps.c: writes to config space that do more than change bits: the header (memory
 * decode, DisINTx, BARs), power states, VPD transfers, the MSI control register, and resets of the
 * function. Each is called with config_lock held and takes memory_lock for what BAR accesses must
 * not see half done.
 */
#include "base/rcu.h"
#include "vfio_pci/internal.h"

/* ---- the header ---- */

/*
 * Make the virtual BARs look as if hardware had been written: bits below the size read zero, type
 * bits read as built. So a user can size them by writing ones. The real BARs never change, and the
 * region mapping does not either.
 */
void vfio_pci_fix_bars(struct vfio_pci_device *vd)
{
	uint8_t *v = vd->config.vconfig;
	const struct pci_bar *rom = pci_function_bar(vd->fn, PCI_ROM_BAR);

	for (unsigned i = 0; i < PCI_BARS; i++) {
		const struct pci_bar *bar = pci_function_bar(vd->fn, i);
		uint8_t *p = v + PCI_BASE_ADDRESS_0 + 4 * i;
		uint64_t mask = ~(bar->size - 1);
		uint32_t type = 0;

		if (!bar->size) {
			put32(p, 0);
			continue;
		}
		if (bar->flags & UVFIO_BAR_IO)
			type = PCI_BASE_ADDRESS_SPACE_IO;
		else if (bar->flags & UVFIO_BAR_PREFETCH)
			type = PCI_BASE_ADDRESS_MEM_PREFETCH;
		if (bar->flags & UVFIO_BAR_64 && !(bar->flags & UVFIO_BAR_IO))
			type |= PCI_BASE_ADDRESS_MEM_TYPE_64;
		put32(p, (get32(p) & (uint32_t)mask) | type);
		if (type & PCI_BASE_ADDRESS_MEM_TYPE_64 && ++i < PCI_BARS) {
			p += 4;
			put32(p, get32(p) & (uint32_t)(mask >> 32));
		}
	}
	/*
	 * the register shows the ROM's size even if there is no image in it and the region is
	 * absent
	 */
	put32(v + PCI_ROM_ADDRESS,
	      rom->size ? get32(v + PCI_ROM_ADDRESS) &
				  ((uint32_t) ~(rom->size - 1) | PCI_ROM_ADDRESS_ENABLE)
			: 0);
	vd->config.bars_dirty = false;
}

/*
 * True if the function was reset by a way that the driver did not see: its BARs are not what they
 * were at open.
 */
static bool bars_lost(struct vfio_pci_device *vd)
{
	for (unsigned i = 0; i < PCI_BARS; i++)
		if (vd->config.real_bar[i] && pci_config_read(vd->fn, PCI_BASE_ADDRESS_0 + 4 * i,
							      4) != vd->config.real_bar[i])
			return true;
	return false;
}

static void bars_restore(struct vfio_pci_device *vd)
{
	report_info("bars-restored", vd->vdev.name, 0,
		    "the function was reset behind the driver's back: BARs restored");
	for (unsigned i = 0; i < PCI_BARS; i++)
		pci_config_write(vd->fn, PCI_BASE_ADDRESS_0 + 4 * i, 4, vd->config.real_bar[i]);
	pci_config_write(vd->fn, PCI_ROM_ADDRESS, 4, vd->config.real_bar[6]);
}

static void write_command(struct vfio_pci_device *vd, unsigned pos, unsigned size, uint32_t value)
{
	uint8_t *v = vd->config.vconfig;
	uint16_t decode = PCI_COMMAND_MEMORY | PCI_COMMAND_IO,
		 on = get16(v + PCI_COMMAND) & value & decode;

	if (vd->virtfn)
		on &= ~PCI_COMMAND_MEMORY; /* the hardware does not have this bit */
	pthread_rwlock_wrlock(&vd->memory_lock);
	if (!(value & PCI_COMMAND_MEMORY))
		vfio_dmabufs_cut(&vd->vdev);
	/* a bit that the user believes to be on, and writes on again, is off */
	if (on & ~pci_config_read(vd->fn, PCI_COMMAND, 2) || bars_lost(vd))
		bars_restore(vd);
	vfio_pci_config_default_write(vd, pos, size, value);
	put16(v + PCI_COMMAND, (get16(v + PCI_COMMAND) & ~decode) | (value & decode));
	pthread_rwlock_unlock(&vd->memory_lock);
}

void vfio_pci_write_header(struct vfio_pci_device *vd, const struct vfio_pci_cap *cap, unsigned pos,
			   unsigned size, uint32_t value)
{
	uint8_t *v = vd->config.vconfig;

	if (pos == PCI_COMMAND)
		write_command(vd, pos, size, value);
	else
		vfio_pci_config_default_write(vd, pos, size, value);

	if (pos == PCI_COMMAND || pos == PCI_COMMAND + 1)
		vfio_pci_intx_user_disable(vd, get16(v + PCI_COMMAND) & PCI_COMMAND_INTX_DISABLE);
	if ((pos >= PCI_BASE_ADDRESS_0 && pos < PCI_BASE_ADDRESS_5 + 4) ||
	    (pos >= PCI_ROM_ADDRESS && pos < PCI_ROM_ADDRESS + 4))
		vd->config.bars_dirty = true;
}

/* ---- power management ---- */

void vfio_pci_write_pm(struct vfio_pci_device *vd, const struct vfio_pci_cap *cap, unsigned pos,
		       unsigned size, uint32_t value)
{
	vfio_pci_config_default_write(vd, pos, size, value);
	if (pos != cap->pos + PCI_PM_CTRL)
		return;
	pthread_rwlock_wrlock(&vd->memory_lock);
	vfio_pci_set_power(vd, value & PCI_PM_CTRL_STATE_MASK);
	pthread_rwlock_unlock(&vd->memory_lock);
}

/* ---- vital product data ---- */

/*
 * Transfer one aligned dword through the function's own window. The flag turns over when the
 * transfer is done; a function that never does that is not waited for.
 */
static int vpd_transfer(struct vfio_pci_device *vd, unsigned cap, unsigned addr, bool write,
			uint32_t *data)
{
	unsigned want = write ? 0 : PCI_VPD_ADDR_F;

	if (write)
		pci_config_write(vd->fn, cap + PCI_VPD_DATA, 4, *data);
	pci_config_write(vd->fn, cap + PCI_VPD_ADDR, 2, addr | (write ? PCI_VPD_ADDR_F : 0));
	for (int tries = 0; tries < 16; tries++) {
		if ((pci_config_read(vd->fn, cap + PCI_VPD_ADDR, 2) & PCI_VPD_ADDR_F) == want) {
			if (!write)
				*data = pci_config_read(vd->fn, cap + PCI_VPD_DATA, 4);
			return 0;
		}
	}
	return report_warn("vpd-timeout", vd->vdev.name, -EIO,
			   "VPD: the %s at 0x%04x does not complete", write ? "write" : "read",
			   addr);
}

void vfio_pci_write_vpd(struct vfio_pci_device *vd, const struct vfio_pci_cap *cap, unsigned pos,
			unsigned size, uint32_t value)
{
	uint8_t *v = vd->config.vconfig + cap->pos;
	unsigned off = pos - cap->pos, addr;
	uint32_t low, high = 0;

	vfio_pci_config_default_write(vd, pos, size, value);
	/* the flag is in the upper byte of the address: writing that byte starts the transfer */
	if (off > PCI_VPD_ADDR + 1 || off + size <= PCI_VPD_ADDR + 1)
		return;

	addr = get16(v + PCI_VPD_ADDR);
	if (addr & PCI_VPD_ADDR_F) {
		addr &= PCI_VPD_ADDR_MASK;
		low = get32(v + PCI_VPD_DATA);
		if (addr & 3 || vpd_transfer(vd, cap->pos, addr, true, &low))
			return; /* the flag stays: the user sees a device that does not answer */
	} else {
		unsigned skip = addr & 3;

		/*
		 * hardware takes dword addresses only; an odd one is put together from two (the
		 * last from one)
		 */
		if (vpd_transfer(vd, cap->pos, addr & ~3u, false, &low))
			return;
		if (skip && addr + 4 <= PCI_VPD_ADDR_MASK &&
		    vpd_transfer(vd, cap->pos, (addr & ~3u) + 4, false, &high))
			return;
		put32(v + PCI_VPD_DATA, skip ? low >> 8 * skip | high << (32 - 8 * skip) : low);
	}
	put16(v + PCI_VPD_ADDR, get16(v + PCI_VPD_ADDR) ^ PCI_VPD_ADDR_F);
}

/* ---- MSI ---- */

void vfio_pci_write_msi(struct vfio_pci_device *vd, const struct vfio_pci_cap *cap, unsigned pos,
			unsigned size, uint32_t value)
{
	uint8_t *v = vd->config.vconfig + cap->pos;
	unsigned off = pos - cap->pos, masks = vfio_pci_msi_mask_reg(vd);
	unsigned flags;

	vfio_pci_config_default_write(vd, pos, size, value);
	if (vd->masks.users && masks && pos >= masks && pos < masks + 4) {
		vfio_pci_masks_apply(vd, VFIO_PCI_MSI_IRQ_INDEX);
		rcu_sync(); /* what was under way has been signalled */
	}
	if (off > PCI_MSI_FLAGS || off + size <= PCI_MSI_FLAGS)
		return;

	/* Messages are set up by SET_IRQS: the user enables no more than that. */
	flags = get16(v + PCI_MSI_FLAGS);
	if (vd->irq_type != VFIO_PCI_MSI_IRQ_INDEX)
		flags &= ~PCI_MSI_FLAGS_ENABLE;
	if ((flags & PCI_MSI_FLAGS_QSIZE) >> 4 > vd->msi.log2) {
		flags &= ~PCI_MSI_FLAGS_QSIZE;
		flags |= vd->msi.log2 << 4;
	}
	put16(v + PCI_MSI_FLAGS, flags);
	pci_config_write(vd->fn, cap->pos + PCI_MSI_FLAGS, 2, flags);
}

/* ---- resets of the function ---- */

/*
 * The kernel wakes the function first. Before VFIO_DEVICE_RESET vfio-pci does that, and puts back
 * what the function had before it fell asleep; here the PCI core does, which does not know of that:
 * what a function without NoSoftRst lost stays lost, but for its BARs.
 */
int vfio_pci_core_reset(struct vfio_pci_device *vd)
{
	int ret;

	pthread_rwlock_wrlock(&vd->memory_lock);
	if (vd->saved.pm_valid && pci_power_state(vd->fn)) {
		vd->saved.pm_valid = false;
		vfio_pci_set_power(vd, 0);
		bars_restore(vd);
	}
	ret = vfio_pci_reset_function(vd);
	pthread_rwlock_unlock(&vd->memory_lock);
	return ret;
}

/* PCIe 6.0, 7.5.3.4: sizes are 128 << n, n up to 5 */
#define EXP_SIZE_MAX 5u

void vfio_pci_write_exp(struct vfio_pci_device *vd, const struct vfio_pci_cap *cap, unsigned pos,
			unsigned size, uint32_t value)
{
	uint8_t *v = vd->config.vconfig + cap->pos + PCI_EXP_DEVCTL;
	unsigned old = get16(v) & PCI_EXP_DEVCTL_READRQ, ctrl, request, payload, hw;

	vfio_pci_config_default_write(vd, pos, size, value);
	ctrl = get16(v);
	if (ctrl & PCI_EXP_DEVCTL_BCR_FLR) {
		/* always reads 0 (PCIe 6.0, 7.5.3.4) */
		ctrl &= ~PCI_EXP_DEVCTL_BCR_FLR;
		put16(v, ctrl);
		if (pci_config_read(vd->fn, cap->pos + PCI_EXP_DEVCAP, 4) & PCI_EXP_DEVCAP_FLR)
			vfio_pci_core_reset(vd);
	}
	/*
	 * The payload size is the system's: virtual only. A read request may be anything that is
	 * not below it.
	 */
	if ((ctrl & PCI_EXP_DEVCTL_READRQ) != old) {
		hw = pci_config_read(vd->fn, cap->pos + PCI_EXP_DEVCTL, 2);
		request = (ctrl & PCI_EXP_DEVCTL_READRQ) >> 12;
		payload = (hw & PCI_EXP_DEVCTL_PAYLOAD) >> 5;
		request = request < payload ? payload : request;
		if (request <= EXP_SIZE_MAX)
			pci_config_write(vd->fn, cap->pos + PCI_EXP_DEVCTL, 2,
					 (hw & ~PCI_EXP_DEVCTL_READRQ) | request << 12);
	}
}

void vfio_pci_write_af(struct vfio_pci_device *vd, const struct vfio_pci_cap *cap, unsigned pos,
		       unsigned size, uint32_t value)
{
	uint8_t *ctrl = vd->config.vconfig + cap->pos + PCI_AF_CTRL;
	unsigned features;

	vfio_pci_config_default_write(vd, pos, size, value);
	if (!(*ctrl & PCI_AF_CTRL_FLR))
		return;
	*ctrl &= ~PCI_AF_CTRL_FLR;
	features = pci_config_read(vd->fn, cap->pos + PCI_AF_CAP, 1);
	if (features & PCI_AF_CAP_FLR && features & PCI_AF_CAP_TP)
		vfio_pci_core_reset(vd);
}
