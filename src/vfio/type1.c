/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/type1.c: the type1 address space: the client's mappings, each as it was made, over a domain
 * that the devices see. The mappings are what UNMAP's rules are about (v2: none is cut; v1: whole
 * ones or nothing); the domain is what DMA is about.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/heap.h"
#include "base/log.h"
#include "iommu/populate.h"
#include "vfio/internal.h"
#include "vfio/type1.h"

/*
 * what a VT-d with second-level pages of 2 MiB and 1 GiB has the kernel report, and what
 * iommu/domain.c has leaves for
 */
#define PGSIZES ((1ull << 12) | (1ull << 21) | (1ull << 30))
/* vfio_iommu_type1.c: a bitmap of at most 2^31 pages */
#define DIRTY_BITMAP_BYTES_MAX (1ull << 28)

static const struct vfio_iova_range iova_ranges[] = {
	{ 0, IOMMU_MSI_START - 1 },
	{ IOMMU_MSI_END + 1, (1ull << IOMMU_IOVA_BITS) - 1 },
};

struct vfio_type1 *vfio_type1_new(struct vfio_system *s, bool v2)
{
	struct vfio_type1 *t = heap_alloc(sizeof(*t));

	if (!t)
		return NULL;
	t->domain = iommu_domain_new();
	if (!t->domain) {
		heap_free(t);
		return NULL;
	}
	t->sys = s;
	t->v2 = v2;
	pthread_mutex_init(&t->lock, NULL);
	pthread_mutex_lock(&s->preserve_lock);
	pthread_mutex_lock(&s->maps_lock);
	cds_list_add_tail(&t->in_system, &s->type1s);
	pthread_mutex_unlock(&s->maps_lock);
	pthread_mutex_unlock(&s->preserve_lock);
	return t;
}

void vfio_type1_free(struct vfio_type1 *t)
{
	struct vfio_system *s;
	uint64_t bytes;

	if (!t)
		return;
	s = t->sys;
	t->closing = true;
	vfio_type1_unmap(t, VFIO_DMA_UNMAP_FLAG_ALL, 0, 0, &bytes, 0, 0, NULL);
	pthread_mutex_lock(&s->preserve_lock);
	pthread_mutex_lock(&s->maps_lock);
	cds_list_del(&t->in_system);
	pthread_mutex_unlock(&s->maps_lock);
	pthread_mutex_unlock(&s->preserve_lock);
	iommu_domain_put(t->domain);
	pthread_mutex_destroy(&t->lock);
	heap_free(t);
}

struct iommu_domain *vfio_type1_domain(struct vfio_type1 *t)
{
	return t->domain;
}

bool vfio_type1_is_v2(const struct vfio_type1 *t)
{
	return t->v2;
}

static struct mapping *of_iova(struct itree_node *n)
{
	return n ? container_of_type(n, struct mapping, by_iova) : NULL;
}

static struct mapping *first_in(const struct vfio_type1 *t, uint64_t iova, uint64_t last)
{
	return of_iova(itree_first(&t->by_iova, iova, last));
}

static struct mapping *next_in(const struct mapping *d, uint64_t iova, uint64_t last)
{
	return of_iova(itree_next(&d->by_iova, iova, last));
}

/* v2 and dirty bitmaps: no mapping may reach over an end of the range. */
static bool bisects(const struct vfio_type1 *t, uint64_t iova, uint64_t last)
{
	const struct mapping *d = first_in(t, iova, iova);

	if (d && mapping_iova(d) != iova)
		return true;
	d = first_in(t, last, last);
	return d && d->by_iova.last != last;
}

static bool in_iova_ranges(uint64_t iova, uint64_t last)
{
	for (unsigned i = 0; i < ARRAY_SIZE(iova_ranges); i++) {
		if (iova >= iova_ranges[i].start && last <= iova_ranges[i].end)
			return true;
	}
	return false;
}

/*
 * How many of @pages RLIMIT_MEMLOCK (*@limit, in bytes) lets in; they are counted if it is all of
 * them.
 */
