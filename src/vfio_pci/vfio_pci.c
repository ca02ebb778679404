/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_pci/vfio_pci.c: the life of a device under the driver: bound, opened (reset, state saved,
 * virtual config space built), reset on request, closed (quiet, state put back, reset). Between two
 * users nothing of the first one's is left.
 */
#include "base/heap.h"
#include "vfio_pci/internal.h"
#include "vfio_pci/reset.h"

/* Change some bits of the hardware's COMMAND. config_lock held. */
static void command_change(struct vfio_pci_device *vd, uint16_t clear, uint16_t set)
{
	unsigned cmd = pci_config_read(vd->fn, PCI_COMMAND, 2), want = (cmd & ~clear) | set;

	if (want != cmd)
		pci_config_write(vd->fn, PCI_COMMAND, 2, want);
}

/* ---- reset and power; config_lock held, memory_lock held for writing ---- */

/*
 * Reset the function and put its config space back, bus mastering and interrupts included: the
 * user's set-up (SET_IRQS, config writes) survives, the device's registers do not.
 */
static void reset_by(struct vfio_pci_device *vd, enum uvfio_reset_kind kind)
{
	struct iommu_device *iommu = pci_function_iommu(vd->fn);
	uint8_t state[PCI_CFG_EXP_SIZE];

	vfio_dmabufs_cut(&vd->vdev);
	vfio_pci_set_power(vd, 0);
	pci_save_state(vd->fn, state);
	iommu_device_set_ending(iommu, IOMMU_RESETTING);
	/* no decoding, no bus mastering, no interrupt while it is reset */
	pci_config_write(vd->fn, PCI_COMMAND, 2, PCI_COMMAND_INTX_DISABLE);
	pci_function_reset(vd->fn, kind);
	pci_restore_state(vd->fn, state);
	iommu_device_set_ending(iommu, IOMMU_RUNNING);
	vfio_pci_irqs_restore(vd);
	vfio_migrate_reset(&vd->vdev);
}

int vfio_pci_reset_function(struct vfio_pci_device *vd)
{
	enum uvfio_reset_kind kind;

	if (!vfio_pci_choose_reset(&vd->vdev, vd->fn, &kind))
		return -ENOTTY;
	reset_by(vd, kind);
	/* the kernel waits for the device to answer again (pci_dev_wait()) */
	return pci_function_is_lost(vd->fn) ? -ENOTTY : 0;
}

void vfio_pci_set_power(struct vfio_pci_device *vd, unsigned state)
{
	unsigned pm = vd->cap.pm ? vd->cap.pm : pci_find_cap(vd->fn, PCI_CAP_ID_PM),
		 now = pci_power_state(vd->fn), pmc, ctrl;

	if (!pm || state == now)
		return;
	/*
	 * the VFs would go with it (PCIe 6.0, 9.6): to the kernel's driver, too, the write is one
	 * that does nothing
	 */
	if (state && uvfio_num_vfs(vd->fn)) {
		report_info("power-vfs", vd->vdev.name, 0,
			    "D%u: not while there are virtual functions", state);
		return;
	}
	/*
	 * to D0 from everywhere, else only deeper (PCI PM 1.2, 5.4) and only where the function can
	 * be
	 */
	pmc = pci_config_read(vd->fn, pm + PCI_PM_PMC, 2);
	if ((state && state < now) || (state == 1 && !(pmc & PCI_PM_CAP_D1)) ||
	    (state == 2 && !(pmc & PCI_PM_CAP_D2)))
		return;
	ctrl = pci_config_read(vd->fn, pm + PCI_PM_CTRL, 2);
	if (state == 3 && !(ctrl & PCI_PM_CTRL_NO_SOFT_RESET)) {
		/* coming back resets the function */
		pci_save_state(vd->fn, vd->saved.pm);
		vd->saved.pm_valid = true;
	}
	if (state == 3)
		vfio_dmabufs_cut(&vd->vdev);
	/* PME_Status is cleared by writing it: not here */
	ctrl &= ~(PCI_PM_CTRL_STATE_MASK | PCI_PM_CTRL_PME_STATUS);
	pci_config_write(vd->fn, pm + PCI_PM_CTRL, 2, ctrl | state);
	if (now == 3 && vd->saved.pm_valid) {
		pci_restore_state(vd->fn, vd->saved.pm);
		vfio_pci_irqs_restore(vd);
		vd->saved.pm_valid = false;
	}
}

