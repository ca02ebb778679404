/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * v3/driver.h: the driver of July 2010, as who has the hardware sees it: a function is bound to it.
 */
#ifndef V3_DRIVER_H
#define V3_DRIVER_H
#include "base/pci_address.h"
#include "pci/function.h"
#include "vfio/device.h"

/**
 * v3_bind - bind @fn: decoding goes on, and INTx is handled from now on
 * @at: where it is
 *
 * Return: 0; -EBUSY, -ENODEV: COMMAND.DisINTx does not work, the device cannot be bound; -ENOMEM.
 */
int v3_bind(pci_function *fn, const struct pci_address *at, struct vfio_device **out);
/**
 * v3_save - have what the device holds in *@out, of heap_alloc(): for v3_load() of its like
 *
 * Nobody has it open.
 *
 * Return: 0; -EOPNOTSUPP: nobody used it, or it cannot be saved; or what the model answered.
 */
int v3_save(struct vfio_device *dev, void **out, size_t *len);
/** v3_load - give it to a device that is just bound. 0, or -errno: it is as at power-on. */
int v3_load(struct vfio_device *dev, const void *buf, size_t len);
/** v3_set_mmap - may BARs be mapped from now on? What is mapped stays. */
void v3_set_mmap(struct vfio_device *dev, bool may);
/** v3_unbind - undo that, of a device that is not open */
void v3_unbind(struct vfio_device *dev);
#endif
