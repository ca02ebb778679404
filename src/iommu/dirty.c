/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * iommu/dirty.c: a radix tree of bitmaps. A leaf has the bits of 128 MiB and is as large as a node
 * of 512 pointers, one page; nodes come when memory is mapped and go with the tree.
 */
#include <errno.h>
#include <stdatomic.h>

#include "base/heap.h"
#include "base/pool.h"
#include "base/util.h"
#include "iommu/dirty.h"
#include "iommu/domain.h"

#define PAGE_SHIFT 12u
#define WORDS	   512u
#define LEAF_SHIFT 27u /* a leaf's words have 2^15 bits */
#define NODE_BITS  9u
#define TOP_SHIFT  (LEAF_SHIFT + 2 * NODE_BITS)
#define TOPS	   (1u << (IOMMU_IOVA_BITS - TOP_SHIFT))

struct node {
	union {
		struct node *_Atomic child[WORDS];
		_Atomic uint64_t word[WORDS]; /* a leaf's */
	};
};

struct iommu_dirty {
	struct node *_Atomic top[TOPS];
	struct pool nodes;
};

struct iommu_dirty *iommu_dirty_new(void)
{
	struct iommu_dirty *t = heap_alloc(sizeof(*t));

	if (t)
		pool_init(&t->nodes, sizeof(struct node));
	return t;
}

void iommu_dirty_free(struct iommu_dirty *t)
{
	if (!t)
		return;
	pool_destroy(&t->nodes);
	heap_free(t);
}

/* Return the node at *@slot, which is made if it is not there and @make; NULL: none. */
static inline struct node *child(struct iommu_dirty *t, struct node *_Atomic *slot, bool make)
{
	struct node *n = atomic_load_explicit(slot, memory_order_acquire);

	if (!n && make) {
		n = pool_take(&t->nodes);
		atomic_store_explicit(slot, n, memory_order_release);
	}
	return n;
}

/*
 * Return the leaf that has the bit of @iova, or NULL: there is none. *@last, the end of a range,
 * is cut to what lies in that leaf, or in the largest gap.
 */
static struct node *leaf_of(struct iommu_dirty *t, uint64_t iova, uint64_t *last, bool make)
{
	struct node *_Atomic *slot = &t->top[iova >> TOP_SHIFT];
	unsigned shift = TOP_SHIFT;
	struct node *n;
	uint64_t end;

	for (;;) {
		n = child(t, slot, make);
		if (!n || shift == LEAF_SHIFT)
			break;
		shift -= NODE_BITS;
		slot = &n->child[iova >> shift & (WORDS - 1)];
	}
	end = iova | ((1ull << shift) - 1);
	if (*last > end)
		*last = end;
	return n;
}

int iommu_dirty_cover(struct iommu_dirty *t, uint64_t first, uint64_t last)
{
	uint64_t end;

	for (;; first = end + 1) {
		end = last;
		if (!leaf_of(t, first, &end, true))
			return -ENOMEM;
		if (end == last)
			return 0;
	}
}

/* The bits of word @w of a leaf that stand for pages in [first, last], which lies in the leaf. */
static inline uint64_t bits_of(unsigned w, uint64_t first, uint64_t last)
{
	unsigned from = first >> PAGE_SHIFT & 0x7fff, to = last >> PAGE_SHIFT & 0x7fff;
	uint64_t bits = UINT64_MAX;

	if (w == from / 64)
		bits &= UINT64_MAX << from % 64;
	if (w == to / 64)
		bits &= UINT64_MAX >> (63 - to % 64);
	return bits;
}

static inline unsigned word_of(uint64_t iova)
{
	return (unsigned)(iova >> (PAGE_SHIFT + 6)) & (WORDS - 1);
}

void iommu_dirty_mark(struct iommu_dirty *t, uint64_t iova, uint64_t len)
{
	uint64_t last = iova + len - 1, end, bits;
	struct node *n;

	for (;; iova = end + 1) {
		end = last;
		n = leaf_of(t, iova, &end, false);
		for (unsigned w = word_of(iova); n && w <= word_of(end); w++) {
			bits = bits_of(w, iova, end);
			/* most are set already: that takes no cache line from another device */
			if (~atomic_load_explicit(&n->word[w], memory_order_relaxed) & bits)
				atomic_fetch_or(&n->word[w], bits);
		}
		if (end == last)
			return;
	}
}

void iommu_dirty_clear(struct iommu_dirty *t, uint64_t first, uint64_t last)
{
	uint64_t end, bits;
	struct node *n;

	for (;; first = end + 1) {
		end = last;
		n = leaf_of(t, first, &end, false);
		for (unsigned w = word_of(first); n && w <= word_of(end); w++) {
			bits = bits_of(w, first, end);
			if (atomic_load_explicit(&n->word[w], memory_order_relaxed) & bits)
				atomic_fetch_and(&n->word[w], ~bits);
		}
		if (end == last)
			return;
	}
}

/* Set the bits of @bitmap that stand for the pages of @found, whose bit 0 is page @page of it. */
static void put_bits(uint64_t *bitmap, uint64_t page, uint64_t found, unsigned shift)
{
	for (; found; found &= found - 1) {
		uint64_t bit = (page + (unsigned)__builtin_ctzll(found)) >> (shift - PAGE_SHIFT);

		bitmap[bit / 64] |= 1ull << bit % 64;
	}
}

bool iommu_dirty_read(struct iommu_dirty *t, uint64_t first, uint64_t last, unsigned shift,
		      uint64_t *bitmap, bool clear)
{
	uint64_t at, end, bits, found, base;
	bool any = false;
	struct node *n;

	for (at = first;; at = end + 1) {
		end = last;
		n = leaf_of(t, at, &end, false);
		for (unsigned w = word_of(at); n && w <= word_of(end); w++) {
			bits = bits_of(w, at, end);
			found = atomic_load(&n->word[w]) & bits;
			if (!found)
				continue;
			if (clear)
				found = atomic_fetch_and(&n->word[w], ~bits) & bits;
			any = true;
			/* the leaf may begin before @first, but no bit that is found does */
			base = (at >> LEAF_SHIFT << (LEAF_SHIFT - PAGE_SHIFT)) -
			       (first >> PAGE_SHIFT);
			put_bits(bitmap, base + w * 64ull, found, shift);
		}
		if (end == last)
			return any;
	}
}
