/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/dmabuf.h: a dma-buf of a device: pages of a BAR as a thing of its own, which an IOAS can map
 * (IOAS_MAP_FILE), for peer-to-peer DMA of another device.
 *
 * It cannot be mapped while the BAR does not answer (decoding off, D3hot, low power), and never
 * again when the device was closed. Who has it mapped is an import. When the BAR ceases to answer,
 * or the device is reset, imports are cut off, for good: as in the kernel, devices find nothing
 * mapped there from then on, until it is unmapped and mapped again.
 *
 * Threads: any. Locks: vfio_system.dmabuf_lock (the list of all dma-bufs, and which device they are
 * of) after vfio_device.lock and before the locks of a provider; imports_lock (the list of imports)
 * is a leaf, after those.
 */
#ifndef VFIO_DMABUF_H
#define VFIO_DMABUF_H
#include "vfio/open.h"

struct vfio_dmabuf;

/* linux/vfio.h, struct vfio_region_dma_range */
struct vfio_dma_range {
	uint64_t offset, length;
};

/** vfio_device_has_dmabuf - true if dma-bufs of the device's BARs can be made */
bool vfio_device_has_dmabuf(const struct vfio_open *o);
/**
 * vfio_dmabuf_check - may ranges of region @index be a dma-buf?
 *
 * The first check of two: before the ranges are known.
 *
 * Return: 0; -ENODEV: there is no such BAR.
 */
int vfio_dmabuf_check(struct vfio_open *o, uint32_t index);
/**
 * vfio_dmabuf_new - make a dma-buf of @n > 0 ranges of region @index, which was checked
 * @out: gets it, with one reference
 *
 * Return: 0; -EINVAL: not whole pages, more than there is, or the BAR is no memory; -EOVERFLOW;
 * -ENOMEM.
 */
int vfio_dmabuf_new(struct vfio_open *o, uint32_t index, const struct vfio_dma_range *ranges,
		    uint32_t n, struct vfio_dmabuf **out);
/** vfio_dmabuf_put - let it go; @b may be NULL */
void vfio_dmabuf_put(struct vfio_dmabuf *b);
struct vfio_dmabuf_import;
/**
 * vfio_dmabuf_import - have @length bytes from @start on for devices
 * @out: gets the import, which does not need @b any more
 *
 * Return: 0; -EINVAL: it is shorter; -ENODEV: it is revoked; -EOPNOTSUPP: it has several ranges;
 * -ENOMEM.
 */
int vfio_dmabuf_import(struct vfio_dmabuf *b, uint64_t start, uint64_t length,
		       struct vfio_dmabuf_import **out);
/**
 * vfio_dmabuf_import_address - return the address (iommu/peer.h) of the page that has its first
 * byte
 */
uint64_t vfio_dmabuf_import_address(const struct vfio_dmabuf_import *i);
/** vfio_dmabuf_import_free - let go of it (may be NULL); no page table has it any more */
void vfio_dmabuf_import_free(struct vfio_dmabuf_import *i);
#endif
