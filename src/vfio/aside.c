/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/aside.c: memory that is mapped for DMA stays with the devices when the program unmaps its
 * own view of it, as pinned pages do in the kernel.
 *
 * The shim sees the munmap coming, asks vfio_pages_in_use(), and has vfio_preserve_pages() move
 * aside what is in use. A mapping keeps the address at which the program gave the memory; the
 * domain knows where it is now. Where the two differ the page was moved, so that memory which the
 * program puts at the old address later is not taken for the device's. Memory that is aside counts
 * the mapped bytes that lie there, and is unmapped with the last of them.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/rcu.h"
#include "base/reach.h"
#include "base/report.h"
#include "base/sys.h"
#include "vfio/internal.h"

static struct mapping *of_mem(struct itree_node *n)
{
	return n ? container_of_type(n, struct mapping, by_mem) : NULL;
}

static struct mapping *first_at(const struct vfio_ioas *io, uint64_t addr, uint64_t last)
{
	return of_mem(itree_first(&io->by_mem, addr, last));
}

static struct mapping *next_at(const struct mapping *m, uint64_t addr, uint64_t last)
{
	return of_mem(itree_next(&m->by_mem, addr, last));
}

uint64_t aside_where(const struct vfio_ioas *io, const struct mapping *m, uint64_t addr,
		     uint64_t *len)
{
	uint64_t contig = 0, left = m->by_mem.last - addr + 1;
	enum iommu_fault_reason why;
	void *p;

	rcu_read_begin();
	p = iommu_domain_translate(io->domain, mapping_iova(m) + (addr - m->by_mem.start), 0,
				   &contig, &why);
	rcu_read_end();
	if (!p)
		contig = PAGE_SIZE_4K;
	*len = contig < left ? contig : left;
	return (uint64_t)p;
}

