/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_pci/msi.c: MSI and MSI-X. The function's message finds its eventfd by vector number, in an
 * array as long as the function has vectors: no lock, nothing that could go away. A vector without
 * an eventfd is masked at the function where it can be, so that its message waits as a pending bit
 * and comes when the vector is assigned, as with free_irq() and request_irq() in a kernel.
 */
#include "base/event.h"
#include "base/rcu.h"
#include "vfio_pci/internal.h"

/* Signal message @vector of the function. Any thread, no lock. */
void vfio_pci_msi_message(void *arg, unsigned vector)
{
	struct vfio_pci_device *vd = arg;

	uint64_t n;

	if (vector >= vd->msi.num_triggers)
		return;
	EVENT(EVENT_IRQ, .who = vd->vdev.name, .at = vector,
	      .what = vfio_trigger_is_set(&vd->msi.triggers[vector]) ? EVENT_SIGNALLED
								     : EVENT_NOBODY);
	n = vfio_trigger_signal(&vd->msi.triggers[vector]);
	if (__builtin_expect(!(n % JUDGE_STORM), 0))
		vfio_pci_judge_message(vd, vector, n);
}

unsigned vfio_pci_msi_mask_reg(struct vfio_pci_device *vd)
{
	unsigned flags;

	if (!vd->cap.msi)
		return 0;
	flags = pci_config_read(vd->fn, vd->cap.msi + PCI_MSI_FLAGS, 2);
	if (!(flags & PCI_MSI_FLAGS_MASKBIT))
		return 0;
	return vd->cap.msi + (flags & PCI_MSI_FLAGS_64BIT ? PCI_MSI_MASK_64 : PCI_MSI_MASK_32);
}

/* Set up the hardware's mask of one vector. config_lock held. */
static void vector_mask(struct vfio_pci_device *vd, unsigned vector, bool mask)
{
	unsigned reg;
	uint32_t bits;

	if (vd->masks.users) {
		vfio_pci_masks_eventfd(vd, vector, !mask);
		return;
	}
	if (vd->irq_type == VFIO_PCI_MSIX_IRQ_INDEX) {
		pci_msix_entry(vd->fn, vector, !mask);
		return;
	}
	reg = vfio_pci_msi_mask_reg(vd);
	if (!reg)
		return;
	bits = pci_config_read(vd->fn, reg, 4);
	bits = mask ? bits | 1u << vector : bits & ~(1u << vector);
	pci_config_write(vd->fn, reg, 4, bits);
}

bool vfio_pci_msix_grows(const struct vfio_pci_device *vd)
{
	return vd->masks.users || vfio_kernel_has(VFIO_KERNEL_MSIX_GROWS);
}

/* Turn on what irq_type says, with the user's masks in place before. config_lock held. */
static void restore_masked(struct vfio_pci_device *vd)
{
	if (vd->irq_type == VFIO_PCI_MSIX_IRQ_INDEX) {
		vfio_pci_masks_apply(vd, vd->irq_type);
		pci_msix_switch(vd->fn, true);
	} else {
		pci_msi_enable_masked(vd->fn, vd->msi.log2,
				      vfio_pci_msi_mask_reg(vd) ? vfio_pci_masks_of_msi(vd) : 0);
	}
}

/* Turn on what irq_type and the eventfds say. config_lock held. */
void vfio_pci_msi_restore(struct vfio_pci_device *vd)
{
	unsigned reg = vfio_pci_msi_mask_reg(vd);
	uint32_t masked = ~0u;

	if (vd->masks.users) {
		restore_masked(vd);
	} else if (vd->irq_type == VFIO_PCI_MSIX_IRQ_INDEX) {
		pci_msix_enable(vd->fn);
		for (unsigned i = 0; i < vd->msix.info.vectors; i++)
			if (vfio_trigger_is_set(&vd->msi.triggers[i]))
				pci_msix_entry(vd->fn, i, true);
	} else {
		pci_msi_enable(vd->fn, vd->msi.log2);
		for (unsigned i = 0; i < vd->msi.vectors; i++)
			if (vfio_trigger_is_set(&vd->msi.triggers[i]))
				masked &= ~(1u << i);
		if (reg)
			pci_config_write(vd->fn, reg, 4, masked);
	}
	vfio_pci_intx_follow(vd);
}

static int msi_enable(struct vfio_pci_device *vd, unsigned index, unsigned num)
{
	int err = 0;

	if (!num)
		return -ERANGE; /* what allocating no vector gives */
	pthread_mutex_lock(&vd->config_lock);
	if (pci_power_state(vd->fn)) {
		err = -EINVAL; /* the table cannot be programmed outside of D0 */
	} else {
		vd->irq_type = index;
		vd->msi.vectors = num;
		if (index == VFIO_PCI_MSI_IRQ_INDEX)
			for (vd->msi.log2 = 0; 1u << vd->msi.log2 < num; vd->msi.log2++)
				;
		vfio_pci_msi_restore(vd);
	}
	pthread_mutex_unlock(&vd->config_lock);
	return err;
}

/*
 * Give a vector the eventfd @fd (-1: none). The hardware's mask changes with it, and a reset in
 * between would confuse the two. What was replaced is in old_fds until release_old(), so that many
 * are waited for once, and not with config_lock held.
 */
