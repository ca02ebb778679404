/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/testdev/oddities.c: what single kinds of devices have, and whoever assigns devices to
 * virtual machines must know: config space seen through a BAR, capabilities that say wrong things,
 * a reset of the device's own. Each is an option.
 */
#include <errno.h>

#include "models/testdev/internal.h"

#define PCIE_FLAGS 2u /* PCIe 6.0, 7.5.3.2: bits 3:0 version, 7:4 type */
#define MSIX_PBA   8u /* PCI 3.0, 6.8.2.5 */
#define PBA_BEHIND 0x10000u

/* Return @size bytes of config space; all ones behind its end. */
static uint64_t config(struct uvfio_dev *dev, uint64_t offset, unsigned size)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < size; i++)
		v |= (uint64_t)uvfio_config_get(dev, (unsigned)(offset + i), 1) << 8 * i;
	return v;
}

static int access_window(struct uvfio_dev *dev, uint64_t offset, unsigned size, uint64_t *value,
			 bool write)
{
	struct testdev *td = uvfio_priv(dev);

	if (offset == TD_WINDOW_ADDRESS) {
		if (size != 4)
			return -EINVAL;
		if (write)
			td->window = (uint32_t)*value;
		else
			*value = td->window;
		return 0;
	}
	/* nothing else is behind the window; it is only looked through */
	if (!write)
		*value = (td->window & ~0xfffu) == TD_WINDOW_CONFIG
				 ? config(dev, (td->window & 0xffc) + offset % 4, size)
				 : 0;
	return 0;
}

static void own_reset(struct uvfio_dev *dev)
{
	struct testdev *td = uvfio_priv(dev);

	testdev_reset(dev, UVFIO_RESET_BUS);
	td->last_reset = TD_RESET_OWN;
}

bool testdev_odd_access(struct uvfio_dev *dev, uint64_t offset, unsigned size, uint64_t *value,
			bool write, int *ret)
{
	struct testdev *td = uvfio_priv(dev);

	*ret = 0;
	if (td->mirror && offset >= TD_MIRROR && offset < TD_MIRROR + TD_MIRROR_SIZE) {
		if (!write)
			*value = config(dev, offset - TD_MIRROR, size);
	} else if (td->mirror && offset >= TD_WINDOW_ADDRESS && offset < TD_WINDOW_DATA + 4) {
		*ret = access_window(dev, offset, size, value, write);
	} else if (td->own_reset && offset == TD_OWN_RESET && size == 4) {
		if (write && *value == TD_OWN_RESET_KEY)
			own_reset(dev);
		else if (!write)
			*value = 0;
	} else {
		return false;
	}
	return true;
}

void testdev_odd_ids(struct uvfio_dev *dev, struct uvfio_ids *ids)
{
	ids->vendor = (uint16_t)uvfio_opt_uint(dev, "vendor_id", 0);
	ids->device = (uint16_t)uvfio_opt_uint(dev, "device_id", 0);
}

void testdev_odd_pcie(struct uvfio_dev *dev, unsigned cap)
{
	unsigned version = (unsigned)uvfio_opt_uint(dev, "pcie_version", 0);
	unsigned type = (unsigned)uvfio_opt_uint(dev, "pcie_type", 0);

	uvfio_config_set(dev, cap + PCIE_FLAGS, 1, type << 4 | version);
}

void testdev_odd_msix(struct uvfio_dev *dev, unsigned cap, unsigned bar)
{
	if (uvfio_opt_bool(dev, "wrong_pba", 0))
		uvfio_config_set(dev, cap + MSIX_PBA, 4, PBA_BEHIND | bar);
}
