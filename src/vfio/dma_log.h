/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/dma_log.h: the log of a device's DMA writes (VFIO_DEVICE_FEATURE_DMA_LOGGING_*), which is
 * offered with migration. Checks of arguments that are the same for all devices are made here, in
 * the kernel's order. Threads: any.
 */
#ifndef VFIO_DMA_LOG_H
#define VFIO_DMA_LOG_H
#include "iommu/log.h"
#include "vfio/open.h"

/* As many ranges as the kernel takes: those that fit in a page. */
#define VFIO_DMA_LOG_RANGES 256u

/**
 * vfio_dma_log_start - log writes to @n ranges (struct vfio_device_feature_dma_logging_range)
 * @page_size: the client's wish; gets what is logged
 *
 * Return: 0; -EINVAL: a range has no length, is not of whole pages, or lies over another, or the
 * log is on; -EOVERFLOW: it wraps; -ENOMEM.
 */
int vfio_dma_log_start(struct vfio_open *o, const struct vfio_device_feature_dma_logging_range *r,
		       unsigned n, uint64_t *page_size);
/** vfio_dma_log_stop - log nothing any more; also if it is off. */
void vfio_dma_log_stop(struct vfio_open *o);
/**
 * vfio_dma_log_report - tell what was written, and forget it
 * @addr: the client's bitmap, a bit a @page_size, in which bits are set and none is cleared
 *
 * Return: 0; -EINVAL: the log is off, or no such page size; -EOVERFLOW; -ENOMEM; -EFAULT: the
 * bitmap is not there; what it was to be told is told again next time.
 */
int vfio_dma_log_report(struct vfio_open *o, uint64_t iova, uint64_t length, uint64_t page_size,
			uintptr_t addr);
#endif