static int set_vector(struct vfio_pci_device *vd, unsigned vector, int fd)
{
	struct vfio_trigger *t = &vd->msi.triggers[vector];
	int err;

	/* MSI vectors are given out in one block; of MSI-X any may come later */
	if (fd >= 0 && vd->irq_type == VFIO_PCI_MSI_IRQ_INDEX && vector >= vd->msi.vectors)
		return -EINVAL;
	if (fd < 0 && !vfio_trigger_is_set(t))
		return 0;
	pthread_mutex_lock(&vd->config_lock);
	if (fd < 0)
		vector_mask(vd, vector, true);
	err = vfio_trigger_swap(t, fd < 0 ? -1 : fd, &vd->msi.old_fds[vd->msi.num_old]);
	if (!err)
		vd->msi.num_old++;
	if (!err && fd >= 0) {
		vfio_pci_judge_vector(vd, vector);
		vector_mask(vd, vector, false);
	}
	pthread_mutex_unlock(&vd->config_lock);
	return err;
}

static void release_old(struct vfio_pci_device *vd)
{
	vfio_trigger_release(vd->msi.old_fds, vd->msi.num_old);
	vd->msi.num_old = 0;
}

static void locked_mask(struct vfio_pci_device *vd, unsigned vector, bool mask)
{
	pthread_mutex_lock(&vd->config_lock);
	vector_mask(vd, vector, mask);
	pthread_mutex_unlock(&vd->config_lock);
}

/*
 * Before the vectors that get no eventfd lose theirs: have what is under way to these signalled,
 * and what comes later pending.
 */
static void settle_block(struct vfio_pci_device *vd, unsigned start, unsigned count,
			 const int32_t *fds)
{
	bool any = false;

	for (unsigned i = 0; i < count; i++) {
		if (fds[i] >= 0 || !vfio_trigger_is_set(&vd->msi.triggers[start + i]))
			continue;
		locked_mask(vd, start + i, true);
		any = true;
	}
	if (any)
		rcu_sync();
}

static int set_block(struct vfio_pci_device *vd, unsigned start, unsigned count, const int32_t *fds)
{
	unsigned i;
	int err = 0;

	if (vd->masks.users)
		settle_block(vd, start, count, fds);
	for (i = 0; i < count && !err; i++)
		err = set_vector(vd, start + i, fds[i]);
	if (err) {
		release_old(vd);
		/* what was done of the block is undone, what worked before it included */
		for (unsigned k = 0; k < i; k++)
			set_vector(vd, start + k, -1);
		/* and what comes behind the one that failed is as it was */
		for (; vd->masks.users && i < count; i++)
			if (vfio_trigger_is_set(&vd->msi.triggers[start + i]))
				locked_mask(vd, start + i, false);
	}
	release_old(vd);
	return err;
}

void vfio_pci_msi_disable_all(struct vfio_pci_device *vd)
{
	unsigned reg;

	vfio_pci_judge_end(vd);
	for (unsigned i = 0; i < vd->msi.num_triggers; i++)
		set_vector(vd, i, -1);
	pthread_mutex_lock(&vd->config_lock);
	if (vd->masks.users)
		vfio_pci_masks_end_actions(vd);
	if (vd->irq_type == VFIO_PCI_MSIX_IRQ_INDEX) {
		/* Function Mask stays the user's */
		vd->masks.users ? pci_msix_switch(vd->fn, false) : pci_msix_disable(vd->fn);
	} else {
		pci_msi_disable(vd->fn);
		reg = vfio_pci_msi_mask_reg(vd);
		if (reg)
			pci_config_write(vd->fn, reg, 4, 0);
	}
	vd->irq_type = VFIO_PCI_IRQ_NONE;
	vd->msi.vectors = 0;
	vfio_pci_intx_follow(vd);
	pthread_mutex_unlock(&vd->config_lock);
	/* a message under way finds no eventfd, and not one that is set later */
	if (!vd->msi.num_old)
		rcu_sync();
	release_old(vd);
}

static bool any_eventfd(const int32_t *fds, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (fds[i] >= 0)
			return true;
	return false;
}

int vfio_pci_msi_set(struct vfio_pci_device *vd, const struct vfio_irq_set_args *a)
{
	bool active = vd->irq_type == a->index;
	const uint8_t *bools = a->data;
	int err;

	switch (a->flags & VFIO_IRQ_SET_ACTION_TYPE_MASK) {
	case VFIO_IRQ_SET_ACTION_TRIGGER:
		break;
	case VFIO_IRQ_SET_ACTION_MASK:
	case VFIO_IRQ_SET_ACTION_UNMASK:
		return vfio_pci_maskable(vd, a->index) ? vfio_pci_masks_set(vd, a) : -ENOTTY;
	default:
		return -ENOTTY;
	}
	if (active && !a->count && a->flags & VFIO_IRQ_SET_DATA_NONE) {
		vfio_pci_msi_disable_all(vd);
		return 0;
	}
	if (!active && vd->irq_type != VFIO_PCI_IRQ_NONE)
		return -EINVAL;
	if (active && !vfio_pci_msix_grows(vd) && a->start + a->count > vd->msi.vectors)
		return -EINVAL;
	if (a->flags & VFIO_IRQ_SET_DATA_EVENTFD) {
		if (!active) {
			vfio_pci_judge_enable(vd, a->start);
			err = msi_enable(vd, a->index, a->start + a->count);
			if (err)
				return err;
		}
		err = set_block(vd, a->start, a->count, a->data);
		if (!err && (!active || any_eventfd(a->data, a->count)))
			vfio_pci_judge_set(vd, a->start, a->count);
		else if (!active)
			vfio_pci_msi_disable_all(vd);
		return err;
	}
	if (!active)
		return -EINVAL;
	for (unsigned i = 0; i < a->count; i++)
		if (a->flags & VFIO_IRQ_SET_DATA_NONE || bools[i])
			vfio_trigger_signal(&vd->msi.triggers[a->start + i]);
	return 0;
}
