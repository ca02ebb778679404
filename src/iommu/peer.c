/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * iommu/peer.c: windows and their numbers. The table of windows is made of chunks that come when
 * they are needed, and stay. A number is used again when its window is gone, of which no page table
 * has an address by then: the slots of free numbers are a stack, so that a million windows cost no
 * search.
 */
#include <errno.h>
#include <string.h>

#include "base/heap.h"
#include "base/rcu.h"
#include "base/sys.h"
#include "base/util.h"
#include "iommu/device.h"
#include "iommu/peer.h"

#define PEER_BIT (1ull << 63)
#define ALL	 (1u << 23) /* between the top bit and the offset */
/* where a mapping as large as there can be has the last one, its addresses do not wrap */
#define NUMBERS (ALL - (1u << (IOMMU_IOVA_BITS - IOMMU_PEER_BAR_BITS)))
#define CHUNK	512u

struct iommu_target {
	struct ref ref;
	iommu_target_fn *fn;
	_Atomic(void *) arg; /* NULL: lost */
	int closes;	     /* a private descriptor, with the last reference; or -1 */
	bool memory;
	char name[];
};

struct iommu_window {
	struct iommu_target *target; /* a reference, or NULL */
	unsigned bar, number;
	atomic_bool revoked;
	uint64_t base;		   /* of memory: where its first byte is */
	struct rcu_visits visits;  /* of memory: accesses */
	struct iommu_window *next; /* of those that are freed together */
};

/* A window; or, with the lowest bit, the next free number and one; or 0: never used. */
typedef _Atomic uintptr_t window_slot;

static window_slot first_chunk[CHUNK];
static _Atomic(window_slot *) chunks[ALL / CHUNK] = { first_chunk };
static atomic_uint used;	  /* numbers below were given away once */
static atomic_ullong free_number; /* the stack's top and one; above 32 bits, how often it changed */

static struct iommu_target *target_new(const char *name, iommu_target_fn *fn, void *arg,
				       bool memory)
{
	size_t len = strlen(name) + 1;
	struct iommu_target *t = heap_alloc(sizeof(*t) + len);

	if (!t)
		return NULL;
	ref_init(&t->ref);
	t->fn = fn;
	atomic_store(&t->arg, arg);
	t->memory = memory;
	t->closes = -1;
	memcpy(t->name, name, len);
	return t;
}

struct iommu_target *iommu_target_new(const char *name, iommu_target_fn *fn, void *arg)
{
	return target_new(name, fn, arg, false);
}

struct iommu_target *iommu_target_new_memory(const char *name, iommu_target_fn *fn, void *arg)
{
	return target_new(name, fn, arg, true);
}

static int access_file(void *arg, struct iommu_device *from, unsigned bar, uint64_t off, void *buf,
		       size_t len, bool write)
{
	int fd = (int)(intptr_t)arg - 1;
	ssize_t n;

	if (off > INT64_MAX || len > INT64_MAX - off)
		return -EINVAL;
	for (; len; len -= (size_t)n, off += (size_t)n, buf = (char *)buf + n) {
		do
			n = write ? sys_pwrite(fd, buf, len, (off_t)off)
				  : sys_pread(fd, buf, len, (off_t)off);
		while (n == -EINTR);
		if (n <= 0)
			return n ? (int)n : -EIO;
	}
	return 0;
}

struct iommu_target *iommu_target_new_file(const char *name, int fd, bool closes)
{
	struct iommu_target *t =
		iommu_target_new_memory(name, access_file, (void *)(intptr_t)(fd + 1));

	if (t && closes)
		t->closes = fd;
	return t;
}

void iommu_target_get(struct iommu_target *t)
{
	ref_get(&t->ref);
}