static uint64_t account(struct vfio_system *s, uint64_t pages, uint64_t *limit)
{
	unsigned long long locked = atomic_load(&s->pages_locked);

	do {
		uint64_t allowed, left;

		/*
		 * a size is far below 2^63: it lies in the program's memory, or populating it fails
		 */
		*limit =
			s->memlock ? s->memlock((locked + pages) * PAGE_SIZE_4K) : s->memlock_limit;
		allowed = *limit / PAGE_SIZE_4K;
		left = allowed > locked ? allowed - locked : 0;
		if (*limit != UINT64_MAX && pages > left)
			return left;
	} while (!atomic_compare_exchange_weak(&s->pages_locked, &locked, locked + pages));
	return pages;
}

void type1_set_mem(struct vfio_system *s, struct mapping *d, uint64_t vaddr, uint64_t size)
{
	d->by_mem.start = vaddr;
	d->by_mem.last = vaddr + size - 1;
	if (d->by_mem.start < atomic_load(&s->lowest))
		atomic_store(&s->lowest, d->by_mem.start);
	if (d->by_mem.last > atomic_load(&s->highest))
		atomic_store(&s->highest, d->by_mem.last);
}

static void index_mem(struct vfio_type1 *t, struct mapping *d, uint64_t vaddr, uint64_t size)
{
	struct vfio_system *s = t->sys;

	pthread_mutex_lock(&s->maps_lock);
	type1_set_mem(s, d, vaddr, size);
	itree_insert(&t->by_mem, &d->by_mem);
	atomic_fetch_add(&s->mappings, 1);
	pthread_mutex_unlock(&s->maps_lock);
}

/*
 * The domain has nothing of @d any more. Returns how much of its memory libc had given back, and is
 * gone now.
 */
static uint64_t unindex_mem(struct vfio_type1 *t, struct mapping *d)
{
	struct vfio_system *s = t->sys;
	uint64_t returned;

	pthread_mutex_lock(&s->maps_lock);
	itree_remove(&t->by_mem, &d->by_mem);
	if (atomic_fetch_sub(&s->mappings, 1) == 1) {
		atomic_store(&s->lowest, UINT64_MAX);
		atomic_store(&s->highest, 0);
	}
	returned = returned_release(s, d->by_mem.start, d->by_mem.last);
	pthread_mutex_unlock(&s->maps_lock);
	return returned;
}

/*
 * Did libc give some of the memory back? Then there is nothing to pin, though it has to stay for
 * another mapping.
 */
static bool is_returned(struct vfio_system *s, uint64_t vaddr, uint64_t size)
{
	bool is;

	pthread_mutex_lock(&s->maps_lock);
	is = returned_touches(s, vaddr, vaddr + size - 1);
	pthread_mutex_unlock(&s->maps_lock);
	return is;
}

/*
 * The pages of a new mapping: there, and within the limit? The kernel goes through them in order: a
 * bad page before the limit is EFAULT, behind it is not looked at.
 */
static int pin(struct vfio_type1 *t, uint64_t vaddr, uint64_t iova, uint64_t size, unsigned prot)
{
	uint64_t limit, pages = size / PAGE_SIZE_4K, fit = account(t->sys, pages, &limit);
	int ret;

	if (is_returned(t->sys, vaddr, size))
		ret = -EFAULT;
	else
		ret = iommu_populate(vaddr, fit < pages ? (fit + 1) * PAGE_SIZE_4K : size, prot);
	if (fit == pages) {
		if (ret)
			atomic_fetch_sub(&t->sys->pages_locked, pages);
		return ret;
	}
	if (ret)
		return ret;
	log_err("dma",
		"MAP_DMA of %" PRIu64 " bytes at IOVA 0x%" PRIx64 ": over RLIMIT_MEMLOCK (%" PRIu64
		" bytes, %llu of them in use): ENOMEM. "
		"Raise `ulimit -l`, or use `uvfio run --memlock unlimited`",
		size, iova, limit,
		(unsigned long long)atomic_load(&t->sys->pages_locked) * PAGE_SIZE_4K);
	return -ENOMEM;
}

/*
 * VFIO_DMA_MAP_FLAG_VADDR: the program sees the same memory at @vaddr now. The kernel has the pages
 * and takes the client's word; here the devices reach them through the program's view, so the new
 * one is used, unless nothing is there: then what the devices have stays.
 */