static int vfio_pci_reset(struct vfio_device *dev)
{
	struct vfio_pci_device *vd = to_vfio_pci(dev);
	int ret;

	if (!vd->reset_works)
		return -EINVAL;
	pthread_mutex_lock(&vd->config_lock);
	pthread_rwlock_wrlock(&vd->memory_lock);
	ret = vfio_pci_reset_function(vd);
	pthread_rwlock_unlock(&vd->memory_lock);
	pthread_mutex_unlock(&vd->config_lock);
	return ret;
}

static int vfio_pci_host_reset(struct vfio_device *dev)
{
	struct vfio_pci_device *vd = to_vfio_pci(dev);
	int ret;

	pthread_mutex_lock(&vd->config_lock);
	ret = vfio_pci_core_reset(vd);
	pthread_mutex_unlock(&vd->config_lock);
	return ret;
}

static int vfio_pci_slot_reset(struct vfio_device *dev)
{
	struct vfio_pci_device *vd = to_vfio_pci(dev);

	pthread_mutex_lock(&vd->config_lock);
	pthread_rwlock_wrlock(&vd->memory_lock);
	reset_by(vd, UVFIO_RESET_BUS);
	pthread_rwlock_unlock(&vd->memory_lock);
	pthread_mutex_unlock(&vd->config_lock);
	return 0;
}

/* ---- open and close ---- */

/* Return the bits of COMMAND that make the function's BARs answer. */
static uint16_t decode_bits(struct vfio_pci_device *vd)
{
	uint16_t bits = 0;

	for (unsigned i = 0; i < PCI_BARS; i++) {
		const struct pci_bar *bar = pci_function_bar(vd->fn, i);

		if (bar->size)
			bits |= bar->flags & UVFIO_BAR_IO ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY;
	}
	return bits;
}

/*
 * Return the bytes of images in the ROM. A ROM answers to memory decode, which is off in a function
 * without memory BARs.
 */
static uint32_t probe_rom(struct vfio_pci_device *vd)
{
	unsigned cmd = pci_config_read(vd->fn, PCI_COMMAND, 2);
	uint32_t size;

	if (!pci_function_bar(vd->fn, PCI_ROM_BAR)->size)
		return 0;
	command_change(vd, 0, PCI_COMMAND_MEMORY);
	size = vfio_pci_rom_size(vd);
	command_change(vd, ~cmd & PCI_COMMAND_MEMORY, 0);
	return size;
}

static int vfio_pci_open(struct vfio_device *dev)
{
	struct vfio_pci_device *vd = to_vfio_pci(dev);
	struct pci_irq_sink sink = vfio_pci_sink;
	struct pci_pages_sink pages = vfio_pci_pages_sink;

	pthread_mutex_lock(&vd->config_lock);
	pthread_rwlock_wrlock(&vd->memory_lock);
	vd->irq_type = VFIO_PCI_IRQ_NONE;
	atomic_store(&vd->judge.settled, VFIO_PCI_IRQ_NONE);
	atomic_store(&vd->judge.tried, 0);
	atomic_store(&vd->judge.went_on, false);
	atomic_store(&vd->judge.mastered, false);
	atomic_store(&vd->judge.told, false);
	vd->msi.vectors = vd->msi.log2 = 0;
	vd->saved.pm_valid = false;
	vd->pci_2_3 = pci_intx_can_disable(vd->fn);
	atomic_store(&vd->intx.state, 0);

	vfio_pci_set_power(vd, 0);
	command_change(vd, PCI_COMMAND_MASTER, decode_bits(vd));
	vd->reset_works = vfio_pci_reset_function(vd) != -ENOTTY;
	pci_save_state(vd->fn, vd->saved.open);
	if (vd->pci_2_3)
		command_change(vd, PCI_COMMAND_INTX_DISABLE, 0);
	vd->rom_size = probe_rom(vd);
	vfio_pci_masks_open(vd);
	vfio_pci_config_init(vd);
	vd->msix.there = pci_msix_info(vd->fn, &vd->msix.info);
	dev->flags = VFIO_DEVICE_FLAGS_PCI | (vd->reset_works ? VFIO_DEVICE_FLAGS_RESET : 0);
	pthread_rwlock_unlock(&vd->memory_lock);
	pthread_mutex_unlock(&vd->config_lock);

	sink.arg = vd;
	pci_set_irq_sink(vd->fn, &sink);
	pages.arg = vd;
	pci_set_pages_sink(vd->fn, &pages);
	vfio_pci_vf_users(vd, 1);
	vd->opened = true;
	return 0;
}

