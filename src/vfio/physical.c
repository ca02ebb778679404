/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/physical.c: the physical memory of a machine without an IOMMU: an address space that all its
 * devices have, in which a page of the program is when it was asked for. It pins nothing: what the
 * program takes away goes out of it, unless a page table of iommufd has the page, too, which then
 * stays where it is for the devices, whatever the program sees at its place (aside.c).
 */
#include <errno.h>

#include "base/heap.h"
#include "base/reach.h"
#include "vfio/internal.h"
#include "vfio/physical.h"

/*
 * Above what machines have, so that neither an address of the host's, nor one of a BAR
 * (machine/firmware.c), nor a small number is one.
 */
#define START (1ull << 40)
#define END   0x380000000000ull

struct vfio_physical {
	struct vfio_ioas *io; /* whose lock guards the rest */
	struct vfio_memory *mem;
	uint64_t next;	/* nothing was given from here on */
	uint64_t block; /* where pages come from, from its end to its start: so many are left */
	unsigned left;
};

static struct vfio_physical *new_physical(struct vfio_system *s)
{
	struct vfio_physical *p = heap_alloc(sizeof(*p));

	if (!p)
		return NULL;
	p->io = vfio_ioas_new(s, false);
	p->mem = ioas_memory_new();
	if (!p->io || !p->mem) {
		vfio_ioas_put(p->io);
		heap_free(p->mem);
		heap_free(p);
		return NULL;
	}
	p->mem->there = true;
	p->next = START;
	return p;
}

int vfio_physical_init(struct vfio_system *s)
{
	if (!s->physical)
		s->physical = new_physical(s);
	return s->physical ? 0 : -ENOMEM;
}

void vfio_physical_join(struct vfio_group *g)
{
	g->noiommu = true;
	vfio_ioas_attach(g->system->physical->io, g->iommu);
}

void physical_free(struct vfio_system *s)
{
	struct vfio_physical *p = s->physical;

	if (!p)
		return;
	for (unsigned i = 0; i < s->n; i++)
		if (s->groups[i]->noiommu)
			vfio_ioas_detach(p->io, s->groups[i]->iommu);
	vfio_ioas_put(p->io);
	ioas_memory_put(&s->ioases, p->mem);
	heap_free(p);
}

/* Return addresses that were never given, for a page of @size; 0: there are none left. */
static uint64_t take(struct vfio_physical *p, uint64_t size)
{
	uint64_t unit = size == PAGE_SIZE_4K ? HUGE_2M : size, at = align_up(p->next, unit);

	if (size == PAGE_SIZE_4K && p->left)
		return p->block + --p->left * PAGE_SIZE_4K;
	if (at + unit > END)
		return 0;
	p->next = at + unit;
	if (size > PAGE_SIZE_4K)
		return at;
	p->block = at;
	p->left = HUGE_2M / PAGE_SIZE_4K - 1;
	return at + p->left * PAGE_SIZE_4K;
}

static struct mapping *of_mem(struct itree_node *n)
{
	return n ? container_of_type(n, struct mapping, by_mem) : NULL;
}

/*
 * Return the mapping of the page that the program gave at @vaddr, and that is at @at by now; NULL:
 * it has no address. The lock is held.
 */
static struct mapping *find(const struct vfio_physical *p, uint64_t vaddr, uint64_t at)
{
	struct itree_node *n = itree_first(&p->io->by_mem, vaddr, vaddr);
	uint64_t len;

	for (; n; n = itree_next(n, vaddr, vaddr))
		if (aside_where(p->io, of_mem(n), vaddr, &len) == at)
			return of_mem(n);
	return NULL;
}

static uint64_t address(const struct mapping *m, uint64_t vaddr)
{
	return mapping_iova(m) + (vaddr - m->by_mem.start);
}

