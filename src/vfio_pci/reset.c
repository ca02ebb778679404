/* SPDX-License-Identifier: BSD-3-Clause */
/* vfio_pci/reset.c: by which reset a function is reset alone. */
#include "vfio/group.h"
#include "vfio_pci/reset.h"

/* True if the function can be reset by @m, which is @kind then. */
static bool can_reset_by(struct vfio_device *dev, pci_function *fn, enum vfio_reset_method m,
			 enum uvfio_reset_kind *kind)
{
	static const struct {
		enum pci_reset_method how;
		enum uvfio_reset_kind kind;
	} own[] = {
		[VFIO_RESET_BY_FLR] = { PCI_RESET_FLR, UVFIO_RESET_FLR },
		[VFIO_RESET_BY_AF_FLR] = { PCI_RESET_AF_FLR, UVFIO_RESET_FLR },
		[VFIO_RESET_BY_PM] = { PCI_RESET_PM, UVFIO_RESET_D3 },
	};

	if (m == VFIO_RESET_BY_BUS) {
		*kind = UVFIO_RESET_BUS;
		return dev->reset_scope != VFIO_RESET_NONE && vfio_slot_places(dev, NULL, 0) == 1;
	}
	*kind = own[m].kind;
	return pci_can_reset_by(fn, own[m].how);
}

bool vfio_pci_choose_reset(struct vfio_device *dev, pci_function *fn, enum uvfio_reset_kind *kind)
{
	enum vfio_reset_method all[VFIO_RESET_METHODS];
	unsigned n = vfio_device_reset_methods(dev, all);

	for (unsigned i = 0; i < n; i++)
		if (can_reset_by(dev, fn, all[i], kind))
			return true;
	return false;
}