static void vfio_pci_close(struct vfio_device *dev)
{
	struct vfio_pci_device *vd = to_vfio_pci(dev);
	enum uvfio_reset_kind kind;

	vfio_pci_vf_users(vd, -1);
	pthread_mutex_lock(&vd->igate);
	vfio_pci_judge_left(vd);
	vfio_pci_judge_end(vd);
	pthread_mutex_unlock(&vd->igate);
	iommu_device_set_ending(pci_function_iommu(vd->fn), IOMMU_CLOSING);
	pthread_mutex_lock(&vd->config_lock);
	pthread_rwlock_wrlock(&vd->memory_lock);
	vfio_pci_low_power_end(vd);
	vfio_pci_set_power(vd, 0);
	command_change(vd, PCI_COMMAND_MASTER, 0);
	pthread_rwlock_unlock(&vd->memory_lock);
	pthread_mutex_unlock(&vd->config_lock);

	vfio_pci_ioeventfd_drop_all(vd);
	pci_function_quiesce(vd->fn);
	pthread_mutex_lock(&vd->igate);
	vfio_pci_irqs_drop_all(vd);
	pthread_mutex_unlock(&vd->igate);
	pci_set_irq_sink(vd->fn, NULL);
	pci_set_pages_sink(vd->fn, NULL);

	pthread_mutex_lock(&vd->config_lock);
	pthread_rwlock_wrlock(&vd->memory_lock);
	atomic_store(&vd->intx.state, 0);
	pci_config_write(vd->fn, PCI_COMMAND, 2, PCI_COMMAND_INTX_DISABLE);
	if (vd->reset_works && vfio_pci_choose_reset(&vd->vdev, vd->fn, &kind))
		pci_function_reset(vd->fn, kind);
	pci_restore_state(vd->fn, vd->saved.open);
	pthread_rwlock_unlock(&vd->memory_lock);
	pthread_mutex_unlock(&vd->config_lock);
	iommu_device_set_ending(pci_function_iommu(vd->fn), IOMMU_RUNNING);
	vd->opened = false;
}

/* ---- regions ---- */

static int vfio_pci_region(struct vfio_device *dev, uint32_t index, struct vfio_region *out)
{
	struct vfio_pci_device *vd = to_vfio_pci(dev);

	*out = (struct vfio_region){ 0 };
	if (index <= VFIO_PCI_BAR5_REGION_INDEX) {
		out->size = pci_function_bar(vd->fn, index)->size;
		if (out->size)
			out->flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
		vfio_pci_mappable(vd, index, out);
		return 0;
	}
	if (index == VFIO_PCI_ROM_REGION_INDEX) {
		/*
		 * A ROM without an image is no region, though its register can be sized; so it is
		 * in D3hot, when the image cannot be read.
		 */
		if (vd->rom_size && !pci_power_state(vd->fn)) {
			out->size = pci_function_bar(vd->fn, PCI_ROM_BAR)->size;
			out->flags = VFIO_REGION_INFO_FLAG_READ;
		}
		return 0;
	}
	if (index == VFIO_PCI_CONFIG_REGION_INDEX) {
		out->size = pci_config_size(vd->fn);
		out->flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
		return 0;
	}
	if (index >= VFIO_PCI_NUM_REGIONS &&
	    index - VFIO_PCI_NUM_REGIONS < pci_num_regions(vd->fn)) {
		const struct uvfio_region *r = pci_region(vd->fn, index - VFIO_PCI_NUM_REGIONS);

		out->size = r->size;
		out->type = r->type;
		out->subtype = r->subtype;
		out->flags = VFIO_REGION_INFO_FLAG_READ |
			     (r->writable ? VFIO_REGION_INFO_FLAG_WRITE : 0) |
			     (r->mappable ? VFIO_REGION_INFO_FLAG_MMAP : 0);
		return 0;
	}
	return -EINVAL;
}

/* Access a region that is no BAR: the part of it that is within. */
static ssize_t region_rw(struct vfio_pci_device *vd, unsigned i, uint64_t pos, void *buf,
			 size_t count, bool write)
{
	const struct uvfio_region *r = pci_region(vd->fn, i);
	int ret;

	if (pos >= r->size || (write && !r->writable))
		return -EINVAL;
	if (count > r->size - pos)
		count = (size_t)(r->size - pos);
	ret = pci_region_access(vd->fn, i, pos, buf, count, write);
	return ret ? ret : (ssize_t)count;
}

