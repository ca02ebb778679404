/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/aside.c: memory that is mapped for DMA stays with the devices when the program unmaps its
 * own view of it, as pinned pages do in the kernel.
 *
 * Whoever sees the munmap coming (the shim) asks vfio_pages_in_use(), and moves what is in use
 * aside through vfio_preserve_pages(). A mapping keeps the address at which the client gave the
 * memory; the domain knows where it is now. The two differing is how a page that was moved is told
 * from one in place, so that memory which the program puts at the old address later is not taken
 * for the device's. What is aside is counted in mapped bytes and goes with the last of them.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/log.h"
#include "base/rcu.h"
#include "base/reach.h"
#include "base/sys.h"
#include "vfio/internal.h"

static struct mapping *of_mem(struct itree_node *n)
{
	return n ? container_of_type(n, struct mapping, by_mem) : NULL;
}

static struct mapping *first_at(const struct vfio_type1 *t, uint64_t addr, uint64_t last)
{
	return of_mem(itree_first(&t->by_mem, addr, last));
}

static struct mapping *next_at(const struct mapping *d, uint64_t addr, uint64_t last)
{
	return of_mem(itree_next(&d->by_mem, addr, last));
}

/*
 * Where the domain has the byte that the client gave at @addr, and how much of @d lies there in one
 * piece; 0: nowhere.
 */
static uint64_t where(const struct vfio_type1 *t, const struct mapping *d, uint64_t addr,
		      uint64_t *len)
{
	uint64_t contig = 0, left = d->by_mem.last - addr + 1;
	enum iommu_fault_reason why;
	void *p;

	rcu_read_begin();
	p = iommu_domain_translate(t->domain, mapping_iova(d) + (addr - d->by_mem.start), 0,
				   &contig, &why);
	rcu_read_end();
	if (!p)
		contig = PAGE_SIZE_4K;
	*len = contig < left ? contig : left;
	return (uint64_t)p;
}

/* The first stretch of @d in [@from, @to) whose memory still is where the client gave it. */
static bool in_place(const struct vfio_type1 *t, const struct mapping *d, uint64_t from,
		     uint64_t to, uint64_t *start, uint64_t *end)
{
	uint64_t addr = from > d->by_mem.start ? from : d->by_mem.start, len;

	if (to - 1 > d->by_mem.last)
		to = d->by_mem.last + 1;
	*start = *end = 0;
	for (; addr < to; addr += len) {
		bool here = where(t, d, addr, &len) == addr;

		if (len > to - addr)
			len = to - addr;
		if (here) {
			if (!*end)
				*start = addr;
			*end = addr + len;
		} else if (*end) {
			break;
		}
	}
	return *end;
}

/*
 * The lowest stretch in [@from, @to) that any mapping has in place, as far as it goes on without a
 * gap.
 */
static bool next_stretch(struct vfio_system *s, uint64_t from, uint64_t to, uint64_t *start,
			 uint64_t *end)
{
	uint64_t best = UINT64_MAX, best_end = 0, a, b;
	struct vfio_type1 *t;
	struct mapping *d;
	bool grew;

	cds_list_for_each_entry(t, &s->type1s, in_system) {
		for (d = first_at(t, from, to - 1); d && d->by_mem.start < best;
		     d = next_at(d, from, to - 1)) {
			if (in_place(t, d, from, to, &a, &b) && a < best) {
				best = a;
				best_end = b;
			}
		}
	}
	if (best == UINT64_MAX)
		return false;
	do {
		grew = false;
		if (best_end >= to)
			break;
		cds_list_for_each_entry(t, &s->type1s, in_system) {
			for (d = first_at(t, best_end, best_end); d;
			     d = next_at(d, best_end, best_end)) {
				if (!in_place(t, d, best_end, to, &a, &b) || a != best_end)
					continue;
				best_end = b;
				grew = true;
				break;
			}
			if (grew)
				break;
		}
	} while (grew);
	*start = best;
	*end = best_end;
	return true;
}

