/* SPDX-License-Identifier: BSD-3-Clause */
/* iommu/entry.h: the entries of the I/O page table, as domain.c says what they are. */
#ifndef IOMMU_ENTRY_H
#define IOMMU_ENTRY_H
#include "iommu/internal.h"

#define PAGE_SHIFT   12u
#define LEVEL_BITS   9u
#define TOP_LEVEL    3u
#define LARGEST_LEAF 2u /* 1 GiB */
#define RIGHTS	     (IOMMU_READ | IOMMU_WRITE)
#define ENTRY_TABLE  4ull
#define ENTRY_BUNCH  8ull
#define IOVA_END     (1ull << IOMMU_IOVA_BITS)

static inline unsigned level_shift(unsigned level)
{
	return PAGE_SHIFT + LEVEL_BITS * level;
}

static inline uint64_t level_size(unsigned level)
{
	return 1ull << level_shift(level);
}

static inline unsigned index_at(uint64_t iova, unsigned level)
{
	return (unsigned)(iova >> level_shift(level)) & (IOMMU_ENTRIES - 1);
}

static inline bool is_table(uint64_t e)
{
	return e & ENTRY_TABLE;
}

static inline struct table *table_of(uint64_t e)
{
	return (struct table *)(uintptr_t)(e & ~ENTRY_TABLE);
}

static inline bool is_leaf(uint64_t e)
{
	return !(e & (ENTRY_TABLE | ENTRY_BUNCH));
}

static inline bool is_bunch(uint64_t e)
{
	return e & ENTRY_BUNCH;
}

static inline struct bunch *bunch_of(uint64_t e)
{
	return (struct bunch *)(uintptr_t)(e & ~ENTRY_BUNCH);
}

static inline uint64_t get(const struct table *t, unsigned i)
{
	return atomic_load_explicit(&t->entry[i], memory_order_relaxed);
}

/* Write entry @i. All that it points at was written before, and is seen before. */
static inline void set(struct table *t, unsigned i, uint64_t e)
{
	atomic_store_explicit(&t->entry[i], e, memory_order_release);
}
#endif