static int region_mmio(struct vfio_device *dev, uint32_t index, uint64_t pos, unsigned size,
		       uint64_t *value, bool write)
{
	struct vfio_pci_device *vd = to_vfio_pci(dev);

	if (index < VFIO_PCI_NUM_REGIONS)
		return vfio_pci_mmio(dev, index, pos, size, value, write);
	if (!write)
		*value = 0;
	/* a mapping ends at a page, and the region may end before */
	return region_rw(vd, index - VFIO_PCI_NUM_REGIONS, pos, value, size, write) < 0 ? -EIO : 0;
}

/*
 * A VF does what its PF does (vfio_pci_info_atomic_cap()). Linux looks at the way to the root port,
 * which is free here (machine/bridge.c), and opens it; where it sees none, it takes AtomicOp
 * Requester Enable for the word of who knows the way, and a user may clear that.
 */
static uint32_t vfio_pci_atomics(struct vfio_device *dev)
{
	struct vfio_pci_device *vd = to_vfio_pci(dev);
	pci_function *fn = pci_function_pf(vd->fn) ? pci_function_pf(vd->fn) : vd->fn;
	unsigned exp = pci_find_cap(fn, PCI_CAP_ID_EXP);
	uint32_t cap, ctl2, flags = 0;

	if (!exp)
		return 0;
	ctl2 = pci_config_read(fn, exp + PCI_EXP_DEVCTL2, 2);
	if (!dev->below_port && !(ctl2 & PCI_EXP_DEVCTL2_ATOMIC_REQ))
		return 0;
	cap = pci_config_read(fn, exp + PCI_EXP_DEVCAP2, 4);
	if (cap & PCI_EXP_DEVCAP2_ATOMIC_COMP32)
		flags |= VFIO_PCI_ATOMIC_COMP32;
	if (cap & PCI_EXP_DEVCAP2_ATOMIC_COMP64)
		flags |= VFIO_PCI_ATOMIC_COMP64;
	if (cap & PCI_EXP_DEVCAP2_ATOMIC_COMP128)
		flags |= VFIO_PCI_ATOMIC_COMP128;
	if (flags && !(ctl2 & PCI_EXP_DEVCTL2_ATOMIC_REQ))
		pci_config_write(fn, exp + PCI_EXP_DEVCTL2, 2, ctl2 | PCI_EXP_DEVCTL2_ATOMIC_REQ);
	return flags;
}

static ssize_t vfio_pci_rw(struct vfio_device *dev, uint32_t index, uint64_t pos, void *buf,
			   size_t count, bool write)
{
	struct vfio_pci_device *vd = to_vfio_pci(dev);

	if (!count)
		return 0;
	if (index == VFIO_PCI_CONFIG_REGION_INDEX)
		return vfio_pci_config_rw(vd, pos, buf, count, write);
	if (index <= VFIO_PCI_ROM_REGION_INDEX)
		return vfio_pci_bar_rw(vd, index, pos, buf, count, write);
	if (index >= VFIO_PCI_NUM_REGIONS && index - VFIO_PCI_NUM_REGIONS < pci_num_regions(vd->fn))
		return region_rw(vd, index - VFIO_PCI_NUM_REGIONS, pos, buf, count, write);
	return -EINVAL;
}

#define OPS                                                                                      \
	.open = vfio_pci_open, .close = vfio_pci_close, .region = vfio_pci_region,               \
	.irq = vfio_pci_irq, .rw = vfio_pci_rw, .mmio = region_mmio,                             \
	.area_open = vfio_pci_area_open, .set_irqs = vfio_pci_set_irqs, .reset = vfio_pci_reset, \
	.host_reset = vfio_pci_host_reset, .ioeventfd = vfio_pci_ioeventfd,                      \
	.check_token = vfio_pci_check_token, .request = vfio_pci_request,                        \
	.low_power = vfio_pci_low_power, .use = vfio_pci_use,                                    \
	.check_dmabuf = vfio_pci_check_dmabuf, .memory_answers = vfio_pci_memory_answers,        \
	.target = vfio_pci_target, .atomics = vfio_pci_atomics, .look_back = vfio_pci_look_back
static const struct vfio_device_ops ops = { OPS, .slot_reset = vfio_pci_slot_reset };
/* A PF, whose VFs' users must show a token. */
static const struct vfio_device_ops pf_ops = { OPS, .slot_reset = vfio_pci_slot_reset,
					       .set_vf_token = vfio_pci_set_vf_token };
