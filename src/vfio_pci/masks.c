/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_pci/masks.c: masks of messages that are the user's, of a device that a server offers
 * (vfio_device.maskable). The kernel's driver keeps them for itself, and a monitor plays mask and
 * pending bits to its guest; over a socket the user may also leave that to the device, which knows
 * what is pending.
 *
 * A vector has up to three masks: it has no eventfd, ACTION_MASK of SET_IRQS, and the bit that the
 * user wrote into the table of MSI-X, or into the mask register of MSI. The function's own bit is
 * all of them together, so what comes meanwhile is a pending bit of the function's, in the PBA or
 * in the register of MSI, and goes out once when the last of them goes. The user sees its own bit.
 * An entry that was never written is no mask: a monitor that plays the table to its guest does not
 * write it. The Function Mask of MSI-X is the function's bit as it is.
 *
 * A reset takes the bits that were written, as the function's, and leaves ACTION_MASK, as eventfds;
 * that ends when the messages are disabled.
 */
#include "base/rcu.h"
#include "vfio_pci/internal.h"

#define HELD (VFIO_PCI_NO_EVENTFD | VFIO_PCI_ACTION_MASKED | VFIO_PCI_ENTRY_MASKED)

int vfio_pci_masks_init(struct vfio_pci_device *vd)
{
	if (vd->msi.num_triggers) {
		vd->masks.why = heap_array(vd->msi.num_triggers, sizeof(*vd->masks.why));
		if (!vd->masks.why)
			return -ENOMEM;
	}
	pthread_mutex_init(&vd->masks.lock, NULL);
	return 0;
}

void vfio_pci_masks_fini(struct vfio_pci_device *vd)
{
	pthread_mutex_destroy(&vd->masks.lock);
	heap_free(vd->masks.why);
}

void vfio_pci_masks_open(struct vfio_pci_device *vd)
{
	vd->masks.users = vd->vdev.maskable;
	if (vd->msi.num_triggers)
		memset(vd->masks.why, VFIO_PCI_NO_EVENTFD, vd->msi.num_triggers);
}

void vfio_pci_masks_config(struct vfio_pci_device *vd)
{
	unsigned msix = pci_find_cap(vd->fn, PCI_CAP_ID_MSIX), reg = vfio_pci_msi_mask_reg(vd);
	struct vfio_pci_config *c = &vd->config;
	unsigned vectors = pci_msi_vectors(vd->fn);

	if (!vd->masks.users)
		return;
	if (msix)
		c->write[msix + PCI_MSIX_FLAGS + 1] |= PCI_MSIX_FLAGS_MASKALL >> 8;
	if (reg) {
		put32(c->virt + reg, UINT32_MAX);
		put32(c->write + reg, vectors == 32 ? UINT32_MAX : (1u << vectors) - 1);
	}
}

bool vfio_pci_maskable(struct vfio_pci_device *vd, unsigned index)
{
	return vd->masks.users &&
	       (index == VFIO_PCI_MSIX_IRQ_INDEX || vfio_pci_msi_mask_reg(vd) != 0);
}

/* ---- of the function: all masks together ---- */

/* Have entry @vector of MSI-X be masked, or not. masks.lock held. */
static void set_entry(struct vfio_pci_device *vd, unsigned vector)
{
	pci_msix_set_mask(vd->fn, vector, vd->masks.why[vector] & HELD);
}

/* config_lock held */
uint32_t vfio_pci_masks_of_msi(struct vfio_pci_device *vd)
{
	unsigned vectors = pci_msi_vectors(vd->fn);
	uint32_t bits = get32(vd->config.vconfig + vfio_pci_msi_mask_reg(vd));

	pthread_mutex_lock(&vd->masks.lock);
	for (unsigned i = 0; i < vectors; i++)
		if (vd->masks.why[i] & (VFIO_PCI_NO_EVENTFD | VFIO_PCI_ACTION_MASKED))
			bits |= 1u << i;
	pthread_mutex_unlock(&vd->masks.lock);
	return bits;
}

