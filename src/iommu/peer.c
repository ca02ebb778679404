/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * iommu/peer.c: windows and their numbers. The table of windows is made of chunks that come when
 * they are needed, and stay. A number is used again when its window is gone, of which no page table
 * has an address by then.
 */
#include <errno.h>
#include <string.h>

#include "base/heap.h"
#include "base/rcu.h"
#include "base/util.h"
#include "iommu/peer.h"

#define PEER_BIT (1ull << 63)
#define NUMBERS	 (1u << 23) /* between the top bit and the offset */
#define CHUNK	 512u

struct iommu_target {
	struct ref ref;
	iommu_target_fn *fn;
	_Atomic(void *) arg; /* NULL: lost */
	char name[];
};

struct iommu_window {
	struct iommu_target *target; /* a reference, or NULL */
	unsigned bar, number;
	atomic_bool revoked;
};

typedef _Atomic(struct iommu_window *) window_slot;

static window_slot first_chunk[CHUNK];
static _Atomic(window_slot *) chunks[NUMBERS / CHUNK] = { first_chunk };
static atomic_uint free_from; /* where to look for a number first */

struct iommu_target *iommu_target_new(const char *name, iommu_target_fn *fn, void *arg)
{
	size_t len = strlen(name) + 1;
	struct iommu_target *t = heap_alloc(sizeof(*t) + len);

	if (!t)
		return NULL;
	ref_init(&t->ref);
	t->fn = fn;
	atomic_store(&t->arg, arg);
	memcpy(t->name, name, len);
	return t;
}

void iommu_target_get(struct iommu_target *t)
{
	ref_get(&t->ref);
}

void iommu_target_put(struct iommu_target *t)
{
	if (t && ref_put(&t->ref))
		heap_free(t);
}

void iommu_target_lose(struct iommu_target *t)
{
	atomic_store(&t->arg, NULL);
	rcu_sync_all();
}

const char *iommu_target_name(const struct iommu_target *t)
{
	return t->name;
}

/* Return the place of window @number, which is made if it is not there; NULL: no memory. */
static window_slot *slot_of(unsigned number)
{
	_Atomic(window_slot *) *c = &chunks[number / CHUNK];
	window_slot *is = atomic_load(c), *new;

	if (!is) {
		new = heap_array(CHUNK, sizeof(*new));
		if (!new)
			return NULL;
		if (atomic_compare_exchange_strong(c, &is, new))
			is = new;
		else
			heap_free(new);
	}
	return &is[number % CHUNK];
}

/* Give @w a number. */
static int take_number(struct iommu_window *w)
{
	unsigned n = atomic_load(&free_from);

	for (; n < NUMBERS; n++) {
		struct iommu_window *none = NULL;
		window_slot *slot = slot_of(n);

		if (!slot)
			return -ENOMEM;
		w->number = n;
		if (atomic_compare_exchange_strong(slot, &none, w)) {
			atomic_store(&free_from, n + 1);
			return 0;
		}
	}
	return -ENOMEM;
}

struct iommu_window *iommu_window_new(struct iommu_target *t, unsigned bar)
{
	struct iommu_window *w = heap_alloc(sizeof(*w));

	if (!w)
		return NULL;
	w->target = t;
	w->bar = bar;
	if (take_number(w)) {
		heap_free(w);
		return NULL;
	}
	if (t)
		iommu_target_get(t);
	return w;
}

void iommu_window_free(struct iommu_window *w)
{
	if (!w)
		return;
	atomic_store(slot_of(w->number), NULL);
	if (w->number < atomic_load(&free_from))
		atomic_store(&free_from, w->number);
	rcu_sync_all();
	iommu_target_put(w->target);
	heap_free(w);
}

void iommu_window_revoke(struct iommu_window *w)
{
	atomic_store(&w->revoked, true);
}

uint64_t iommu_window_address(const struct iommu_window *w, uint64_t off)
{
	return PEER_BIT | (uint64_t)w->number << IOMMU_PEER_BAR_BITS | off;
}

void iommu_peer_find(const void *mem, struct iommu_peer_at *at)
{
	uint64_t a = (uintptr_t)mem & ~PEER_BIT;
	unsigned number = (unsigned)(a >> IOMMU_PEER_BAR_BITS);
	window_slot *c = atomic_load(&chunks[number / CHUNK]);
	struct iommu_window *w = c ? atomic_load(&c[number % CHUNK]) : NULL;

	*at = (struct iommu_peer_at){ .off = a & ((1ull << IOMMU_PEER_BAR_BITS) - 1) };
	if (!w)
		return;
	at->target = w->target;
	at->bar = w->bar;
	at->revoked = atomic_load(&w->revoked);
}

int iommu_peer_access(const struct iommu_peer_at *at, struct iommu_device *from, void *buf,
		      size_t len, bool write)
{
	void *arg = at->target ? atomic_load(&at->target->arg) : NULL;

	return arg ? at->target->fn(arg, from, at->bar, at->off, buf, len, write) : -EIO;
}