/* Is [iova, iova + len) of @d at @new from now on? 0, or without memory for it: nowhere. */
static bool put_at(struct vfio_type1 *t, struct mapping *d, uint64_t iova, uint64_t len,
		   uint64_t new)
{
	int ret = new ? iommu_domain_remap(t->domain, iova, (void *)new, len) : -EFAULT;

	if (!ret) {
		d->moved = true;
		return true;
	}
	log_err("dma",
		"memory of a mapping at IOVA 0x%" PRIx64 " (%" PRIu64
		" bytes) was unmapped by the program and could not be "
		"kept: %s: "
		"device accesses there abort",
		iova, len, strerror(-ret));
	iommu_domain_unmap(t->domain, iova, len);
	return false;
}

/*
 * Everybody who has [@start, @end) in place has it at @new from now on (0: nowhere). Returns how
 * many mapped bytes moved.
 */
static uint64_t redirect(struct vfio_system *s, uint64_t start, uint64_t end, uint64_t new)
{
	uint64_t users = 0, a, b, at;
	struct vfio_type1 *t;
	struct mapping *d;

	cds_list_for_each_entry(t, &s->type1s, in_system) {
		for (d = first_at(t, start, end - 1); d; d = next_at(d, start, end - 1)) {
			for (at = start; at < end && in_place(t, d, at, end, &a, &b); at = b) {
				uint64_t iova = mapping_iova(d) + (a - d->by_mem.start);

				if (put_at(t, d, iova, b - a, new ? new + (a - start) : 0))
					users += b - a;
			}
		}
	}
	return users;
}

static void keep(struct vfio_system *s, uint64_t start, uint64_t len, uint64_t users)
{
	struct aside *as;

	if (!users) {
		sys_call(SYS_munmap, (long)start, (long)len, 0, 0, 0, 0);
		return;
	}
	as = pool_take(&s->asides_pool);
	if (!as) {
		log_warn("dma",
			 "no memory to remember %" PRIu64
			 " bytes that were moved aside: they stay until the program ends",
			 len);
		return;
	}
	*as = (struct aside){ .node = { .start = start, .last = start + len - 1 }, .users = users };
	pthread_mutex_lock(&s->maps_lock);
	itree_insert(&s->asides, &as->node);
	pthread_mutex_unlock(&s->maps_lock);
}

void type1_put_asides(struct vfio_type1 *t, struct mapping *d, struct aside **unused)
{
	uint64_t addr, len, at;

	if (!d->moved)
		return;
	for (addr = d->by_mem.start; addr - d->by_mem.start < mapping_size(d); addr += len) {
		struct itree_node *n;
		struct aside *as;

		at = where(t, d, addr, &len);
		if (!at || at == addr)
			continue;
		pthread_mutex_lock(&t->sys->maps_lock);
		n = itree_first(&t->sys->asides, at, at);
		as = n ? container_of_type(n, struct aside, node) : NULL;
		if (as) {
			/*
			 * what one leaf of the domain covers may lie in two moves that happen to be
			 * neighbours
			 */
			if (len > n->last - at + 1)
				len = n->last - at + 1;
			as->users -= len;
			if (!as->users) {
				itree_remove(&t->sys->asides, n);
				as->next = *unused;
				*unused = as;
			}
		}
		pthread_mutex_unlock(&t->sys->maps_lock);
	}
	d->moved = false;
}

void type1_asides_free(struct vfio_system *s, struct aside *list)
{
	struct aside *as;

	while (list) {
		as = list;
		list = as->next;
		sys_call(SYS_munmap, (long)as->node.start,
			 (long)(as->node.last - as->node.start + 1), 0, 0, 0, 0);
		pool_put(&s->asides_pool, as);
	}
}