void vfio_pci_masks_apply(struct vfio_pci_device *vd, unsigned index)
{
	unsigned reg = vfio_pci_msi_mask_reg(vd);

	if (index == VFIO_PCI_MSI_IRQ_INDEX) {
		if (reg)
			pci_config_write(vd->fn, reg, 4, vfio_pci_masks_of_msi(vd));
		return;
	}
	pthread_mutex_lock(&vd->masks.lock);
	for (unsigned i = 0; vd->msix.there && i < vd->msix.info.vectors; i++)
		set_entry(vd, i);
	pthread_mutex_unlock(&vd->masks.lock);
}

/* Set, or clear, @bit of a vector of @index, and of the function what follows. config_lock held. */
static void change(struct vfio_pci_device *vd, unsigned index, unsigned vector, uint8_t bit,
		   bool set)
{
	pthread_mutex_lock(&vd->masks.lock);
	if (set)
		vd->masks.why[vector] |= bit;
	else
		vd->masks.why[vector] &= (uint8_t)~bit;
	if (index == VFIO_PCI_MSIX_IRQ_INDEX)
		set_entry(vd, vector);
	pthread_mutex_unlock(&vd->masks.lock);
}

void vfio_pci_masks_eventfd(struct vfio_pci_device *vd, unsigned vector, bool there)
{
	change(vd, vd->irq_type, vector, VFIO_PCI_NO_EVENTFD, !there);
	if (vd->irq_type == VFIO_PCI_MSI_IRQ_INDEX)
		vfio_pci_masks_apply(vd, vd->irq_type);
}

void vfio_pci_masks_end_actions(struct vfio_pci_device *vd)
{
	pthread_mutex_lock(&vd->masks.lock);
	for (unsigned i = 0; i < vd->msi.num_triggers; i++)
		vd->masks.why[i] &= (uint8_t)~VFIO_PCI_ACTION_MASKED;
	pthread_mutex_unlock(&vd->masks.lock);
}

void vfio_pci_masks_reset(struct vfio_pci_device *vd)
{
	unsigned reg = vfio_pci_msi_mask_reg(vd);

	if (!vd->masks.users)
		return;
	pthread_mutex_lock(&vd->masks.lock);
	for (unsigned i = 0; i < vd->msi.num_triggers; i++)
		vd->masks.why[i] &= (uint8_t) ~(VFIO_PCI_ENTRY_MASKED | VFIO_PCI_ENTRY_WRITTEN);
	pthread_mutex_unlock(&vd->masks.lock);
	if (reg)
		put32(vd->config.vconfig + reg, 0);
}

/* ---- migration ---- */

void vfio_pci_masks_saved(struct vfio_pci_device *vd, unsigned index, unsigned start, unsigned n,
			  uint8_t *out)
{
	unsigned moves = VFIO_PCI_ENTRY_MASKED | VFIO_PCI_ENTRY_WRITTEN |
			 (vd->irq_type == index ? VFIO_PCI_ACTION_MASKED : 0);

	memset(out, 0, n);
	if (!vd->masks.users)
		return;
	pthread_mutex_lock(&vd->masks.lock);
	for (unsigned i = 0; i < n; i++)
		out[i] = vd->masks.why[start + i] & (uint8_t)moves;
	pthread_mutex_unlock(&vd->masks.lock);
}

void vfio_pci_masks_load(struct vfio_pci_device *vd, unsigned vector, uint8_t saved)
{
	pthread_mutex_lock(&vd->masks.lock);
	vd->masks.why[vector] &= VFIO_PCI_NO_EVENTFD;
	vd->masks.why[vector] |= saved & (uint8_t)~VFIO_PCI_NO_EVENTFD;
	pthread_mutex_unlock(&vd->masks.lock);
}

/* ---- the user's ---- */

