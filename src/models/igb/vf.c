/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/igb/vf.c: the virtual functions (8086:10ca). One is a window on the device: 16 KiB in
 * which a VF finds its two queues, its interrupts, its end of the mailbox and its counters, each at
 * the place where a driver of the physical function has its own (82576 datasheet, 8.26). What the
 * PF's driver allows it is in pools (switch.c); what it asks the PF's driver for goes by the
 * mailbox (mailbox.c).
 */
#include <errno.h>
#include <linux/pci_regs.h>

#include "models/igb/internal.h"

#define VF_DEVICE_ID 0x10cau
#define VF_MSIX_PBA  0x2000u
#define VF_OFFSET    128u /* 7.10.2: routing IDs */
#define VF_STRIDE    2u

static const struct {
	uint16_t off, pf;
} counters[] = {
	{ 0x0f10, PVFGPRC },   { 0x0f14, PVFGPTC },   { 0x0f18, PVFGORC },
	{ 0x0f34, PVFGOTC },   { 0x0f3c, PVFMPRC },   { 0x0f40, PVFGPRLBC },
	{ 0x0f44, PVFGPTLBC }, { 0x0f48, PVFGORLBC }, { 0x0f50, PVFGOTLBC },
};

/* Queue q of VF n is queue n + 8 q of the PF: 8.26.1 */
uint32_t igb_vf_in_pf(unsigned vf, uint32_t off, bool write)
{
	if (off >= 0x2800 && off < 0x2a00 && (off & 0xff) < 0x40)
		return IGB_RXQ(vf + (off >> 8 & 1) * IGB_VFS, off & 0x3f);
	if (off >= 0x3800 && off < 0x3a00 && (off & 0xff) < 0x40)
		return IGB_TXQ(vf + (off >> 8 & 1) * IGB_VFS, off & 0x3f);
	if (off >= IGB_VMBMEM(0) && off < IGB_VMBMEM(1))
		return off + IGB_VMBMEM(vf) - IGB_VMBMEM(0);
	if (off >= IGB_EITR(0) && off < IGB_EITR(IGB_VF_VECTORS))
		return off + 4 * IGB_VF_VECTOR(vf);
	if (off >= IGB_EICS && off <= IGB_EIAM)
		return IGB_VTCTRL(vf) + VTEICS + off - IGB_EICS;
	switch (off) {
	case IGB_CTRL:
	case IGB_CTRL + 4: /* as of all chips of the family */
		return IGB_VTCTRL(vf);
	case IGB_STATUS:
	case IGB_FRTIMER:
		return write ? IGB_NOWHERE : off;
	case IGB_V2PMAILBOX(0):
		return IGB_V2PMAILBOX(vf);
	case 0x0f0c:
		return IGB_PSRTYPE(vf);
	case IGB_EICR:
		return IGB_VTCTRL(vf) + VTEICR;
	case IGB_IVAR(0):
		return IGB_VTIVAR(vf);
	case IGB_IVAR_MISC:
		return IGB_VTIVAR_MISC(vf);
	default:
		break;
	}
	for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]) && !write; i++) {
		if (off == counters[i].off)
			return IGB_VTCTRL(vf) + counters[i].pf;
	}
	return IGB_NOWHERE;
}

static int bar_read(struct uvfio_dev *dev, unsigned bar, uint64_t offset, unsigned size,
		    uint64_t *value)
{
	/* in the other BAR, behind the MSI-X table and its pending bits, is nothing */
	*value = bar == 0 ? igb_bar0_read(uvfio_priv(dev), (uint32_t)offset, size) : 0;
	return 0;
}

static int bar_write(struct uvfio_dev *dev, unsigned bar, uint64_t offset, unsigned size,
		     uint64_t value)
{
	return bar == 0 ? igb_bar0_write(uvfio_priv(dev), (uint32_t)offset, size, value) : 0;
}

static void config_written(struct uvfio_dev *dev, unsigned offset, unsigned size)
{
	struct igb_fn *fn = uvfio_priv(dev);

	if (offset == PCI_COMMAND && igb_is_master(fn)) {
		igb_tx_kick(fn->g, fn->index);
		igb_tx_kick(fn->g, fn->index + IGB_VFS);
	}
}

static void quiesce(struct uvfio_dev *dev)
{
	igb_halt(uvfio_priv(dev), IGB_QUIET);
}

/* Switch its queues off and give them to @to; NULL: their owner stays. */
static void hand_over(struct igb_fn *fn, struct igb_fn *to)
{
	for (unsigned n = fn->index; n < IGB_QUEUES; n += IGB_VFS) {
		igb_tx_own(fn->g, n, to);
		igb_rx_own(fn->g, n, to);
	}
}