static int update_vaddr(struct vfio_type1 *t, struct mapping *d, uint64_t vaddr)
{
	uint64_t iova = mapping_iova(d), size = mapping_size(d);
	struct aside *unused = NULL;
	int ret;

	if (iommu_populate(vaddr, size, d->prot)) {
		log_warn("dma",
			 "MAP_DMA with FLAG_VADDR at IOVA 0x%" PRIx64 ": no memory at 0x%" PRIx64
			 ": devices keep what they have",
			 iova, vaddr);
		goto done;
	}
	type1_put_asides(t, d, &unused);
	ret = iommu_domain_remap(t->domain, iova, (void *)vaddr, size);
	if (ret == -ENOENT) {
		/* some of it was given up when the program took it away */
		iommu_domain_unmap(t->domain, iova, size);
		ret = iommu_domain_map(t->domain, iova, (void *)vaddr, size, d->prot);
	}
	if (ret) {
		log_err("dma",
			"MAP_DMA with FLAG_VADDR at IOVA 0x%" PRIx64
			": %s: device accesses there abort",
			iova, strerror(-ret));
		iommu_domain_unmap(t->domain, iova, size);
	}
	type1_asides_free(t->sys, unused);
	unindex_mem(t, d);
	index_mem(t, d, vaddr, size);
	if (ret)
		return ret;
done:
	d->vaddr_invalid = false;
	return 0;
}

int vfio_type1_map(struct vfio_type1 *t, uint32_t flags, uint64_t vaddr, uint64_t iova,
		   uint64_t size)
{
	bool set_vaddr = flags & VFIO_DMA_MAP_FLAG_VADDR;
	unsigned prot = 0;
	struct mapping *d, *old;
	int ret;

	if (!size)
		return -EINVAL;
	if (add_overflows(iova, size - 1) || add_overflows(vaddr, size - 1))
		return -EOVERFLOW;
	if (flags & VFIO_DMA_MAP_FLAG_READ)
		prot |= IOMMU_READ;
	if (flags & VFIO_DMA_MAP_FLAG_WRITE)
		prot |= IOMMU_WRITE;
	if (set_vaddr == !!prot)
		return -EINVAL;
	if ((size | iova | vaddr) & (PAGE_SIZE_4K - 1))
		return -EINVAL;

	d = heap_alloc(sizeof(*d));
	pthread_mutex_lock(&t->lock);
	old = first_in(t, iova, iova + size - 1);
	if (set_vaddr) {
		ret = -ENOENT;
		if (!old)
			goto out;
		ret = -EINVAL;
		if (old->vaddr_invalid && mapping_iova(old) == iova && mapping_size(old) == size)
			ret = update_vaddr(t, old, vaddr);
		goto out;
	}
	ret = -EEXIST;
	if (old)
		goto out;
	ret = -ENOSPC;
	if (t->entries >= t->sys->dma_entry_limit) {
		log_err("dma",
			"MAP_DMA at IOVA 0x%" PRIx64
			": %u mappings, the limit (dma_entry_limit), are in use: ENOSPC",
			iova, t->entries);
		goto out;
	}
	ret = -EINVAL;
	if (!in_iova_ranges(iova, iova + size - 1)) {
		log_warn("dma",
			 "MAP_DMA of 0x%" PRIx64 " bytes at IOVA 0x%" PRIx64
			 ": outside of what the IOMMU can map (IOMMU_GET_INFO): EINVAL",
			 size, iova);
		goto out;
	}
	ret = -ENOMEM;
	if (!d)
		goto out;

	ret = 0;
	/* indexed first: who unmaps this memory meanwhile waits for the lock and then moves it */
	index_mem(t, d, vaddr, size);
	d->device_memory = t->sys->device_memory && t->sys->device_memory(vaddr, size);
	if (d->device_memory)
		log_info("dma",
			 "MAP_DMA of 0x%" PRIx64 " bytes at IOVA 0x%" PRIx64
			 ": a mapped BAR; peer-to-peer accesses there abort",
			 size, iova);
	else
		ret = pin(t, vaddr, iova, size, prot);
	if (ret)
		goto unindex;
	ret = iommu_domain_map(t->domain, iova, (void *)vaddr, size, prot);
	if (ret)
		goto unaccount;
	d->prot = prot;
	d->by_iova.start = iova;
	d->by_iova.last = iova + size - 1;
	itree_insert(&t->by_iova, &d->by_iova);
	t->entries++;
	d = NULL;
	goto out;
unaccount:
	if (!d->device_memory)
		atomic_fetch_sub(&t->sys->pages_locked, size / PAGE_SIZE_4K);
unindex:
	unindex_mem(t, d);
out:
	pthread_mutex_unlock(&t->lock);
	heap_free(d);
	return ret;
}