bool vfio_pages_near(struct vfio_system *s, uint64_t start, uint64_t last)
{
	return atomic_load_explicit(&s->mappings, memory_order_relaxed) &&
	       start <= atomic_load_explicit(&s->highest, memory_order_relaxed) &&
	       last >= atomic_load_explicit(&s->lowest, memory_order_relaxed);
}

bool vfio_pages_in_use(struct vfio_system *s, const void *vaddr, uint64_t len)
{
	uint64_t start = (uint64_t)vaddr, last;
	struct vfio_type1 *t;
	bool used = false;

	if (!len)
		return false;
	last = add_overflows(start, len - 1) ? UINT64_MAX : start + len - 1;
	if (!vfio_pages_near(s, start, last))
		return false;
	pthread_mutex_lock(&s->maps_lock);
	cds_list_for_each_entry(t, &s->type1s, in_system) {
		used = itree_first(&t->by_mem, start, last);
		if (used)
			break;
	}
	pthread_mutex_unlock(&s->maps_lock);
	return used;
}

/* No mapping of any type1 comes or goes, nor does its memory move, until all_unlock. */
static void all_lock(struct vfio_system *s)
{
	struct vfio_type1 *t;

	pthread_mutex_lock(&s->preserve_lock);
	cds_list_for_each_entry(t, &s->type1s, in_system)
		pthread_mutex_lock(&t->lock);
}

static void all_unlock(struct vfio_system *s)
{
	struct vfio_type1 *t;

	cds_list_for_each_entry(t, &s->type1s, in_system)
		pthread_mutex_unlock(&t->lock);
	pthread_mutex_unlock(&s->preserve_lock);
}

bool vfio_pages_in_place(struct vfio_system *s, void *vaddr, uint64_t len)
{
	uint64_t from = (uint64_t)vaddr, a, b;
	bool found;

	if (!vfio_pages_in_use(s, vaddr, len))
		return false;
	all_lock(s);
	found = next_stretch(s, from, from + len, &a, &b);
	all_unlock(s);
	return found;
}

void vfio_preserve_pages(struct vfio_system *s, void *vaddr, uint64_t len,
			 void *(*move)(void *old, uint64_t len, void *arg), void *arg)
{
	uint64_t from = align_down((uint64_t)vaddr, PAGE_SIZE_4K), to, a, b, users;
	void *new;

	if (!len || add_overflows((uint64_t)vaddr, len) ||
	    (uint64_t)vaddr + len > UINT64_MAX - PAGE_SIZE_4K)
		return;
	to = align_up((uint64_t)vaddr + len, PAGE_SIZE_4K);
	all_lock(s);
	/* memory that is mapped twice is moved once */
	for (; from < to && next_stretch(s, from, to, &a, &b); from = b) {
		/* a huge page goes with all that mappings have of it */
		a = align_down(a, reach_page_size(a));
		b = align_up(b, reach_page_size(b - 1));
		new = move((void *)a, b - a, arg);
		if (new == (void *)a)
			continue;
		users = redirect(s, a, b, (uint64_t) new);
		if (new)
			keep(s, (uint64_t) new, b - a, users);
	}
	all_unlock(s);
}

/*
 * As redirect, for what lies in [@start, @end) of one aside. @left: the mapped bytes that lay
 * there.
 */
static uint64_t redirect_aside(struct vfio_system *s, uint64_t start, uint64_t end, uint64_t new,
			       uint64_t *left)
{
	uint64_t users = 0, addr, len, at, a, b;
	struct vfio_type1 *t;
	struct mapping *d;

	*left = 0;
	cds_list_for_each_entry(t, &s->type1s, in_system) {
		for (d = first_at(t, 0, UINT64_MAX); d; d = next_at(d, 0, UINT64_MAX)) {
			if (!d->moved)
				continue;
			for (addr = d->by_mem.start; addr - d->by_mem.start < mapping_size(d);
			     addr += len) {
				at = where(t, d, addr, &len);
				a = at > start ? at : start;
				b = at + len < end ? at + len : end;
				if (!at || at == addr || a >= b)
					continue;
				*left += b - a;
				if (put_at(t, d,
					   mapping_iova(d) + (addr - d->by_mem.start) + (a - at),
					   b - a, new ? new + (a - start) : 0))
					users += b - a;
			}
		}
	}
	return users;
}