int vfio_pci_masks_set(struct vfio_pci_device *vd, const struct vfio_irq_set_args *a)
{
	bool mask = a->flags & VFIO_IRQ_SET_ACTION_MASK;
	const uint8_t *bools = a->data;

	if (a->flags & VFIO_IRQ_SET_DATA_EVENTFD)
		return -ENOTTY;
	if (vd->irq_type != a->index)
		return -EINVAL;
	pthread_mutex_lock(&vd->config_lock);
	for (unsigned i = 0; i < a->count; i++)
		if (a->flags & VFIO_IRQ_SET_DATA_NONE || bools[i])
			change(vd, a->index, a->start + i, VFIO_PCI_ACTION_MASKED, mask);
	if (a->index == VFIO_PCI_MSI_IRQ_INDEX)
		vfio_pci_masks_apply(vd, a->index);
	pthread_mutex_unlock(&vd->config_lock);
	if (mask)
		rcu_sync(); /* what was under way has been signalled */
	return 0;
}

void vfio_pci_write_msix(struct vfio_pci_device *vd, const struct vfio_pci_cap *cap, unsigned pos,
			 unsigned size, uint32_t value)
{
	vfio_pci_config_default_write(vd, pos, size, value);
	if (vd->masks.users &&
	    pci_config_read(vd->fn, cap->pos + PCI_MSIX_FLAGS, 2) & PCI_MSIX_FLAGS_MASKALL)
		rcu_sync();
}

/* Write a dword of the table. */
static int write_dword(struct vfio_pci_device *vd, uint64_t pos, uint32_t value)
{
	uint64_t at = pos - vd->msix.info.table_offset, is;
	unsigned bar = vd->msix.info.table_bar, vector = (unsigned)(at / PCI_MSIX_ENTRY_SIZE);
	bool mask = value & PCI_MSIX_ENTRY_CTRL_MASKBIT;
	int err;

	if (at % PCI_MSIX_ENTRY_SIZE != PCI_MSIX_ENTRY_VECTOR_CTRL)
		return pci_bar_write(vd->fn, bar, pos, 4, value);
	err = pci_bar_read(vd->fn, bar, pos, 4, &is);
	if (err) /* nobody is there */
		return err;
	pthread_mutex_lock(&vd->masks.lock);
	vd->masks.why[vector] &= (uint8_t)~VFIO_PCI_ENTRY_MASKED;
	vd->masks.why[vector] |= VFIO_PCI_ENTRY_WRITTEN | (mask ? VFIO_PCI_ENTRY_MASKED : 0);
	set_entry(vd, vector);
	pthread_mutex_unlock(&vd->masks.lock);
	if (mask)
		rcu_sync();
	return 0;
}

int vfio_pci_masks_write(struct vfio_pci_device *vd, uint64_t pos, unsigned size, uint64_t value)
{
	int err;

	if (size < 4) /* the function refuses it, and says so */
		return pci_bar_write(vd->fn, vd->msix.info.table_bar, pos, size, value);
	err = write_dword(vd, pos, (uint32_t)value);
	if (!err && size == 8)
		err = write_dword(vd, pos + 4, (uint32_t)(value >> 32));
	return err;
}

int vfio_pci_masks_read(struct vfio_pci_device *vd, uint64_t pos, unsigned size, uint64_t *value)
{
	uint64_t at = pos - vd->msix.info.table_offset, bit;
	unsigned vector = (unsigned)(at / PCI_MSIX_ENTRY_SIZE), first = at % PCI_MSIX_ENTRY_SIZE;
	int err = pci_bar_read(vd->fn, vd->msix.info.table_bar, pos, size, value);
	uint8_t why;

	if (err || first > PCI_MSIX_ENTRY_VECTOR_CTRL || first + size <= PCI_MSIX_ENTRY_VECTOR_CTRL)
		return err;
	pthread_mutex_lock(&vd->masks.lock);
	why = vd->masks.why[vector];
	pthread_mutex_unlock(&vd->masks.lock);
	bit = (uint64_t)PCI_MSIX_ENTRY_CTRL_MASKBIT << 8 * (PCI_MSIX_ENTRY_VECTOR_CTRL - first);
	if (why & VFIO_PCI_ENTRY_WRITTEN)
		*value = (*value & ~bit) | (why & VFIO_PCI_ENTRY_MASKED ? bit : 0);
	return 0;
}
