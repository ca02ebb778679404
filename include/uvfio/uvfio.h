/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * uvfio/uvfio.h: drive a PCI device from C, without a kernel driver and without the shim.
 *
 * The same device, driver and IOMMU as a VFIO program under `uvfio run` sees, by function calls. A
 * context (struct uvfio) is a machine with its devices and one IOMMU address space; a device is
 * opened by address or by what --device takes.
 *
 * Threads: every function may be called by any thread, except that uvfio_close()/uvfio_free() must
 * be the last use of their argument.
 * Errors: 0 or a count, or -errno; uvfio_strerror() has the sentence.
 * Faults: the first uvfio_new() installs handlers for SIGSEGV and SIGBUS, which pass on what is not
 * theirs. A program that installs its own later passes on what is not its own, or a device that
 * meets memory which is gone takes the program down instead of being told so.
 * Fork: a child may do nothing with its parent's contexts but uvfio_free(), which then leaves the
 * parent's alone; it can make its own.
 */
#ifndef UVFIO_UVFIO_H
#define UVFIO_UVFIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef UVFIO_PUBLIC
#define UVFIO_PUBLIC __attribute__((visibility("default")))
#endif

struct uvfio;	     /* a machine, its IOMMU domain */
struct uvfio_device; /* an open device */

/** uvfio_new - an empty machine. NULL: no memory. */
UVFIO_PUBLIC struct uvfio *uvfio_new(void);
/** uvfio_free - close what is open, unplug everything, free what uvfio_dma_alloc() gave. */
UVFIO_PUBLIC void uvfio_free(struct uvfio *u);
/**
 * uvfio_strerror - the sentence that explains the last error of a call on @u in this thread. Never
 * NULL.
 */
UVFIO_PUBLIC const char *uvfio_strerror(const struct uvfio *u);

/**
 * uvfio_add - plug in a device: @spec as --device takes it, "nvme,image=disk.img" or
 * "./counter.so,step=2". The virtual functions of "igb,sriov_numvfs=2" are plugged in with it and
 * opened by their addresses ("0000:01:10.0"); no VF token is asked for.
 * @addr: gets "0000:01:00.0" (may be NULL); at least 13 bytes. Return 0, -EINVAL, -ENOENT, -ENOMEM,
 * ...
 */
UVFIO_PUBLIC int uvfio_add(struct uvfio *u, const char *spec, char *addr);
/**
 * uvfio_open - open the device at @addr for driving: reset, attached to @u's address space.
 * -ENODEV, -EBUSY (open already).
 */
UVFIO_PUBLIC int uvfio_open(struct uvfio *u, const char *addr, struct uvfio_device **out);
/**
 * uvfio_open_model - uvfio_add() and uvfio_open() in one. A device that cannot be opened stays
 * plugged in.
 */
UVFIO_PUBLIC int uvfio_open_model(struct uvfio *u, const char *spec, struct uvfio_device **out);
UVFIO_PUBLIC void uvfio_close(struct uvfio_device *dev);
UVFIO_PUBLIC const char *uvfio_device_address(const struct uvfio_device *dev);

#define UVFIO_DMA_READ	1u /* the device may read */
#define UVFIO_DMA_WRITE 2u /* the device may write */
/**
 * uvfio_dma_map - let devices of @u access [@vaddr, @vaddr + @size) at @iova. Page aligned, all
 * three. The memory must stay mapped until uvfio_dma_unmap. Return 0, -EINVAL, -EEXIST (overlap),
 * -ENOSPC, -ENOMEM, -EFAULT.
 */
UVFIO_PUBLIC int uvfio_dma_map(struct uvfio *u, uint64_t iova, void *vaddr, uint64_t size,
			       unsigned prot);
/**
 * uvfio_dma_unmap - what lies in [@iova, @iova + @size) whole; -EINVAL if the range cuts a mapping.
 * Return the bytes unmapped. When it returns no device accesses the memory.
 */
UVFIO_PUBLIC int64_t uvfio_dma_unmap(struct uvfio *u, uint64_t iova, uint64_t size);
/**
 * uvfio_dma_alloc - @size bytes (rounded up to pages) of zeroed memory, mapped read/write at a low
 * address of uvfio's choice (*@iova, never 0). NULL: no memory.
 */
