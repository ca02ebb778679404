/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * iommu/bunch.c: a few mappings in the range of one entry of a page table, in a list. A page that
 * is alone in its gigabyte would have a table of 4 KiB at each of two levels; so once a domain has
 * many tables, a range gets one of its own only when it has more mappings than a bunch.
 *
 * Readers walk it while a writer changes it, so a slot's key is written once in its life: first the
 * key, then the leaf. A leaf that goes leaves a dead slot behind. Who needs those back, or cuts a
 * slot in two, makes another bunch.
 */
#include "iommu/internal.h"

/* Keys: the first page in the lower half, how many follow it in the upper one. */
#define NO_KEY UINT32_MAX /* a page that no range has */

static inline uint32_t first_of(uint64_t key)
{
	return (uint32_t)key;
}

static inline uint32_t more_of(uint64_t key)
{
	return (uint32_t)(key >> 32);
}

static inline uint64_t key_of(const struct bunch *b, unsigned i)
{
	return atomic_load_explicit(&b->key[i], memory_order_relaxed);
}

static inline uint64_t leaf_of(const struct bunch *b, unsigned i)
{
	return atomic_load_explicit(&b->leaf[i], memory_order_relaxed);
}

void bunch_init(struct bunch *b)
{
	for (unsigned i = 0; i < BUNCH_SIZE; i++)
		atomic_store_explicit(&b->key[i], NO_KEY, memory_order_relaxed);
}

void bunch_add(struct bunch *b, uint32_t first, uint32_t last, uint64_t leaf)
{
	const uint64_t key = (uint64_t)(last - first) << 32 | first;
	unsigned i = b->taken++;

	atomic_store_explicit(&b->key[i], key, memory_order_relaxed);
	/* all that it points at, and the key, were written before, and are seen before */
	atomic_store_explicit(&b->leaf[i], leaf, memory_order_release);
	b->used++;
}

bool bunch_next(const struct bunch *b, unsigned *i, struct bunch_slot *out)
{
	for (; *i < b->taken; ++*i) {
		out->leaf = leaf_of(b, *i);
		if (!out->leaf)
			continue;
		out->first = first_of(key_of(b, *i));
		out->last = out->first + more_of(key_of(b, *i));
		++*i;
		return true;
	}
	return false;
}

uint64_t bunch_pages(const struct bunch *b)
{
	struct bunch_slot s;
	uint64_t pages = 0;

	for (unsigned i = 0; bunch_next(b, &i, &s);)
		pages += s.last - s.first + 1ull;
	return pages;
}

int bunch_cover(const struct bunch *b, struct iommu_dirty *dirty, uint64_t base)
{
	struct bunch_slot s;
	int rc = 0;

	for (unsigned i = 0; !rc && bunch_next(b, &i, &s);)
		rc = iommu_dirty_cover(dirty, base + ((uint64_t)s.first << BUNCH_PAGE_SHIFT),
				       base + ((s.last + 1ull) << BUNCH_PAGE_SHIFT) - 1);
	return rc;
}

bool bunch_has(const struct bunch *b, uint32_t first, uint32_t last)
{
	struct bunch_slot s;

	for (unsigned i = 0; bunch_next(b, &i, &s);)
		if (s.first <= last && s.last >= first)
			return true;
	return false;
}

bool bunch_crosses(const struct bunch *b, uint32_t page)
{
	struct bunch_slot s;

	for (unsigned i = 0; bunch_next(b, &i, &s);)
		if (s.first < page && s.last >= page)
			return true;
	return false;
}

void bunch_copy(struct bunch *to, const struct bunch *from, uint32_t cut)
{
	struct bunch_slot s;

	for (unsigned i = 0; bunch_next(from, &i, &s);) {
		if (s.first < cut && s.last >= cut) {
			bunch_add(to, s.first, cut - 1, s.leaf);
			s.leaf += (uint64_t)(cut - s.first) << BUNCH_PAGE_SHIFT;
			s.first = cut;
		}
		bunch_add(to, s.first, s.last, s.leaf);
	}
}

uint64_t bunch_clear(struct bunch *b, uint32_t first, uint32_t last)
{
	uint64_t pages = 0;

	for (unsigned i = 0; i < b->taken; i++) {
		uint64_t key = key_of(b, i);

		if (!leaf_of(b, i) || first_of(key) < first || first_of(key) > last)
			continue;
		atomic_store_explicit(&b->leaf[i], 0, memory_order_release);
		b->used--;
		pages += more_of(key) + 1ull;
	}
	return pages;
}

bool bunch_point(struct bunch *b, uint32_t first, uint32_t last, uint64_t addr, uint64_t rights)
{
	uint64_t pages = 0;

	for (unsigned i = 0; i < b->taken; i++) {
		uint64_t key = key_of(b, i), leaf = leaf_of(b, i);
		uint32_t from = first_of(key), to = from + more_of(key);

		if (!leaf || from > last || to < first)
			continue;
		if (addr)
			atomic_store_explicit(
				&b->leaf[i],
				(addr + ((uint64_t)(from - first) << BUNCH_PAGE_SHIFT)) |
					(leaf & rights),
				memory_order_release);
		pages += (to < last ? to : last) - (from > first ? from : first) + 1ull;
	}
	return pages == last - first + 1ull;
}

bool bunch_read(const struct bunch *b, unsigned i, struct bunch_slot *out)
{
	out->leaf = atomic_load_explicit(&b->leaf[i], memory_order_acquire);
	out->first = first_of(key_of(b, i));
	out->last = out->first + more_of(key_of(b, i));
	return out->leaf;
}

uint64_t bunch_find(const struct bunch *b, uint32_t page, uint64_t *left)
{
	for (unsigned i = 0; i < BUNCH_SIZE; i++) {
		uint64_t key = key_of(b, i), leaf;
		uint32_t at = page - first_of(key);

		if (at > more_of(key))
			continue;
		leaf = atomic_load_explicit(&b->leaf[i], memory_order_acquire);
		if (!leaf)
			continue; /* it went, and may have come again behind */
		*left = more_of(key) - at + 1ull;
		return leaf + ((uint64_t)at << BUNCH_PAGE_SHIFT);
	}
	return 0;
}
