/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_pci/migrate.c: what a device's stream holds (vfio/migrate.h): what the function and its
 * model save (pci/migrate.c), and before it what the driver keeps for its user: the config space
 * that the user sees, and the masks: of INTx, of MSI, and in the MSI-X table.
 *
 * Eventfds do not move: the user here sets up interrupts as the one there had, before or after the
 * state is loaded. So who unmasks a vector is settled by what is set up here; only of a vector that
 * had an eventfd there is the mask the user's, and moves.
 */
#include <stdlib.h>

#include "base/heap.h"
#include "vfio_pci/internal.h"

/* Return a bit for each vector of MSI that has an eventfd. igate held. */
static uint32_t msi_eventfds(struct vfio_pci_device *vd)
{
	uint32_t bits = 0;

	if (vd->irq_type == VFIO_PCI_MSI_IRQ_INDEX)
		for (unsigned i = 0; i < vd->msi.vectors; i++)
			bits |= vfio_trigger_is_set(&vd->msi.triggers[i]) ? 1u << i : 0;
	return bits;
}

/* Return a bit for each vector of MSI that ACTION_MASK masks. igate and config_lock held. */
static uint32_t msi_actions(struct vfio_pci_device *vd)
{
	unsigned n = pci_msi_vectors(vd->fn);
	uint32_t bits = 0;
	uint8_t why[32];

	vfio_pci_masks_saved(vd, VFIO_PCI_MSI_IRQ_INDEX, 0, n, why);
	for (unsigned i = 0; i < n; i++)
		if (why[i] & VFIO_PCI_ACTION_MASKED)
			bits |= 1u << i;
	return bits;
}

/*
 * With the bits of INTx: masks are the user's (masks.c). Then those of MSI by ACTION_MASK follow
 * its mask register, and the byte of an MSI-X vector has the user's masks beside its lowest bit.
 */
#define USERS_MASKS 0x80u

/* ---- saving ---- */

/* Put the byte of each vector of MSI-X. igate and config_lock held. */
static void save_msix(struct vfio_pci_device *vd, struct uvfio_state *s)
{
	bool active = vd->irq_type == VFIO_PCI_MSIX_IRQ_INDEX;
	unsigned n = vd->msix.info.vectors, some;
	uint8_t bytes[64];

	for (unsigned i = 0; i < n; i += some) {
		some = n - i < sizeof(bytes) ? n - i : (unsigned)sizeof(bytes);
		vfio_pci_masks_saved(vd, VFIO_PCI_MSIX_IRQ_INDEX, i, some, bytes);
		for (unsigned k = 0; active && k < some; k++)
			bytes[k] |= vfio_trigger_is_set(&vd->msi.triggers[i + k]);
		uvfio_put_bytes(s, bytes, some);
	}
}

static void save_driver(struct vfio_pci_device *vd, struct uvfio_state *s)
{
	unsigned msi = vfio_pci_msi_mask_reg(vd);

	uvfio_section(s, "vfio-pci");
	pthread_mutex_lock(&vd->igate);
	pthread_mutex_lock(&vd->config_lock);
	uvfio_put_bytes(s, vd->config.vconfig, vd->config.size);
	uvfio_put8(s, vd->saved.pm_valid);
	if (vd->saved.pm_valid)
		uvfio_put_bytes(s, vd->saved.pm, vd->config.size);
	uvfio_put8(s, (uint8_t)(vfio_pci_intx_saved(vd) | (vd->masks.users ? USERS_MASKS : 0)));
	uvfio_put32(s, msi_eventfds(vd));
	uvfio_put32(s, msi ? pci_config_read(vd->fn, msi, 4) : 0);
	if (vd->masks.users)
		uvfio_put32(s, msi_actions(vd));
	if (vd->msix.there)
		save_msix(vd, s);
	pthread_mutex_unlock(&vd->config_lock);
	pthread_mutex_unlock(&vd->igate);
}

int vfio_pci_save_in(struct vfio_device *dev, enum vfio_part part, void **buf, size_t *room,
		     size_t *len)
{
	struct vfio_pci_device *vd = to_vfio_pci(dev);
	struct uvfio_state s;
	int ret = 0;

	pci_state_save_in(&s, dev->name, *buf, *room);
	switch (part) {
	case VFIO_PART_DEVICE:
		pci_function_describe(vd->fn, &s);
		break;
	case VFIO_PART_MEMORY:
		ret = pci_function_save_dirty(vd->fn, &s);
		break;
	case VFIO_PART_STATE:
		save_driver(vd, &s);
		ret = pci_function_save(vd->fn, &s);
		break;
	case VFIO_PART_OWN:
		save_driver(vd, &s);
		ret = pci_function_save_own(vd->fn, &s);
		break;
	}
	if (!ret)
		ret = pci_state_end(&s);
	*buf = s.buf;
	*room = s.room;
	*len = s.len;
	return ret;
}