/* Reset: until the PF's driver has answered, the VF's pool neither sends nor receives. 4.2.1 */
void igb_vf_reset(struct igb *g, unsigned vf)
{
	hand_over(&g->fn[vf], NULL);
	atomic_fetch_and(&g->kept->reg[IGB_VFRE >> 2], ~(1u << vf));
	atomic_fetch_and(&g->kept->reg[IGB_VFTE >> 2], ~(1u << vf));
	igb_irq_vf_reset(g, vf);
	igb_mbx_vf_reset(g, vf);
}

static void reset(struct uvfio_dev *dev, enum uvfio_reset_kind kind)
{
	struct igb_fn *fn = uvfio_priv(dev);

	if (kind == UVFIO_RESET_POWER_ON || kind == UVFIO_RESET_PF)
		igb_irq_vf_reset(fn->g, fn->index); /* the queues are the PF's now */
	else
		igb_vf_reset(fn->g, fn->index);
	if (kind == UVFIO_RESET_PF)
		igb_host_driver_vf_gone(fn->g, fn->index);
	igb_wake(fn);
}

static int create(struct uvfio_dev *dev)
{
	static const struct uvfio_ids ids = {
		.vendor = 0x8086,
		.device = VF_DEVICE_ID,
		.subsystem_vendor = 0x8086,
		.subsystem = 0xa03c,
		.class_code = 0x020000,
		.revision = 1,
	};
	struct igb *g = uvfio_priv(uvfio_pf(dev));
	struct igb_fn *fn = &g->fn[uvfio_vf_index(dev)];
	int ret;

	ret = uvfio_set_ids(dev, &ids);
	if (ret < 0)
		return ret;
	ret = uvfio_add_msix(dev, IGB_VF_VECTORS, 3, 0, 3, VF_MSIX_PBA);
	if (ret < 0)
		return ret;
	ret = igb_add_pcie(dev);
	if (ret < 0)
		return ret;
	ret = uvfio_add_aer(dev);
	if (ret < 0)
		return ret;
	pthread_mutex_lock(&g->irq.lock);
	fn->dev = dev;
	pthread_mutex_unlock(&g->irq.lock);
	uvfio_set_priv(dev, fn);
	return 0;
}

static void destroy(struct uvfio_dev *dev)
{
	struct igb_fn *fn = uvfio_priv(dev);
	struct igb *g = fn->g;

	atomic_fetch_and(&g->vfs, ~(1u << fn->index));
	hand_over(fn, &g->fn[IGB_PF]);
	pthread_mutex_lock(&g->irq.lock);
	fn->dev = NULL;
	pthread_mutex_unlock(&g->irq.lock);
}

static const struct uvfio_model model_igbvf = {
	UVFIO_MODEL_INIT,
	.name = "igbvf",
	.summary = "virtual function of an igb",
	.concurrent = true,
	.create = create,
	.destroy = destroy,
	.reset = reset,
	.bar_read = bar_read,
	.bar_write = bar_write,
	.config_written = config_written,
	.quiesce = quiesce,
	.regs = igb_vf_reg_names,
	.state_version = 1,
	.stop = igb_vf_stop,
	.resume = igb_vf_resume,
	.describe = igb_vf_describe,
	.save = igb_vf_save,
	.load = igb_vf_load,
};

static void vfs_changed(struct uvfio_dev *pf, unsigned num)
{
	struct igb *g = uvfio_priv(pf);
	uint32_t was = atomic_exchange(&g->vfs, (1u << num) - 1);

	for (unsigned i = 0; i < IGB_VFS; i++) {
		if (i < num && !(was >> i & 1))
			hand_over(&g->fn[i], &g->fn[i]);
		else if (i >= num && was >> i & 1)
			hand_over(&g->fn[i], &g->fn[IGB_PF]);
	}
	igb_irq_vfs_changed(g);
}

static void host_drives(struct uvfio_dev *pf)
{
	igb_host_driver_start(uvfio_priv(pf));
}

int igb_vf_init(struct igb *g)
{
	static const struct uvfio_sriov sriov = {
		.vf = &model_igbvf,
		.vf_device_id = VF_DEVICE_ID,
		.total_vfs = IGB_VFS,
		.first_vf_offset = VF_OFFSET,
		.vf_stride = VF_STRIDE,
		.bars[0] = { IGB_VF_BAR_SIZE, UVFIO_BAR_64 | UVFIO_BAR_PREFETCH },
		.bars[3] = { IGB_VF_BAR_SIZE, UVFIO_BAR_64 | UVFIO_BAR_PREFETCH },
		.vfs_changed = vfs_changed,
		.host_driver = "igb",
		.host_drives = host_drives,
	};

	return uvfio_add_sriov(g->dev, &sriov);
}