void vfio_preserve_asides(struct vfio_system *s, void *vaddr, uint64_t len,
			  void *(*move)(void *old, uint64_t len, void *arg), void *arg)
{
	uint64_t from = (uint64_t)vaddr, to = from + len, a, b, users, left;
	struct aside *as, *unused = NULL;
	struct itree_node *n;
	void *new;

	if (!len)
		return;
	all_lock(s);
	for (; from < to; from = b) {
		pthread_mutex_lock(&s->maps_lock);
		n = itree_first(&s->asides, from, to - 1);
		pthread_mutex_unlock(&s->maps_lock);
		/* it stays without the lock: only who holds a type1's lock takes one away */
		if (!n)
			break;
		as = container_of_type(n, struct aside, node);
		a = n->start > from ? n->start : from;
		b = n->last < to ? n->last + 1 : to;
		new = move((void *)a, b - a, arg);
		users = redirect_aside(s, a, b, (uint64_t) new, &left);
		pthread_mutex_lock(&s->maps_lock);
		as->users -= left;
		if (!as->users) {
			itree_remove(&s->asides, n);
			as->next = unused;
			unused = as;
		}
		pthread_mutex_unlock(&s->maps_lock);
		if (new)
			keep(s, (uint64_t) new, b - a, users);
	}
	all_unlock(s);
	type1_asides_free(s, unused);
}

/*
 * All mappings that have some of [from, to), or false: one does not lie in it as a whole, in place.
 */
static bool collect(struct vfio_system *s, uint64_t from, uint64_t to, struct mapping **list)
{
	struct vfio_type1 *t;
	uint64_t a, b;
	struct mapping *d;

	*list = NULL;
	cds_list_for_each_entry(t, &s->type1s, in_system) {
		for (d = first_at(t, from, to - 1); d; d = next_at(d, from, to - 1)) {
			if (d->by_mem.start < from || d->by_mem.last >= to)
				return false;
			if (!in_place(t, d, from, to, &a, &b) || a != d->by_mem.start ||
			    b != d->by_mem.last + 1)
				return false;
			d->next = *list;
			d->owner = t;
			*list = d;
		}
	}
	return true;
}

bool vfio_can_follow(struct vfio_system *s, void *vaddr, uint64_t len)
{
	struct mapping *list;
	bool can;

	all_lock(s);
	can = collect(s, (uint64_t)vaddr, (uint64_t)vaddr + len, &list);
	all_unlock(s);
	return can;
}

int vfio_follow_pages(struct vfio_system *s, void *vaddr, uint64_t len, uint64_t (*move)(void *arg),
		      void *arg)
{
	uint64_t from = (uint64_t)vaddr, to = from + len, at = 0, new;
	struct mapping *list, *d;
	int ret;

	all_lock(s);
	if (collect(s, from, to, &list))
		at = move(arg);
	for (d = at ? list : NULL; d; d = d->next) {
		new = at + (d->by_mem.start - from);
		/* of whole mappings, which needs no memory */
		ret = iommu_domain_remap(d->owner->domain, mapping_iova(d), (void *)new,
					 mapping_size(d));
		if (ret)
			log_err("dma",
				"memory of a mapping at IOVA 0x%" PRIx64
				" moved, and the device could not follow: error %d",
				mapping_iova(d), -ret);
		pthread_mutex_lock(&s->maps_lock);
		itree_remove(&d->owner->by_mem, &d->by_mem);
		type1_set_mem(s, d, new, mapping_size(d));
		itree_insert(&d->owner->by_mem, &d->by_mem);
		pthread_mutex_unlock(&s->maps_lock);
	}
	all_unlock(s);
	return at ? 0 : -ENOMEM;
}