static int vfio_pci_save(struct vfio_device *dev, enum vfio_part part, void **out, size_t *len)
{
	size_t room = 0;
	int ret;

	*out = NULL;
	ret = vfio_pci_save_in(dev, part, out, &room, len);
	if (ret) {
		heap_free(*out);
		*out = NULL;
	}
	return ret;
}

/* ---- loading ---- */

/* The bytes of save_driver(), read before anything is changed. */
struct driver {
	uint8_t vconfig[PCI_CFG_EXP_SIZE], pm[PCI_CFG_EXP_SIZE];
	bool pm_valid;
	unsigned intx;
	bool users_masks;
	uint32_t msi_had, msi_mask; /* vectors with an eventfd; masked ones */
	uint32_t msi_actions;
	uint8_t *msix; /* of each vector of MSI-X */
};
#define HAD_EVENTFD 1u

static int read_driver(struct vfio_pci_device *vd, struct driver *d, struct uvfio_state *s)
{
	uvfio_section(s, "vfio-pci");
	uvfio_get_bytes(s, d->vconfig, vd->config.size);
	d->pm_valid = uvfio_get8(s);
	if (d->pm_valid)
		uvfio_get_bytes(s, d->pm, vd->config.size);
	d->intx = uvfio_get8(s);
	d->users_masks = d->intx & USERS_MASKS;
	d->intx &= ~USERS_MASKS;
	d->msi_had = uvfio_get32(s);
	d->msi_mask = uvfio_get32(s);
	if (d->users_masks)
		d->msi_actions = uvfio_get32(s);
	if (vd->msix.there) {
		d->msix = heap_alloc(vd->msix.info.vectors);
		if (!d->msix)
			return -ENOMEM;
		uvfio_get_bytes(s, d->msix, vd->msix.info.vectors);
	}
	return s->err;
}

/* Bring the masks of MSI and MSI-X in line with the eventfds that are set here. igate held. */
static void settle_masks(struct vfio_pci_device *vd, const struct driver *d)
{
	bool active = vd->irq_type == VFIO_PCI_MSIX_IRQ_INDEX;
	uint32_t both = d->msi_had & msi_eventfds(vd);
	unsigned msi = vfio_pci_msi_mask_reg(vd);

	if (msi && both)
		pci_config_write(vd->fn, msi, 4,
				 (pci_config_read(vd->fn, msi, 4) & ~both) | (d->msi_mask & both));
	for (unsigned i = 0; vd->msix.there && i < vd->msix.info.vectors; i++) {
		bool set = active && vfio_trigger_is_set(&vd->msi.triggers[i]);

		if (set && !(d->msix[i] & HAD_EVENTFD))
			pci_msix_entry(vd->fn, i, true);
		else if (!set)
			pci_msix_set_mask(vd->fn, i, true);
	}
}

/*
 * The same where masks are the user's, as they were there; or, if they were not, with what the
 * function's masks were of vectors with an eventfd.
 */
static void settle_users_masks(struct vfio_pci_device *vd, const struct driver *d)
{
	unsigned msi = vfio_pci_msi_mask_reg(vd);

	for (unsigned i = 0; i < vd->msi.num_triggers; i++) {
		uint8_t why = 0;

		if (vd->msix.there && i < vd->msix.info.vectors) {
			if (d->users_masks)
				why = d->msix[i];
			else if (d->msix[i] & HAD_EVENTFD && pci_msix_masked(vd->fn, i))
				why = VFIO_PCI_ENTRY_WRITTEN | VFIO_PCI_ENTRY_MASKED;
		}
		if (i < 32 && d->msi_actions >> i & 1)
			why |= VFIO_PCI_ACTION_MASKED;
		vfio_pci_masks_load(vd, i, why);
	}
	if (msi && !d->users_masks)
		put32(vd->config.vconfig + msi, d->msi_mask & d->msi_had);
	vfio_pci_masks_apply(vd, VFIO_PCI_MSI_IRQ_INDEX);
	vfio_pci_masks_apply(vd, VFIO_PCI_MSIX_IRQ_INDEX);
}