/* Find the first stretch of @m in [@from, @to) whose memory is still where the program gave it. */
static bool in_place(const struct vfio_ioas *io, const struct mapping *m, uint64_t from,
		     uint64_t to, uint64_t *start, uint64_t *end)
{
	uint64_t addr = from > m->by_mem.start ? from : m->by_mem.start, len;

	if (to - 1 > m->by_mem.last)
		to = m->by_mem.last + 1;
	*start = *end = 0;
	for (; addr < to; addr += len) {
		bool here = aside_where(io, m, addr, &len) == addr;

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
 * Find the lowest stretch in [@from, @to) that any mapping has in place, as far as it goes on
 * without a gap.
 */
static bool next_stretch(struct vfio_ioas_set *s, uint64_t from, uint64_t to, uint64_t *start,
			 uint64_t *end)
{
	uint64_t best = UINT64_MAX, best_end = 0, a, b;
	struct vfio_ioas *io;
	struct mapping *m;
	bool grew;

	cds_list_for_each_entry(io, &s->spaces, in_set) {
		for (m = first_at(io, from, to - 1); m && m->by_mem.start < best;
		     m = next_at(m, from, to - 1)) {
			if (in_place(io, m, from, to, &a, &b) && a < best) {
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
		cds_list_for_each_entry(io, &s->spaces, in_set) {
			for (m = first_at(io, best_end, best_end); m;
			     m = next_at(m, best_end, best_end)) {
				if (!in_place(io, m, best_end, to, &a, &b) || a != best_end)
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

/*
 * Have the devices reach [iova, iova + len) of @m at @new. False: they cannot reach it any more, as
 * @new is 0 or there is no memory for the table.
 */
static bool put_at(struct vfio_ioas *io, struct mapping *m, uint64_t iova, uint64_t len,
		   uint64_t new)
{
	int ret = new ? iommu_domain_remap(io->domain, iova, (void *)new, len) : -EFAULT;

	m->moved = true;
	ioas_tell_moved(io, m, iova, len);
	if (!ret)
		return true;
	report_err("dma-memory-lost", "dma", ret,
		   "memory of a mapping at IOVA 0x%" PRIx64 " (%" PRIu64
		   " bytes) was unmapped by the program and could not be kept: %m: device accesses "
		   "there abort",
		   iova, len);
	iommu_domain_unmap(io->domain, iova, len);
	return false;
}

/*
 * Have all mappings that have [@start, @end) in place reach it at @new (0: nowhere). Returns how
 * many mapped bytes that is.
 */
static uint64_t redirect(struct vfio_ioas_set *s, uint64_t start, uint64_t end, uint64_t new)
{
	uint64_t users = 0, a, b, at;
	struct vfio_ioas *io;
	struct mapping *m;

	cds_list_for_each_entry(io, &s->spaces, in_set) {
		for (m = first_at(io, start, end - 1); m; m = next_at(m, start, end - 1)) {
			for (at = start; at < end && in_place(io, m, at, end, &a, &b); at = b) {
				uint64_t iova = mapping_iova(m) + (a - m->by_mem.start);

				if (put_at(io, m, iova, b - a, new ? new + (a - start) : 0))
					users += b - a;
			}
		}
	}
	return users;
}

/* Remember that @users mapped bytes lie in [@start, @start + @len); unmap it if there are none. */
static void keep(struct vfio_ioas_set *s, uint64_t start, uint64_t len, uint64_t users)
{
	struct aside *as;

	if (!users) {
		sys_call(SYS_munmap, (long)start, (long)len, 0, 0, 0, 0);
		return;
	}
	as = pool_take(&s->asides_pool);
	if (!as) {
		report_warn("dma-aside-memory", "dma", 0,
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

void asides_put(struct vfio_ioas *io, struct mapping *m, struct aside **unused)
{
	uint64_t addr, len, at;

	if (!m->moved)
		return;
	for (addr = m->by_mem.start; addr - m->by_mem.start < mapping_size(m); addr += len) {
		struct itree_node *n;
		struct aside *as;

		at = aside_where(io, m, addr, &len);
		if (!at || at == addr)
			continue;
		pthread_mutex_lock(&io->set->maps_lock);
		n = itree_first(&io->set->asides, at, at);
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
				itree_remove(&io->set->asides, n);
				as->next = *unused;
				*unused = as;
			}
		}
		pthread_mutex_unlock(&io->set->maps_lock);
	}
	m->moved = false;
}

uint64_t aside_share(struct vfio_ioas_set *set, uint64_t at, uint64_t len)
{
	struct itree_node *n;

	pthread_mutex_lock(&set->maps_lock);
	n = itree_first(&set->asides, at, at);
	if (n && len > n->last - at + 1)
		len = n->last - at + 1;
	if (n)
		container_of_type(n, struct aside, node)->users += len;
	pthread_mutex_unlock(&set->maps_lock);
	return len;
}

void asides_free(struct vfio_ioas_set *s, struct aside *list)
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

bool vfio_pages_near(struct vfio_system *sys, uint64_t start, uint64_t last)
{
	const struct vfio_ioas_set *s = &sys->ioases;

	return atomic_load_explicit(&s->mappings, memory_order_relaxed) &&
	       start <= atomic_load_explicit(&s->highest, memory_order_relaxed) &&
	       last >= atomic_load_explicit(&s->lowest, memory_order_relaxed);
}

bool vfio_pages_in_use(struct vfio_system *sys, const void *vaddr, uint64_t len)
{
	struct vfio_ioas_set *s = &sys->ioases;
	uint64_t start = (uint64_t)vaddr, last;
	struct vfio_ioas *io;
	bool used = false;

	if (!len)
		return false;
	last = add_overflows(start, len - 1) ? UINT64_MAX : start + len - 1;
	if (!vfio_pages_near(sys, start, last))
		return false;
	pthread_mutex_lock(&s->maps_lock);
	cds_list_for_each_entry(io, &s->spaces, in_set) {
		used = itree_first(&io->by_mem, start, last);
		if (used)
			break;
	}
	pthread_mutex_unlock(&s->maps_lock);
	return used;
}

void ioas_lock_all(struct vfio_ioas_set *s)
{
	struct vfio_ioas *io;

	pthread_mutex_lock(&s->lock);
	cds_list_for_each_entry(io, &s->spaces, in_set)
		pthread_mutex_lock(&io->lock);
}

void ioas_unlock_all(struct vfio_ioas_set *s)
{
	struct vfio_ioas *io;

	cds_list_for_each_entry(io, &s->spaces, in_set)
		pthread_mutex_unlock(&io->lock);
	pthread_mutex_unlock(&s->lock);
}

bool vfio_pages_in_place(struct vfio_system *sys, void *vaddr, uint64_t len)
{
	struct vfio_ioas_set *s = &sys->ioases;
	uint64_t from = (uint64_t)vaddr, a, b;
	bool found;

	if (!vfio_pages_in_use(sys, vaddr, len))
		return false;
	ioas_lock_all(s);
	found = next_stretch(s, from, from + len, &a, &b);
	ioas_unlock_all(s);
	return found;
}

void vfio_preserve_pages(struct vfio_system *sys, void *vaddr, uint64_t len,
			 void *(*move)(void *old, uint64_t len, void *arg), void *arg)
{
	struct vfio_ioas_set *s = &sys->ioases;
	uint64_t from = align_down((uint64_t)vaddr, PAGE_SIZE_4K), to, a, b, users;
	void *new;

	if (!len || add_overflows((uint64_t)vaddr, len) ||
	    (uint64_t)vaddr + len > UINT64_MAX - PAGE_SIZE_4K)
		return;
	to = align_up((uint64_t)vaddr + len, PAGE_SIZE_4K);
	ioas_lock_all(s);
	physical_lose(sys, from, to - 1);
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
	ioas_unlock_all(s);
}

/*
 * Do as redirect(), for what lies in [@start, @end) of one aside. @left gets the mapped bytes that
 * lay there.
 */
static uint64_t redirect_aside(struct vfio_ioas_set *s, uint64_t start, uint64_t end, uint64_t new,
			       uint64_t *left)
{
	uint64_t users = 0, addr, len, at, a, b;
	struct vfio_ioas *io;
	struct mapping *m;

	*left = 0;
	cds_list_for_each_entry(io, &s->spaces, in_set) {
		for (m = first_at(io, 0, UINT64_MAX); m; m = next_at(m, 0, UINT64_MAX)) {
			if (!m->moved)
				continue;
			for (addr = m->by_mem.start; addr - m->by_mem.start < mapping_size(m);
			     addr += len) {
				at = aside_where(io, m, addr, &len);
				a = at > start ? at : start;
				b = at + len < end ? at + len : end;
				if (!at || at == addr || a >= b)
					continue;
				*left += b - a;
				if (put_at(io, m,
					   mapping_iova(m) + (addr - m->by_mem.start) + (a - at),
					   b - a, new ? new + (a - start) : 0))
					users += b - a;
			}
		}
	}
	return users;
}

void vfio_preserve_asides(struct vfio_system *sys, void *vaddr, uint64_t len,
			  void *(*move)(void *old, uint64_t len, void *arg), void *arg)
{
	struct vfio_ioas_set *s = &sys->ioases;
	uint64_t from = (uint64_t)vaddr, to = from + len, a, b, users, left;
	struct aside *as, *unused = NULL;
	struct itree_node *n;
	void *new;

	if (!len)
		return;
	ioas_lock_all(s);
	for (; from < to; from = b) {
		pthread_mutex_lock(&s->maps_lock);
		n = itree_first(&s->asides, from, to - 1);
		pthread_mutex_unlock(&s->maps_lock);
		/* it stays without the lock: one is taken away only with a space's lock held */
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
	ioas_unlock_all(s);
	asides_free(s, unused);
}

/*
 * Make a list of all mappings that have some of [from, to). False: one does not lie in it as a
 * whole, in place.
 */
static bool collect(struct vfio_ioas_set *s, uint64_t from, uint64_t to, struct mapping **list)
{
	struct vfio_ioas *io;
	uint64_t a, b;
	struct mapping *m;

	*list = NULL;
	cds_list_for_each_entry(io, &s->spaces, in_set) {
		for (m = first_at(io, from, to - 1); m; m = next_at(m, from, to - 1)) {
			if (m->by_mem.start < from || m->by_mem.last >= to)
				return false;
			if (!in_place(io, m, from, to, &a, &b) || a != m->by_mem.start ||
			    b != m->by_mem.last + 1)
				return false;
			m->next = *list;
			m->owner = io;
			*list = m;
		}
	}
	return true;
}

bool vfio_can_follow(struct vfio_system *sys, void *vaddr, uint64_t len)
{
	struct vfio_ioas_set *s = &sys->ioases;
	struct mapping *list;
	bool can;

	ioas_lock_all(s);
	can = collect(s, (uint64_t)vaddr, (uint64_t)vaddr + len, &list);
	ioas_unlock_all(s);
	return can;
}

int vfio_follow_pages(struct vfio_system *sys, void *vaddr, uint64_t len,
		      uint64_t (*move)(void *arg), void *arg)
{
	struct vfio_ioas_set *s = &sys->ioases;
	uint64_t from = (uint64_t)vaddr, to = from + len, at = 0, new;
	struct mapping *list, *m;
	int ret;

	ioas_lock_all(s);
	if (collect(s, from, to, &list))
		at = move(arg);
	for (m = at ? list : NULL; m; m = m->next) {
		new = at + (m->by_mem.start - from);
		/* of whole mappings, which needs no memory */
		ret = iommu_domain_remap(m->owner->domain, mapping_iova(m), (void *)new,
					 mapping_size(m));
		if (ret)
			report_err("dma-move-failed", "dma", ret,
				   "memory of a mapping at IOVA 0x%" PRIx64
				   " moved, and the device could not follow",
				   mapping_iova(m));
		pthread_mutex_lock(&s->maps_lock);
		itree_remove(&m->owner->by_mem, &m->by_mem);
		ioas_set_mem(s, m, new, mapping_size(m));
		itree_insert(&m->owner->by_mem, &m->by_mem);
		pthread_mutex_unlock(&s->maps_lock);
		ioas_tell_moved(m->owner, m, mapping_iova(m), mapping_size(m));
	}
	ioas_unlock_all(s);
	return at ? 0 : -ENOMEM;
}
