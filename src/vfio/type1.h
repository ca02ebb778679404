/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/type1.h: the type1 address space (v1 and v2): DMA mappings as the client made them, over one
 * iommu domain. Semantics of drivers/vfio/vfio_iommu_type1.c, its errors included.
 * Lock: type1.lock guards the mappings (a balanced tree by iova); above iommu_domain.lock.
 */
#ifndef VFIO_TYPE1_H
#define VFIO_TYPE1_H
#include <stdbool.h>
#include <stdint.h>

#include "iommu/domain.h"
#include "vfio/uapi_defs.h" /* struct vfio_iova_range */

struct vfio_system;
struct vfio_type1;

struct vfio_type1 *vfio_type1_new(struct vfio_system *s, bool v2);
void vfio_type1_free(struct vfio_type1 *t); /* unmaps everything */
struct iommu_domain *vfio_type1_domain(struct vfio_type1 *t);
bool vfio_type1_is_v2(const struct vfio_type1 *t);
/*
 * @flags: VFIO_DMA_MAP_FLAG_READ/WRITE/VADDR. All errors of MAP_DMA after the argsz and flag
 * checks. Pages are checked to be there (EFAULT) as pinning does.
 */
int vfio_type1_map(struct vfio_type1 *t, uint32_t flags, uint64_t vaddr, uint64_t iova,
		   uint64_t size);
/*
 * @flags: VFIO_DMA_UNMAP_FLAG_ALL/VADDR/GET_DIRTY_BITMAP. *@unmapped gets the bytes. For
 * GET_DIRTY_BITMAP @bitmap covers the range in @pgsize pages.
 */
int vfio_type1_unmap(struct vfio_type1 *t, uint32_t flags, uint64_t iova, uint64_t size,
		     uint64_t *unmapped, uint64_t pgsize, uint64_t bitmap_bytes, void *bitmap);
int vfio_type1_dirty_start(struct vfio_type1 *t);
int vfio_type1_dirty_stop(struct vfio_type1 *t);
int vfio_type1_dirty_get(struct vfio_type1 *t, uint64_t iova, uint64_t size, uint64_t pgsize,
			 uint64_t bitmap_bytes, void *bitmap);
uint32_t vfio_type1_avail(struct vfio_type1 *t); /* DMA_AVAIL */
/* how many there are */
unsigned vfio_type1_iova_ranges(struct vfio_type1 *t, struct vfio_iova_range *r, unsigned max);
uint64_t vfio_type1_pgsizes(struct vfio_type1 *t);

/*
 * The program is about to lose its view of [vaddr, vaddr + len) (munmap, mmap MAP_FIXED, mremap):
 * pinned pages must stay with the devices. For each page of a mapping in that range (of which the
 * kernel will not refuse to take some: it ends where a huge page ends) @move(old, len, arg) moves
 * the memory aside and returns where it is now (NULL: it could not; a device access then aborts.
 * @old: it stays, since the program will not get it away). All type1 spaces of @s; memory that is
 * mapped twice is moved once, neighbours in one call. Locks are held: @move makes system calls and
 * nothing else. It returns memory outside of the range (and where no MAP_FIXED of the program's
 * comes), which is released with munmap when the last mapping that uses it goes.
 */
void vfio_preserve_pages(struct vfio_system *s, void *vaddr, uint64_t len,
			 void *(*move)(void *old, uint64_t len, void *arg), void *arg);
/*
 * The same for what lies in [vaddr, vaddr + len) since an earlier move: our own view of pages that
 * are lost to whoever sees them. The range is of whole pages.
 */
void vfio_preserve_asides(struct vfio_system *s, void *vaddr, uint64_t len,
			  void *(*move)(void *old, uint64_t len, void *arg), void *arg);
/*
 * true if any mapping of @s touches the range: the quick test before the slow call. No lock when
 * nothing is mapped.
 */
bool vfio_pages_in_use(struct vfio_system *s, const void *vaddr, uint64_t len);
/*
 * The same, but pages count only if they are still the program's, and not aside since an earlier
 * loss. Both ends are page boundaries; waits for calls that are going on.
 */
bool vfio_pages_in_place(struct vfio_system *s, void *vaddr, uint64_t len);
/*
 * The program moves its view of [vaddr, vaddr + len), and the devices go along. All of a mapping
 * that has some of it must lie in it, and be in place. @move(arg) returns where the view is now, or
 * 0; the old one is still mapped then, and nobody uses it when this returns 0. -ENOMEM: nothing
 * changed.
 */
bool vfio_can_follow(struct vfio_system *s, void *vaddr, uint64_t len); /* as it is now */
int vfio_follow_pages(struct vfio_system *s, void *vaddr, uint64_t len, uint64_t (*move)(void *arg),
		      void *arg);
/*
 * May mappings have memory in [start, last]? Takes no lock: more often yes than is so, never no
 * when they have.
 */
bool vfio_pages_near(struct vfio_system *s, uint64_t start, uint64_t last);
/*
 * libc takes memory away inside of itself, maybe with malloc's locks held, so that nothing can be
 * moved: [*start, *end) is the first stretch of pages in [from, to) that mappings have. @keep: it
 * is to be unmapped, which happens when no mapping has it any more; the caller leaves it as it is.
 * False: none. Both ends are page boundaries.
 */
bool vfio_next_in_use(struct vfio_system *s, uint64_t from, uint64_t to, bool keep, uint64_t *start,
		      uint64_t *end);
/*
 * The program is about to map something in [from, to), or to unmap it by itself: what was kept
 * there is not unmapped later.
 */
void vfio_place_taken(struct vfio_system *s, uint64_t from, uint64_t to);
#endif
