/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/type1.h: the type1 interface (v1 and v2) to an address space: its rules about ranges, its
 * limit of mappings, its dirty bitmaps. Semantics of drivers/vfio/vfio_iommu_type1.c, its errors
 * included.
 *
 * Threads: all functions, from any thread. Locks: its state is guarded by the lock of its address
 * space (vfio/ioas.h has the order).
 */
#ifndef VFIO_TYPE1_H
#define VFIO_TYPE1_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vfio/ioas.h"
#include "vfio/uapi_defs.h"

struct vfio_type1;

/* vfio_iommu_type1.c: a bitmap of at most 2^31 pages */
#define VFIO_TYPE1_BITMAP_MAX (1ull << 28)

/**
 * vfio_type1_new - make an empty address space that is used by type1's rules
 * @v2: unmaps never cut a mapping, and are an error where they would
 *
 * Return: it, or NULL: no memory.
 */
struct vfio_type1 *vfio_type1_new(struct vfio_system *s, bool v2);
/** vfio_type1_free - unmap everything; no group is attached any more. @t may be NULL. */
void vfio_type1_free(struct vfio_type1 *t);
/** vfio_type1_ioas - return the address space below; it lives as long as @t. */
struct vfio_ioas *vfio_type1_ioas(struct vfio_type1 *t);
/** vfio_type1_is_v2 - true if it was made so */
bool vfio_type1_is_v2(const struct vfio_type1 *t);

/**
 * vfio_type1_map - MAP_DMA, after the checks of argsz and of unknown flags
 * @flags: VFIO_DMA_MAP_FLAG_READ, _WRITE; or _VADDR: the program sees the memory of this mapping,
 * whose address was invalidated, at @vaddr now
 *
 * Return: 0; -EINVAL, -EOVERFLOW: arguments; -EEXIST; -ENOSPC: none is left (vfio_ioas_limits());
 * -EFAULT, -ENOMEM: the memory; -ENOENT: nothing is mapped there (_VADDR).
 */
int vfio_type1_map(struct vfio_type1 *t, uint32_t flags, uint64_t vaddr, uint64_t iova,
		   uint64_t size);
/**
 * vfio_type1_unmap - UNMAP_DMA, after the checks of argsz and of unknown flags
 * @flags: VFIO_DMA_UNMAP_FLAG_ALL, _VADDR, _GET_DIRTY_BITMAP
 * @unmapped: gets how many bytes were unmapped, or invalidated (_VADDR)
 * @pgsize: with _GET_DIRTY_BITMAP, this and the next two: see vfio_type1_check_bitmap()
 * @bitmap: bit 0 is the page at @iova
 *
 * Return: 0, also if nothing was mapped; -EINVAL; -EOVERFLOW.
 */
int vfio_type1_unmap(struct vfio_type1 *t, uint32_t flags, uint64_t iova, uint64_t size,
		     uint64_t *unmapped, uint64_t pgsize, uint64_t bitmap_bytes, void *bitmap);

/** vfio_type1_dirty_start - DIRTY_PAGES of FLAG_START: 0, or -EACCES: this is v1 */
int vfio_type1_dirty_start(struct vfio_type1 *t);
/** vfio_type1_dirty_stop - DIRTY_PAGES of FLAG_STOP: 0, or -EACCES: this is v1 */
int vfio_type1_dirty_stop(struct vfio_type1 *t);
/**
 * vfio_type1_dirty_get - DIRTY_PAGES of FLAG_GET_BITMAP: every page that is mapped is dirty, as the
 * kernel answers for a device that does not pin for itself
 *
 * Return: 0; -EACCES: this is v1; -EINVAL: tracking is off, the range is empty, not aligned or cuts
 * a mapping, or the bitmap is wrong; -EOVERFLOW.
 */
int vfio_type1_dirty_get(struct vfio_type1 *t, uint64_t iova, uint64_t size, uint64_t pgsize,
			 uint64_t bitmap_bytes, void *bitmap);
/**
 * vfio_type1_check_bitmap - may a bitmap of @bytes bytes be for @size bytes of IOVA space?
 * @pgsize: bytes that a bit stands for: 4096
 * @need: gets the bytes of it that are written: whole words of 64 bits. May be NULL.
 *
 * Return: 0, or -EINVAL.
 */
int vfio_type1_check_bitmap(uint64_t size, uint64_t pgsize, uint64_t bytes, size_t *need);
#endif