/* A bitmap of @size bytes of IOVA space in @pgsize pages: the kernel's limits. */
static int check_bitmap(uint64_t size, uint64_t pgsize, uint64_t bytes)
{
	uint64_t pages = size / PAGE_SIZE_4K;

	if (pgsize != PAGE_SIZE_4K)
		return -EINVAL;
	if (!pages || !bytes || bytes > DIRTY_BITMAP_BYTES_MAX ||
	    pages > DIRTY_BITMAP_BYTES_MAX * 8 || bytes < (pages + 63) / 64 * 8)
		return -EINVAL;
	return 0;
}

/*
 * Every page of @d is dirty: nothing tells what a device wrote, and the kernel answers so for every
 * device that does not pin for itself. As there, words are written whole; only what lies before the
 * mapping's first bit is kept.
 */
static void set_dirty(const struct mapping *d, uint64_t base, uint8_t *bitmap)
{
	uint64_t bit = (mapping_iova(d) - base) / PAGE_SIZE_4K,
		 left = mapping_size(d) / PAGE_SIZE_4K, word;
	unsigned shift = bit % 64;
	uint8_t *p = bitmap + bit / 64 * 8;

	for (; left; p += sizeof(word)) {
		unsigned n = left < 64 - shift ? (unsigned)left : 64 - shift;
		uint64_t keep = shift ? (1ull << shift) - 1 : 0,
			 ones = n == 64 ? UINT64_MAX : ((1ull << n) - 1) << shift;

		memcpy(&word, p, sizeof(word));
		word = (word & keep) | ones;
		memcpy(p, &word, sizeof(word));
		left -= n;
		shift = 0;
	}
}

/* VFIO_DMA_UNMAP_FLAG_VADDR: all of the range, or none of it. */
static int invalidate(struct vfio_type1 *t, struct mapping *first, uint64_t iova, uint64_t last,
		      uint64_t *bytes)
{
	struct mapping *d, *undo;

	for (d = first; d; d = next_in(d, iova, last)) {
		if (!t->v2 && iova > mapping_iova(d))
			return 0;
		if (d->vaddr_invalid) {
			for (undo = first; undo != d; undo = next_in(undo, iova, last))
				undo->vaddr_invalid = false;
			*bytes = 0;
			return -EINVAL;
		}
		d->vaddr_invalid = true;
		*bytes += mapping_size(d);
	}
	return 0;
}

/*
 * Take all mappings that touch the range out of the domain, then out of the books. Returns the list
 * of them for free().
 */
static struct mapping *take_out(struct vfio_type1 *t, struct mapping *first, uint64_t iova,
				uint64_t last, uint64_t *bytes)
{
	uint64_t from = mapping_iova(first), to = first->by_iova.last;
	struct mapping *list = NULL, *d;
	struct aside *unused = NULL;
	uint64_t locked = 0, returned = 0;
	uint32_t suppressed;

	for (d = first; d; d = next_in(d, iova, last)) {
		d->next = list;
		list = d;
		to = d->by_iova.last;
		*bytes += mapping_size(d);
		locked += d->device_memory ? 0 : mapping_size(d);
		type1_put_asides(t, d, &unused);
	}
	/* one call for the lot, as each waits for the devices */
	iommu_domain_unmap(t->domain, from, to - from + 1);
	for (d = list; d; d = d->next) {
		itree_remove(&t->by_iova, &d->by_iova);
		returned += unindex_mem(t, d);
		t->entries--;
	}
	atomic_fetch_sub(&t->sys->pages_locked, locked / PAGE_SIZE_4K);
	if (returned && !t->closing && log_allow(&t->limit, &suppressed))
		log_warn("dma",
			 "UNMAP_DMA at IOVA 0x%" PRIx64 ": the program had given %" PRIu64
			 " bytes of this memory back (free) while the device could still use them",
			 from, returned);
	type1_asides_free(t->sys, unused);
	return list;
}

