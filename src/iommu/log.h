/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * iommu/log.h: which memory one device has written, in the ranges that its client asked about
 * (VFIO_DEVICE_FEATURE_DMA_LOGGING_*). Beside iommu/domain.h's dirty tracking, which is of all the
 * devices of an address space, and with the same promises: a write is noted before it is over, and
 * none is lost between two reads. It stays with the device in whatever address space that is.
 *
 * Threads: any. One lock, a leaf, for all but marking, which takes none.
 */
#ifndef IOMMU_LOG_H
#define IOMMU_LOG_H
#include <stdbool.h>
#include <stdint.h>

struct iommu_device;
struct iommu_log;

struct iommu_log_range {
	uint64_t first, last;
};

/**
 * iommu_log_bound - let the bits of the next log of @dev take @bytes of memory, at least 4096; 0:
 * 32 MiB
 */
void iommu_log_bound(struct iommu_device *dev, uint64_t bytes);
/**
 * iommu_log_start - note from now on what @dev writes in @n ranges, of which none is over another
 * @shift: the wanted size of a page as a power of two; gets the size that is noted, which is larger
 * where the ranges are too large for iommu_log_bound(), and at least 4 KiB
 *
 * Waits for DMA that is under way.
 *
 * Return: 0; -EINVAL: it is on already; -ENOMEM.
 */
int iommu_log_start(struct iommu_device *dev, const struct iommu_log_range *r, unsigned n,
		    unsigned *shift);
/** iommu_log_stop - note nothing any more; it need not have been on. Waits for DMA. */
void iommu_log_stop(struct iommu_device *dev);
/**
 * iommu_log_read - tell what was written in [@first, @last], and forget it
 * @shift: a bit stands for so many bytes, as a power of two
 * @bitmap: bit 0 is at @first; bits are set, and none is cleared
 * @any: set to true if there was something
 *
 * The pages that were found are complete only after rcu_sync(), which the caller makes once.
 *
 * Return: 0; -EINVAL: it is off.
 */
int iommu_log_read(struct iommu_device *dev, uint64_t first, uint64_t last, unsigned shift,
		   uint64_t *bitmap, bool *any);
/**
 * iommu_log_next - return the first address from @at on that is in a range; UINT64_MAX: there is
 * none
 */
uint64_t iommu_log_next(struct iommu_device *dev, uint64_t at);
/**
 * iommu_log_again - note that what the ranges have of [@first, @last] was written: it was read, and
 * could not be told
 */
void iommu_log_again(struct iommu_device *dev, uint64_t first, uint64_t last);

/* For iommu/device.c: note a write, between rcu_read_begin and rcu_read_end. @len is not 0. */
void iommu_log_mark(struct iommu_log *log, uint64_t iova, uint64_t len);
#endif
