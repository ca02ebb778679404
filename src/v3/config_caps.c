/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * v3/config_caps.c: writes to config space that do more than change bits, and how a BAR reads.
 */
#include "v3/internal.h"

/* True if [pos, pos + size) has byte @reg. */
static bool has(unsigned pos, unsigned size, unsigned reg)
{
	return pos <= reg && pos + size > reg;
}

/* Return byte @reg of @value, which is written at @pos. */
static uint8_t byte_of(unsigned pos, uint32_t value, unsigned reg)
{
	return (uint8_t)(value >> 8 * (reg - pos));
}

/*
 * Write the header. COMMAND.DisINTx is how a user masks INTx and, by writing 0, says that it is
 * done with an interrupt.
 */
void v3_write_header(struct v3_device *v, const struct v3_cap *cap, unsigned pos, unsigned size,
		     uint32_t value)
{
	v3_config_default_write(v, pos, size, value);
	if (has(pos, size, PCI_COMMAND + 1))
		v3_intx_written(v, byte_of(pos, value, PCI_COMMAND + 1) &
					   PCI_COMMAND_INTX_DISABLE >> 8);
}

/* Change the D-state by v3_set_power(), since what the way back from D3hot loses is put back. */
void v3_write_pm(struct v3_device *v, const struct v3_cap *cap, unsigned pos, unsigned size,
		 uint32_t value)
{
	unsigned ctrl = cap->pos + PCI_PM_CTRL, shift, now;

	if (!has(pos, size, ctrl)) {
		v3_config_default_write(v, pos, size, value);
		return;
	}
	shift = 8 * (ctrl - pos);
	now = pci_config_read(v->fn, ctrl, 2) & PCI_PM_CTRL_STATE_MASK;
	/* the other bits first: what is written to a function in D3hot stays */
	v3_config_default_write(v, pos, size,
				(value & ~(PCI_PM_CTRL_STATE_MASK << shift)) | now << shift);
	pthread_rwlock_wrlock(&v->memory_lock);
	v3_set_power(v, value >> shift & PCI_PM_CTRL_STATE_MASK);
	pthread_rwlock_unlock(&v->memory_lock);
}

/* Reset the function (FLR) by the driver, which keeps what the user could not put back. */
static void reset(struct v3_device *v)
{
	pthread_rwlock_wrlock(&v->memory_lock);
	v3_reset_function(v, UVFIO_RESET_FLR);
	pthread_rwlock_unlock(&v->memory_lock);
}

void v3_write_exp(struct v3_device *v, const struct v3_cap *cap, unsigned pos, unsigned size,
		  uint32_t value)
{
	unsigned high = cap->pos + PCI_EXP_DEVCTL + 1;
	uint8_t flr = PCI_EXP_DEVCTL_BCR_FLR >> 8;
	bool flagged = has(pos, size, high) && byte_of(pos, value, high) & flr;

	if (flagged)
		value &= ~((uint32_t)flr << 8 * (high - pos));
	v3_config_default_write(v, pos, size, value);
	if (flagged && pci_config_read(v->fn, cap->pos + PCI_EXP_DEVCAP, 4) & PCI_EXP_DEVCAP_FLR)
		reset(v);
}

void v3_write_af(struct v3_device *v, const struct v3_cap *cap, unsigned pos, unsigned size,
		 uint32_t value)
{
	unsigned ctrl = cap->pos + PCI_AF_CTRL;

	if (has(pos, size, ctrl) && byte_of(pos, value, ctrl) & PCI_AF_CTRL_FLR &&
	    pci_config_read(v->fn, cap->pos + PCI_AF_CAP, 1) & PCI_AF_CAP_FLR)
		reset(v);
}

uint32_t v3_read_bar(struct v3_device *v, unsigned reg, uint32_t value)
{
	unsigned bar = (reg - PCI_BASE_ADDRESS_0) / 4;
	const struct pci_bar *b;
	uint32_t type;

	if (reg == PCI_ROM_ADDRESS) {
		b = pci_function_bar(v->fn, PCI_ROM_BAR);
		/* bit 0 is the user's, whether there is a ROM or not */
		return (b->size ? value & (uint32_t)-b->size : 0) |
		       (value & PCI_ROM_ADDRESS_ENABLE);
	}
	b = pci_function_bar(v->fn, bar);
	if (!b->size && bar && pci_function_bar(v->fn, bar - 1)->size &&
	    pci_function_bar(v->fn, bar - 1)->flags & UVFIO_BAR_64)
		return value & (uint32_t)(-pci_function_bar(v->fn, bar - 1)->size >> 32);
	if (!b->size)
		return 0;
	if (b->flags & UVFIO_BAR_IO)
		return (value & (uint32_t)-b->size) | PCI_BASE_ADDRESS_SPACE_IO;
	type = (b->flags & UVFIO_BAR_64 ? PCI_BASE_ADDRESS_MEM_TYPE_64 : 0) |
	       (b->flags & UVFIO_BAR_PREFETCH ? PCI_BASE_ADDRESS_MEM_PREFETCH : 0);
	/* a BAR of 4 GiB and more: the lower half has no address */
	return (b->size >> 32 ? 0 : value & (uint32_t)-b->size) | type;
}