/* igate and config_lock held. */
static void load_driver(struct vfio_pci_device *vd, const struct driver *d)
{
	struct vfio_pci_config *c = &vd->config;

	memcpy(c->vconfig, d->vconfig, c->size);
	c->bars_dirty = true;
	vd->saved.pm_valid = d->pm_valid;
	if (d->pm_valid) {
		memcpy(vd->saved.pm, d->pm, c->size);
		/* it is put back when the function wakes: with the addresses that it has here */
		memcpy(vd->saved.pm + PCI_BASE_ADDRESS_0, c->real_bar, 4 * PCI_BARS);
		put32(vd->saved.pm + PCI_ROM_ADDRESS, c->real_bar[6]);
	}
	vfio_pci_intx_load(vd, d->intx);
}

static int load_state(struct vfio_pci_device *vd, struct uvfio_state *s, bool own)
{
	struct driver *d = heap_alloc(sizeof(*d));
	int ret = d ? read_driver(vd, d, s) : -ENOMEM;

	if (ret)
		goto out;
	pthread_mutex_lock(&vd->igate);
	pthread_mutex_lock(&vd->config_lock);
	pthread_rwlock_wrlock(&vd->memory_lock);
	ret = own ? pci_function_load_own(vd->fn, s) : pci_function_load(vd->fn, s);
	if (!ret) {
		load_driver(vd, d);
		if (vd->masks.users)
			settle_users_masks(vd, d);
		else
			settle_masks(vd, d);
	}
	pthread_rwlock_unlock(&vd->memory_lock);
	pthread_mutex_unlock(&vd->config_lock);
	pthread_mutex_unlock(&vd->igate);
out:
	if (d)
		heap_free(d->msix);
	heap_free(d);
	return ret;
}

static int vfio_pci_load(struct vfio_device *dev, enum vfio_part part, const void *buf, size_t len)
{
	struct vfio_pci_device *vd = to_vfio_pci(dev);
	struct uvfio_state s;
	int ret = 0;

	pci_state_load(&s, dev->name, buf, len);
	switch (part) {
	case VFIO_PART_DEVICE:
		pci_function_describe(vd->fn, &s);
		break;
	case VFIO_PART_MEMORY:
		ret = pci_function_load_dirty(vd->fn, &s);
		break;
	case VFIO_PART_STATE:
	case VFIO_PART_OWN:
		ret = load_state(vd, &s, part == VFIO_PART_OWN);
		break;
	}
	return ret ? ret : pci_state_end(&s);
}

/* ---- halting ---- */

static enum uvfio_stop_kind stop_kind(enum vfio_halt how)
{
	return how == VFIO_HALT_DMA ? UVFIO_STOP_DMA : UVFIO_STOP_ALL;
}

static int vfio_pci_halt(struct vfio_device *dev, enum vfio_halt how)
{
	return pci_function_stop(to_vfio_pci(dev)->fn, stop_kind(how));
}

static void vfio_pci_go_on(struct vfio_device *dev, enum vfio_halt how)
{
	pci_function_resume(to_vfio_pci(dev)->fn, stop_kind(how));
}

static uint64_t vfio_pci_size(struct vfio_device *dev)
{
	/* what the driver adds, and the frame of the stream */
	return pci_function_state_size(to_vfio_pci(dev)->fn) + 3ull * PCI_CFG_EXP_SIZE;
}

static int vfio_pci_track(struct vfio_device *dev, bool on)
{
	return pci_function_track(to_vfio_pci(dev)->fn, on);
}

static uint64_t vfio_pci_dirty(struct vfio_device *dev)
{
	return pci_function_dirty(to_vfio_pci(dev)->fn);
}

#define OPS                                                                    \
	.halt = vfio_pci_halt, .go_on = vfio_pci_go_on, .save = vfio_pci_save, \
	.load = vfio_pci_load, .size = vfio_pci_size, VFIO_PCI_OUTLAST_OPS

int vfio_pci_set_migration(struct vfio_device *dev)
{
	static const struct vfio_migrate_ops ops = { OPS };
	static const struct vfio_migrate_ops tracking = { OPS, .track = vfio_pci_track,
							  .dirty = vfio_pci_dirty };
	struct vfio_pci_device *vd = to_vfio_pci(dev);

	if (!pci_can_migrate(vd->fn))
		return -EOPNOTSUPP;
	return vfio_migrate_new(dev, pci_can_track(vd->fn) ? &tracking : &ops);
}
