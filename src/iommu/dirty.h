/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * iommu/dirty.h: which pages devices have written: a bit for each 4 KiB of IOVA space, in a radix
 * tree that has memory only where something is mapped. A device sets bits without lock or
 * allocation; memory for them is there before a page can be written.
 *
 * For iommu/domain.c, which has the rules (iommu/domain.h says what a reader can rely on).
 *
 * Locks: iommu_dirty_mark() runs at any time; the others under one lock, the domain's.
 */
#ifndef IOMMU_DIRTY_H
#define IOMMU_DIRTY_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct iommu_dirty;

/* Return an empty one, or NULL: no memory. */
struct iommu_dirty *iommu_dirty_new(void);
/* Give it back (@t may be NULL); no device marks in it any more. */
void iommu_dirty_free(struct iommu_dirty *t);
/* Have memory for the pages in [@first, @last]. 0 or -ENOMEM: then for some of them. */
int iommu_dirty_cover(struct iommu_dirty *t, uint64_t first, uint64_t last);
/* Forget what was marked in [@first, @last]. */
void iommu_dirty_clear(struct iommu_dirty *t, uint64_t first, uint64_t last);
/* Set the bits of the pages that have some of [@iova, @iova + @len); @len is not 0. */
void iommu_dirty_mark(struct iommu_dirty *t, uint64_t iova, uint64_t len);
/*
 * OR what is marked in [@first, @last] into @bitmap, a bit for each 2^@shift bytes, and with @clear
 * forget it. True if something was.
 */
bool iommu_dirty_read(struct iommu_dirty *t, uint64_t first, uint64_t last, unsigned shift,
		      uint64_t *bitmap, bool clear);
#endif