UVFIO_PUBLIC void *uvfio_dma_alloc(struct uvfio *u, size_t size, uint64_t *iova);
UVFIO_PUBLIC void uvfio_dma_free(struct uvfio *u, void *vaddr, size_t size, uint64_t iova);

/* Regions: as in VFIO, 0..5 the BARs, 6 the ROM, 7 config space. */
#define UVFIO_REGION_ROM    6u
#define UVFIO_REGION_CONFIG 7u
/** uvfio_region_size - bytes; 0: absent. -EINVAL for an index that the device does not have. */
UVFIO_PUBLIC int64_t uvfio_region_size(struct uvfio_device *dev, unsigned region);
/**
 * uvfio_read / uvfio_write - @count bytes at @offset, split into naturally aligned accesses of 8,
 * 4, 2, 1 bytes. Return the bytes done, -EIO (decoding off), -EINVAL, -EFAULT (config beyond its
 * end).
 */
UVFIO_PUBLIC ssize_t uvfio_read(struct uvfio_device *dev, unsigned region, uint64_t offset,
				void *buf, size_t count);
UVFIO_PUBLIC ssize_t uvfio_write(struct uvfio_device *dev, unsigned region, uint64_t offset,
				 const void *buf, size_t count);
/* One register. A read that fails returns all ones, as a bus would. */
UVFIO_PUBLIC uint32_t uvfio_read32(struct uvfio_device *dev, unsigned bar, uint64_t offset);
UVFIO_PUBLIC uint64_t uvfio_read64(struct uvfio_device *dev, unsigned bar, uint64_t offset);
UVFIO_PUBLIC int uvfio_write32(struct uvfio_device *dev, unsigned bar, uint64_t offset,
			       uint32_t value);
UVFIO_PUBLIC int uvfio_write64(struct uvfio_device *dev, unsigned bar, uint64_t offset,
			       uint64_t value);

/* Interrupts: as in VFIO, indices INTx, MSI, MSI-X, error, request. */
enum uvfio_irq_index {
	UVFIO_INDEX_INTX,
	UVFIO_INDEX_MSI,
	UVFIO_INDEX_MSIX,
	UVFIO_INDEX_ERR,
	UVFIO_INDEX_REQ
};
/** uvfio_irq_count - vectors of @index. */
UVFIO_PUBLIC int uvfio_irq_count(struct uvfio_device *dev, enum uvfio_irq_index index);
/**
 * uvfio_irq_enable - signal @fds[i] (eventfds, duplicated; -1: none) for vector @start + i. Return
 * 0, a positive number of vectors that could be had, -EINVAL, -EBADF.
 */
UVFIO_PUBLIC int uvfio_irq_enable(struct uvfio_device *dev, enum uvfio_irq_index index,
				  unsigned start, unsigned count, const int *fds);
UVFIO_PUBLIC int uvfio_irq_disable(struct uvfio_device *dev, enum uvfio_irq_index index);
/** uvfio_intx_mask / unmask - INTx is masked by uvfio at each interrupt; unmask it when served. */
UVFIO_PUBLIC int uvfio_intx_mask(struct uvfio_device *dev);
UVFIO_PUBLIC int uvfio_intx_unmask(struct uvfio_device *dev);

/** uvfio_bus_master - COMMAND.MASTER: without it no DMA and no MSI. */
UVFIO_PUBLIC int uvfio_bus_master(struct uvfio_device *dev, bool on);
/** uvfio_reset - function level reset. */
UVFIO_PUBLIC int uvfio_reset(struct uvfio_device *dev);
/**
 * uvfio_dma_faults - how many DMA transactions of the device the IOMMU aborted since it was opened.
 */
UVFIO_PUBLIC uint64_t uvfio_dma_faults(const struct uvfio_device *dev);

/**
 * uvfio_log_to - send the log to @fd (default: 2) from @level up: 0 errors, 1 warnings, 2
 * information, 3 debug; -1 nothing. Process-wide.
 */
UVFIO_PUBLIC void uvfio_log_to(int fd, int level);

#ifdef __cplusplus
}
#endif
#endif