uint64_t vfio_physical_of(struct vfio_system *s, uint64_t vaddr)
{
	struct vfio_physical *p = s->physical;
	uint64_t pa = 0, size, page, at;
	struct mapping *m;

	if (!p)
		return 0;
	pthread_mutex_lock(&p->io->lock);
	page = align_down(vaddr, PAGE_SIZE_4K);
	m = find(p, page, page);
	if (m) {
		pa = address(m, vaddr);
	} else {
		size = reach_page_size(vaddr);
		page = align_down(vaddr, size);
		at = take(p, size);
		if (at && !ioas_map(p->io, at, page, size, IOMMU_READ | IOMMU_WRITE, p->mem, 0))
			pa = at + (vaddr - page);
	}
	pthread_mutex_unlock(&p->io->lock);
	return pa;
}

uint64_t physical_of_iova(struct vfio_ioas *io, uint64_t iova)
{
	struct vfio_physical *p = io->sys->physical;
	uint64_t vaddr = 0, at = 0, len, pa;
	struct mapping *m;

	if (!p)
		return 0;
	pthread_mutex_lock(&io->lock);
	m = ioas_first(io, iova, iova);
	if (m) {
		vaddr = m->by_mem.start + (align_down(iova, PAGE_SIZE_4K) - mapping_iova(m));
		at = aside_where(io, m, vaddr, &len);
	}
	pthread_mutex_unlock(&io->lock);
	if (!at)
		return 0;
	if (at == vaddr) {
		pa = vfio_physical_of(io->sys, vaddr);
		return pa ? pa + iova % PAGE_SIZE_4K : 0;
	}
	/* the program's view is gone, and the page is where the page table has it */
	pthread_mutex_lock(&p->io->lock);
	m = find(p, vaddr, at);
	pa = m ? address(m, vaddr) : take(p, PAGE_SIZE_4K);
	pthread_mutex_unlock(&p->io->lock);
	if (pa && !m &&
	    ioas_share(p->io, pa, IOMMU_READ | IOMMU_WRITE, io, align_down(iova, PAGE_SIZE_4K),
		       PAGE_SIZE_4K))
		return 0;
	return pa ? pa + iova % PAGE_SIZE_4K : 0;
}

/* ---- what goes ---- */

/* True if another space than @io has the page of @m. All locks are held. */
static bool is_pinned(const struct vfio_ioas *io, const struct mapping *m)
{
	uint64_t vaddr = m->by_mem.start, len, at = aside_where(io, m, vaddr, &len);
	struct vfio_ioas *other;
	struct itree_node *n;

	cds_list_for_each_entry(other, &io->set->spaces, in_set) {
		if (other == io)
			continue;
		for (n = itree_first(&other->by_mem, vaddr, m->by_mem.last); n;
		     n = itree_next(n, vaddr, m->by_mem.last)) {
			uint64_t from = n->start > vaddr ? n->start : vaddr;

			if (aside_where(other, of_mem(n), from, &len) == at + (from - vaddr))
				return true;
		}
	}
	return false;
}

static void lose(struct vfio_physical *p, uint64_t from, uint64_t last, bool moved)
{
	struct itree_node *n = itree_first(&p->io->by_mem, from, last), *next;

	for (; n; n = next) {
		struct mapping *m = of_mem(n);

		next = itree_next(n, from, last);
		if (m->moved == moved && !is_pinned(p->io, m))
			ioas_unmap(p->io, mapping_iova(m), m->by_iova.last);
	}
}

void physical_lose(struct vfio_system *s, uint64_t from, uint64_t last)
{
	if (s->physical)
		lose(s->physical, from, last, false);
}

void physical_unpinned(struct vfio_system *s, uint64_t from, uint64_t last)
{
	if (!s->physical)
		return;
	ioas_lock_all(&s->ioases);
	lose(s->physical, from, last, true);
	ioas_unlock_all(&s->ioases);
}

void physical_gone(struct vfio_system *s, uint64_t from, uint64_t last)
{
	if (!s->physical)
		return;
	ioas_lock_all(&s->ioases);
	lose(s->physical, from, last, false);
	lose(s->physical, from, last, true);
	ioas_unlock_all(&s->ioases);
}