void iommu_target_put(struct iommu_target *t)
{
	if (!t || !ref_put(&t->ref))
		return;
	fd_close_private(t->closes);
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

/* Take a number from the stack; NUMBERS: there is none. */
static unsigned pop_number(void)
{
	unsigned long long top = atomic_load(&free_number), below;
	unsigned n;

	do {
		n = (uint32_t)top;
		if (!n)
			return NUMBERS;
		/* nonsense, if another has taken it meanwhile: then the stack has changed */
		below = atomic_load(slot_of(n - 1)) >> 1;
	} while (!atomic_compare_exchange_weak(&free_number, &top,
					       ((top >> 32) + 1) << 32 | (uint32_t)below));
	return n - 1;
}

static void push_number(unsigned n)
{
	window_slot *slot = slot_of(n);
	unsigned long long top = atomic_load(&free_number);

	do
		atomic_store(slot, (uintptr_t)(uint32_t)top << 1 | 1);
	while (!atomic_compare_exchange_weak(&free_number, &top,
					     ((top >> 32) + 1) << 32 | (n + 1)));
}

/* Give @w a number. */
static int take_number(struct iommu_window *w)
{
	unsigned n = pop_number();

	if (n == NUMBERS) {
		n = atomic_load(&used);
		do {
			if (n == NUMBERS || !slot_of(n))
				return -ENOMEM;
		} while (!atomic_compare_exchange_weak(&used, &n, n + 1));
	}
	w->number = n;
	atomic_store(slot_of(n), (uintptr_t)w);
	return 0;
}

static struct iommu_window *window_new(struct iommu_target *t, unsigned bar, uint64_t base)
{
	struct iommu_window *w = heap_alloc(sizeof(*w));

	if (!w)
		return NULL;
	w->target = t;
	w->bar = bar;
	w->base = base;
	if (take_number(w)) {
		heap_free(w);
		return NULL;
	}
	if (t)
		iommu_target_get(t);
	return w;
}

struct iommu_window *iommu_window_new(struct iommu_target *t, unsigned bar)
{
	return window_new(t, bar, 0);
}

struct iommu_window *iommu_window_new_memory(struct iommu_target *t, uint64_t base)
{
	return window_new(t, 0, base);
}

static bool is_memory(const struct iommu_window *w)
{
	return w->target && w->target->memory;
}

void iommu_windows_take(struct iommu_window *w, struct iommu_window **list)
{
	push_number(w->number);
	w->next = *list;
	*list = w;
}

void iommu_windows_free(struct iommu_window *list)
{
	struct iommu_window *w;
	bool devices = false;

	for (w = list; w; w = w->next)
		devices |= !is_memory(w);
	if (devices)
		rcu_sync_all();
	else if (list)
		rcu_sync();
	while ((w = list)) {
		list = w->next;
		if (is_memory(w))
			rcu_visits_wait(&w->visits);
		iommu_target_put(w->target);
		heap_free(w);
	}
}

void iommu_window_free(struct iommu_window *w)
{
	struct iommu_window *list = NULL;

	if (w)
		iommu_windows_take(w, &list);
	iommu_windows_free(list);
}

void iommu_window_revoke(struct iommu_window *w)
{
	atomic_store(&w->revoked, true);
}

uint64_t iommu_window_address(const struct iommu_window *w, uint64_t off)
{
	return PEER_BIT | (uint64_t)w->number << IOMMU_PEER_BAR_BITS | off;
}

void iommu_peer_enter(const void *mem, struct iommu_device *from, struct iommu_peer_at *at)
{
	uint64_t a = (uintptr_t)mem & ~PEER_BIT;
	unsigned number = (unsigned)(a >> IOMMU_PEER_BAR_BITS);
	window_slot *c = atomic_load(&chunks[number / CHUNK]);
	uintptr_t is = c ? atomic_load(&c[number % CHUNK]) : 0;
	struct iommu_window *w = is & 1 ? NULL : (struct iommu_window *)is;

	*at = (struct iommu_peer_at){ .off = a & ((1ull << IOMMU_PEER_BAR_BITS) - 1),
				      .from = from };
	if (w) {
		at->target = w->target;
		at->bar = w->bar;
		at->off += w->base;
		at->revoked = atomic_load(&w->revoked);
	}
	if (w && is_memory(w)) {
		at->memory = w;
		at->from_side = rcu_visit_begin(&from->visits);
		at->side = rcu_visit_begin(&w->visits);
	} else {
		at->side = rcu_long_begin();
	}
}

void iommu_peer_leave(struct iommu_peer_at *at)
{
	if (!at->memory) {
		rcu_long_end(at->side);
		return;
	}
	rcu_visit_end(&at->memory->visits, at->side);
	rcu_visit_end(&at->from->visits, at->from_side);
}

int iommu_peer_access(const struct iommu_peer_at *at, void *buf, size_t len, bool write)
{
	void *arg = at->target ? atomic_load(&at->target->arg) : NULL;

	if (!arg)
		return -EIO;
	return at->target->fn(arg, at->from, at->bar, at->off, buf, len, write);
}
