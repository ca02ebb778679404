/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_pci/reset.h: by which reset a driver resets its function alone; for this folder's and for
 * that of July 2010 (v3/).
 */
#ifndef VFIO_PCI_RESET_H
#define VFIO_PCI_RESET_H
#include <stdbool.h>

#include "pci/function.h"
#include "vfio/device.h"

/*
 * Choose the reset of @fn, which is @dev: the first of the device's methods by which it can be.
 * False: by none. Takes locks of the group's slot.
 */
bool vfio_pci_choose_reset(struct vfio_device *dev, pci_function *fn, enum uvfio_reset_kind *kind);
#endif