/* A VF whose PF has another driver: the slot is not ours to reset. */
static const struct vfio_device_ops lone_vf_ops = { OPS };

void vfio_pci_set_pf(struct vfio_device *vf, struct vfio_device *pf)
{
	to_vfio_pci(vf)->pf = pf ? to_vfio_pci(pf) : NULL;
	vf->pf = pf;
	vf->ops = pf ? &ops : &lone_vf_ops;
}

/* ---- bind ---- */

static int init_triggers(struct vfio_pci_device *vd)
{
	struct pci_msix_info msix;

	vd->msi.num_triggers = pci_msi_vectors(vd->fn);
	if (pci_msix_info(vd->fn, &msix) && msix.vectors > vd->msi.num_triggers)
		vd->msi.num_triggers = msix.vectors;
	if (vd->msi.num_triggers) {
		vd->msi.triggers = heap_array(vd->msi.num_triggers, sizeof(*vd->msi.triggers));
		vd->msi.old_fds = heap_array(vd->msi.num_triggers, sizeof(*vd->msi.old_fds));
		if (!vd->msi.triggers || !vd->msi.old_fds)
			return -ENOMEM;
	}
	for (unsigned i = 0; i < vd->msi.num_triggers; i++)
		vfio_trigger_init(&vd->msi.triggers[i]);
	vfio_trigger_init(&vd->intx.trigger);
	vfio_trigger_init(&vd->err);
	vfio_trigger_init(&vd->req);
	vfio_trigger_init(&vd->low.wake);
	return 0;
}

int vfio_pci_bind(pci_function *fn, const struct pci_address *at, struct loop *loop,
		  struct vfio_device **out)
{
	struct vfio_pci_device *vd = heap_alloc(sizeof(*vd));
	pthread_rwlockattr_t attr;
	int ret;

	if (!vd)
		return -ENOMEM;
	vd->fn = fn;
	vd->loop = loop;
	vfio_pci_mmap_init(vd);
	ret = init_triggers(vd);
	if (!ret)
		ret = vfio_pci_masks_init(vd);
	if (!ret)
		ret = vfio_pci_judge_init(vd);
	if (!ret)
		ret = vfio_pci_low_power_init(vd);
	if (!ret)
		ret = vfio_pci_sriov_init(vd);
	if (ret) {
		vfio_pci_low_power_fini(vd);
		vfio_pci_judge_fini(vd);
		heap_free(vd->masks.why);
		heap_free(vd->msi.old_fds);
		heap_free(vd->msi.triggers);
		heap_free(vd);
		return ret;
	}
	vfio_device_init(&vd->vdev, vd->token ? &pf_ops : &ops, pci_function_name(fn),
			 pci_function_iommu(fn));
	vd->vdev.num_regions = VFIO_PCI_NUM_REGIONS + pci_num_regions(fn);
	vd->vdev.num_irqs = VFIO_PCI_NUM_IRQS;
	atomic_init(&vd->judge.settled, VFIO_PCI_IRQ_NONE);
	vd->vdev.flags = VFIO_DEVICE_FLAGS_PCI;
	vd->vdev.address = *at;
	vd->irq_type = VFIO_PCI_IRQ_NONE;
	CDS_INIT_LIST_HEAD(&vd->ioeventfds.list);
	pthread_mutex_init(&vd->igate, NULL);
	pthread_mutex_init(&vd->config_lock, NULL);
	pthread_mutex_init(&vd->ioeventfds.lock, NULL);
	/* threads that poll a register must not keep a reset out; a BAR access never nests */
	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&vd->memory_lock, &attr);
	pthread_rwlockattr_destroy(&attr);
	*out = &vd->vdev;
	return 0;
}

void vfio_pci_unbind(struct vfio_device *dev)
{
	struct vfio_pci_device *vd = to_vfio_pci(dev);

	if (vd->opened)
		vfio_pci_close(dev);
	vfio_pci_low_power_fini(vd);
	vfio_migrate_free(dev);
	vfio_device_fini(dev);
	pthread_rwlock_destroy(&vd->memory_lock);
	pthread_mutex_destroy(&vd->ioeventfds.lock);
	pthread_mutex_destroy(&vd->config_lock);
	pthread_mutex_destroy(&vd->igate);
	vfio_pci_sriov_fini(vd);
	vfio_pci_masks_fini(vd);
	vfio_pci_judge_fini(vd);
	heap_free(vd->msi.old_fds);
	heap_free(vd->msi.triggers);
	heap_free(vd);
}
