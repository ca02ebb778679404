/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/dmabuf.h: a dma-buf of a device: pages of a BAR as a thing of its own, which an IOAS can map
 * (IOAS_MAP_FILE), for peer-to-peer DMA of another device. Such DMA is not carried out here: what
 * is mapped is in no page table, and a device's access there aborts, with a line in the log.
 *
 * It is revoked, and cannot be mapped, while the BAR does not answer (decoding off, D3hot, low
 * power), and for good when the device was closed.
 *
 * Threads: any. The list of all is vfio_system.dmabufs, under dmabuf_lock: after vfio_device.lock,
 * before the locks of a provider.
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
/**
 * vfio_dmabuf_can_map - can @length bytes from @start on be mapped?
 *
 * Return: 0; -EINVAL: it is shorter; -ENODEV: it is revoked; -EOPNOTSUPP: it has several ranges.
 */
int vfio_dmabuf_can_map(struct vfio_dmabuf *b, uint64_t start, uint64_t length);
#endif