int vfio_type1_unmap(struct vfio_type1 *t, uint32_t flags, uint64_t iova, uint64_t size,
		     uint64_t *unmapped, uint64_t pgsize, uint64_t bitmap_bytes, void *bitmap)
{
	bool all = flags & VFIO_DMA_UNMAP_FLAG_ALL,
	     get_dirty = flags & VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP;
	struct mapping *list = NULL, *first, *d;
	uint64_t last = UINT64_MAX;
	int ret = -EINVAL;

	*unmapped = 0;
	if (get_dirty && (flags & (VFIO_DMA_UNMAP_FLAG_ALL | VFIO_DMA_UNMAP_FLAG_VADDR)))
		return -EINVAL;
	pthread_mutex_lock(&t->lock);
	if (iova & (PAGE_SIZE_4K - 1))
		goto out;
	if (all) {
		if (iova || size)
			goto out;
	} else {
		if (!size || (size & (PAGE_SIZE_4K - 1)))
			goto out;
		if (add_overflows(iova, size - 1)) {
			ret = -EOVERFLOW;
			goto out;
		}
		last = iova + size - 1;
	}
	if (get_dirty && (!t->tracking || check_bitmap(size, pgsize, bitmap_bytes) || !bitmap))
		goto out;
	if (t->v2 && !all && bisects(t, iova, last)) {
		log_warn("dma",
			 "UNMAP_DMA of 0x%" PRIx64 " bytes at IOVA 0x%" PRIx64
			 " would cut a mapping: EINVAL",
			 size, iova);
		goto out;
	}
	ret = 0;
	first = first_in(t, iova, last);
	if (!first)
		goto out;
	if (flags & VFIO_DMA_UNMAP_FLAG_VADDR) {
		ret = invalidate(t, first, iova, last, unmapped);
		goto out;
	}
	/*
	 * v1: one that begins before the range stops it all, one that reaches beyond it goes whole
	 */
	if (!t->v2 && iova > mapping_iova(first))
		goto out;
	for (d = get_dirty ? first : NULL; d; d = next_in(d, iova, last))
		set_dirty(d, iova, bitmap);
	list = take_out(t, first, iova, last, unmapped);
out:
	pthread_mutex_unlock(&t->lock);
	while (list) {
		d = list;
		list = d->next;
		heap_free(d);
	}
	return ret;
}

static int set_tracking(struct vfio_type1 *t, bool on)
{
	if (!t->v2)
		return -EACCES;
	pthread_mutex_lock(&t->lock);
	t->tracking = on;
	pthread_mutex_unlock(&t->lock);
	return 0;
}

int vfio_type1_dirty_start(struct vfio_type1 *t)
{
	return set_tracking(t, true);
}

int vfio_type1_dirty_stop(struct vfio_type1 *t)
{
	return set_tracking(t, false);
}

int vfio_type1_dirty_get(struct vfio_type1 *t, uint64_t iova, uint64_t size, uint64_t pgsize,
			 uint64_t bitmap_bytes, void *bitmap)
{
	uint64_t last;
	struct mapping *d;
	int ret;

	if (!t->v2)
		return -EACCES;
	if (!size)
		return -EINVAL;
	if (add_overflows(iova, size - 1))
		return -EOVERFLOW;
	ret = check_bitmap(size, pgsize, bitmap_bytes);
	if (ret)
		return ret;
	if (((iova | size) & (PAGE_SIZE_4K - 1)) || !bitmap)
		return -EINVAL;
	last = iova + size - 1;
	pthread_mutex_lock(&t->lock);
	if (!t->tracking || bisects(t, iova, last))
		ret = -EINVAL;
	for (d = ret ? NULL : first_in(t, iova, last); d; d = next_in(d, iova, last))
		set_dirty(d, iova, bitmap);
	pthread_mutex_unlock(&t->lock);
	return ret;
}

uint32_t vfio_type1_avail(struct vfio_type1 *t)
{
	uint32_t n;

	pthread_mutex_lock(&t->lock);
	n = t->sys->dma_entry_limit - t->entries;
	pthread_mutex_unlock(&t->lock);
	return n;
}

unsigned vfio_type1_iova_ranges(struct vfio_type1 *t, struct vfio_iova_range *r, unsigned max)
{
	for (unsigned i = 0; i < max && i < ARRAY_SIZE(iova_ranges); i++)
		r[i] = iova_ranges[i];
	return ARRAY_SIZE(iova_ranges);
}

uint64_t vfio_type1_pgsizes(struct vfio_type1 *t)
{
	return PGSIZES;
}
