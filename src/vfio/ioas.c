/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/ioas.c: the mappings of an I/O address space, over a domain that the devices see. The
 * mappings are what its users' rules are about (which ranges can be unmapped, what counts against a
 * limit); the domain is what DMA is about.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/client.h"
#include "base/event.h"
#include "base/heap.h"
#include "base/report.h"
#include "fault/fault.h"
#include "iommu/peer.h"
#include "iommu/populate.h"
#include "vfio/internal.h"

void vfio_ioas_set_init(struct vfio_ioas_set *set)
{
	pthread_mutex_init(&set->lock, NULL);
	pthread_mutex_init(&set->maps_lock, NULL);
	CDS_INIT_LIST_HEAD(&set->spaces);
	pool_init(&set->returned_pool, sizeof(struct returned));
	pool_init(&set->asides_pool, sizeof(struct aside));
	atomic_init(&set->lowest, UINT64_MAX);
}

void vfio_ioas_set_destroy(struct vfio_ioas_set *set)
{
	pool_destroy(&set->returned_pool);
	pool_destroy(&set->asides_pool);
	pthread_mutex_destroy(&set->maps_lock);
	pthread_mutex_destroy(&set->lock);
}

struct vfio_ioas *vfio_ioas_new(struct vfio_system *s, bool limited)
{
	struct vfio_ioas *io = heap_alloc(sizeof(*io));

	if (!io)
		return NULL;
	io->domain = iommu_domain_new();
	if (!io->domain) {
		heap_free(io);
		return NULL;
	}
	ref_init(&io->ref);
	io->sys = s;
	io->limited = limited;
	io->set = &s->ioases;
	pthread_mutex_init(&io->lock, NULL);
	CDS_INIT_LIST_HEAD(&io->groups);
	CDS_INIT_LIST_HEAD(&io->listeners);
	ioas_update_limits(io);
	pthread_mutex_lock(&io->set->lock);
	pthread_mutex_lock(&io->set->maps_lock);
	cds_list_add_tail(&io->in_set, &io->set->spaces);
	pthread_mutex_unlock(&io->set->maps_lock);
	pthread_mutex_unlock(&io->set->lock);
	return io;
}

void vfio_ioas_get(struct vfio_ioas *io)
{
	ref_get(&io->ref);
}

void vfio_ioas_put(struct vfio_ioas *io)
{
	if (!io || !ref_put(&io->ref))
		return;
	pthread_mutex_lock(&io->lock);
	io->closing = true;
	ioas_unmap(io, 0, UINT64_MAX);
	pthread_mutex_unlock(&io->lock);
	pthread_mutex_lock(&io->set->lock);
	pthread_mutex_lock(&io->set->maps_lock);
	cds_list_del(&io->in_set);
	pthread_mutex_unlock(&io->set->maps_lock);
	pthread_mutex_unlock(&io->set->lock);
	iommu_domain_put(io->domain);
	pthread_mutex_destroy(&io->lock);
	heap_free(io);
}

/* Of so many a report each; a program that leaves more has made them at the same places. */
#define LEFT_MAX 32u

void vfio_ioas_look_back(struct vfio_ioas *io)
{
	REPORT_CODE(code, LOG_INFO, REPORT_LIMITED("leak-map"));
	const struct mapping *m;
	unsigned n = 0;

	if (!event_wanted(EVENT_PLACE) || pthread_mutex_trylock(&io->lock))
		return;
	for (m = ioas_first(io, 0, UINT64_MAX); m && n < LEFT_MAX;
	     m = ioas_next(m, 0, UINT64_MAX), n++) {
		struct report_about about = { .access = REPORT_DMA,
					      .space = io->domain,
					      .at = mapping_iova(m),
					      .size = mapping_size(m),
					      .place = "it was mapped" };

		report_say_about(&code, "memory for DMA", 0, &about,
				 "[0x%llx, 0x%llx) is mapped to the end (%u mappings are)",
				 (unsigned long long)mapping_iova(m),
				 (unsigned long long)(mapping_iova(m) + mapping_size(m)),
				 io->entries);
	}
	pthread_mutex_unlock(&io->lock);
}

void ioas_set_noiommu(struct vfio_ioas *io)
{
	io->noiommu = true;
	iommu_domain_set_whole(io->domain);
}

struct iommu_domain *vfio_ioas_domain(struct vfio_ioas *io)
{
	return io->domain;
}

/* ---- attachments ---- */

void vfio_ioas_attach(struct vfio_ioas *io, struct iommu_group *g)
{
	pthread_mutex_lock(&io->lock);
	cds_list_add_tail(&g->attached, &io->groups);
	iommu_group_attach(g, io->domain);
	pthread_mutex_unlock(&io->lock);
}

void vfio_ioas_detach(struct vfio_ioas *io, struct iommu_group *g)
{
	pthread_mutex_lock(&io->lock);
	cds_list_del(&g->attached);
	iommu_group_attach(g, NULL);
	pthread_mutex_unlock(&io->lock);
}

void vfio_ioas_replace(struct vfio_ioas *from, struct vfio_ioas *to, struct iommu_group *g)
{
	pthread_mutex_lock(&from->lock);
	cds_list_del(&g->attached);
	pthread_mutex_unlock(&from->lock);
	vfio_ioas_attach(to, g);
}

/* ---- looking ---- */

static struct mapping *of_iova(struct itree_node *n)
{
	return n ? container_of_type(n, struct mapping, by_iova) : NULL;
}

struct mapping *ioas_first(const struct vfio_ioas *io, uint64_t iova, uint64_t last)
{
	return of_iova(itree_first(&io->by_iova, iova, last));
}

struct mapping *ioas_next(const struct mapping *m, uint64_t iova, uint64_t last)
{
	return of_iova(itree_next(&m->by_iova, iova, last));
}

bool ioas_bisects(const struct vfio_ioas *io, uint64_t iova, uint64_t last)
{
	const struct mapping *m = ioas_first(io, iova, iova);

	if (m && mapping_iova(m) != iova)
		return true;
	m = ioas_first(io, last, last);
	return m && m->by_iova.last != last;
}

/* ---- memory: the index by address, and pinning ---- */

void ioas_set_mem(struct vfio_ioas_set *set, struct mapping *m, uint64_t vaddr, uint64_t size)
{
	m->by_mem.start = vaddr;
	m->by_mem.last = vaddr + size - 1;
	if (m->mem && m->mem->device)
		return; /* none of the program's */
	if (m->by_mem.start < atomic_load(&set->lowest))
		atomic_store(&set->lowest, m->by_mem.start);
	if (m->by_mem.last > atomic_load(&set->highest))
		atomic_store(&set->highest, m->by_mem.last);
}

void ioas_index_mem(struct vfio_ioas *io, struct mapping *m, uint64_t vaddr, uint64_t size)
{
	struct vfio_ioas_set *set = io->set;

	pthread_mutex_lock(&set->maps_lock);
	ioas_set_mem(set, m, vaddr, size);
	itree_insert(&io->by_mem, &m->by_mem);
	atomic_fetch_add(&set->mappings, 1);
	pthread_mutex_unlock(&set->maps_lock);
}

uint64_t ioas_unindex_mem(struct vfio_ioas *io, struct mapping *m)
{
	struct vfio_ioas_set *set = io->set;
	uint64_t returned;

	pthread_mutex_lock(&set->maps_lock);
	itree_remove(&io->by_mem, &m->by_mem);
	if (atomic_fetch_sub(&set->mappings, 1) == 1) {
		atomic_store(&set->lowest, UINT64_MAX);
		atomic_store(&set->highest, 0);
	}
	returned = returned_release(set, m->by_mem.start, m->by_mem.last);
	pthread_mutex_unlock(&set->maps_lock);
	return returned;
}

uint64_t ioas_account(struct vfio_system *s, uint64_t pages, uint64_t *limit)
{
	unsigned long long locked = atomic_load(&s->ioases.pages_locked);

	do {
		uint64_t allowed, left;

		/*
		 * a size is far below 2^63: it lies in the program's memory, or populating it fails
		 */
		if (!s->env->memlock)
			*limit = UINT64_MAX;
		else
			*limit = s->env->memlock(s->env_arg, (locked + pages) * PAGE_SIZE_4K);
		allowed = *limit / PAGE_SIZE_4K;
		left = allowed > locked ? allowed - locked : 0;
		if (*limit != UINT64_MAX && pages > left)
			return left;
	} while (!atomic_compare_exchange_weak(&s->ioases.pages_locked, &locked, locked + pages));
	return pages;
}

bool vfio_ioas_fits(struct vfio_system *s, uint64_t pages)
{
	uint64_t limit, fit = ioas_account(s, pages, &limit);

	if (fit == pages)
		atomic_fetch_sub(&s->ioases.pages_locked, pages);
	return fit == pages;
}

/*
 * True if libc gave some of the memory back. Then there is nothing to pin, though it has to stay
 * for another mapping.
 */
static bool is_returned(struct vfio_ioas_set *set, uint64_t vaddr, uint64_t size)
{
	bool is;

	pthread_mutex_lock(&set->maps_lock);
	is = returned_touches(set, vaddr, vaddr + size - 1);
	pthread_mutex_unlock(&set->maps_lock);
	return is;
}

/*
 * Have the pages of a new mapping be there, within the limit. The kernel goes through them in
 * order: a bad page before the limit is EFAULT, behind it is not looked at.
 */
static int pin(struct vfio_ioas *io, uint64_t vaddr, uint64_t iova, uint64_t size, unsigned prot)
{
	uint64_t limit, pages = size / PAGE_SIZE_4K, fit = ioas_account(io->sys, pages, &limit);
	int ret;

	if (is_returned(io->set, vaddr, size))
		ret = -EFAULT;
	else
		ret = iommu_populate(vaddr, fit < pages ? (fit + 1) * PAGE_SIZE_4K : size, prot);
	if (fit == pages) {
		if (ret)
			atomic_fetch_sub(&io->set->pages_locked, pages);
		return ret;
	}
	if (ret)
		return ret;
	return report_err(
		REPORT_HINT("dma-memlock",
			    ". Raise `ulimit -l`, or use `uvfio run --memlock unlimited`"),
		"dma", -ENOMEM,
		"MAP_DMA of %" PRIu64 " bytes at IOVA 0x%" PRIx64 ": over RLIMIT_MEMLOCK (%" PRIu64
		" bytes, %llu of them in use)",
		size, iova, limit,
		(unsigned long long)atomic_load(&io->set->pages_locked) * PAGE_SIZE_4K);
}

struct vfio_memory *ioas_memory_new(void)
{
	struct vfio_memory *mem = heap_alloc(sizeof(*mem));

	if (mem) {
		ref_init(&mem->ref);
		mem->fd = -1;
	}
	return mem;
}

/* Give a reference to @mem back. Windows that nobody has then go to @windows. */
static void memory_put(struct vfio_ioas_set *set, struct vfio_memory *mem,
		       struct iommu_window **windows)
{
	struct bar_window *w;

	if (!ref_put(&mem->ref))
		return;
	atomic_fetch_sub(&set->pages_locked, mem->pages);
	while ((w = mem->windows)) {
		mem->windows = w->next;
		iommu_windows_take(w->window, windows);
		heap_free(w);
	}
	heap_free(mem);
}

void ioas_memory_put(struct vfio_ioas_set *set, struct vfio_memory *mem)
{
	struct iommu_window *windows = NULL;

	memory_put(set, mem, &windows);
	iommu_windows_free(windows);
}

bool ioas_bar_at(struct vfio_system *s, uint64_t vaddr, uint64_t size, struct vfio_bar *first)
{
	return s->env->device_memory && s->env->device_memory(s->env_arg, vaddr, size, first);
}

/*
 * Have the pages of memory be there that is counted elsewhere. A device's registers are no memory
 * (the kernel's iommufd finds no pages there).
 */
static int memory_populate(struct vfio_ioas *io, const struct vfio_memory *mem, uint64_t vaddr,
			   uint64_t size, unsigned prot)
{
	struct vfio_system *s = io->sys;
	struct vfio_bar bar;

	if (mem->writable)
		prot |= IOMMU_WRITE;
	if (mem->device)
		return 0;
	if (ioas_bar_at(s, vaddr, size, &bar)) {
		iommu_target_put(bar.target);
		return -EFAULT;
	}
	if (is_returned(io->set, vaddr, size))
		return -EFAULT;
	return mem->there ? 0 : iommu_populate(vaddr, size, prot);
}

/* Pin and count the program's memory. */
static int memory_take(struct vfio_ioas *io, struct vfio_memory *mem, uint64_t vaddr, uint64_t iova,
		       uint64_t size, unsigned prot)
{
	int ret = pin(io, vaddr, iova, size, prot);

	if (!ret)
		mem->pages = size / PAGE_SIZE_4K;
	return ret;
}

/*
 * If all of the program's memory at [@vaddr, @vaddr + @size) is mapped BARs, make windows on them
 * for @mem. The kernel follows such a mapping as an access of it would: -EFAULT if it has not the
 * rights, or the device does not answer now.
 */
static int bars_take(struct vfio_ioas *io, struct vfio_memory *mem, uint64_t vaddr, uint64_t size,
		     unsigned prot)
{
	struct bar_window **end = &mem->windows, *w;
	uint64_t from = vaddr;
	bool direct = true;
	struct vfio_bar bar;

	for (; size && ioas_bar_at(io->sys, vaddr, size, &bar);
	     vaddr += bar.length, size -= bar.length) {
		mem->device = true;
		w = !bar.answers || prot & ~bar.prot ? NULL : heap_alloc(sizeof(*w));
		if (w)
			w->window = iommu_window_new(bar.target, bar.bar);
		iommu_target_put(bar.target);
		if (!bar.answers || prot & ~bar.prot)
			return -EFAULT;
		if (!w || !w->window) {
			heap_free(w);
			return -ENOMEM;
		}
		w->bar = bar.bar;
		w->offset = bar.offset;
		w->length = bar.length;
		direct &= bar.direct >= bar.length;
		*end = w;
		end = &w->next;
	}
	if (mem->device && direct)
		mem->seen = from;
	return mem->device && size ? -EFAULT : 0; /* it was unmapped meanwhile */
}

/* ---- mapping ---- */

int ioas_check_map(uint64_t iova, uint64_t vaddr, uint64_t size, unsigned prot)
{
	if (!size)
		return -EINVAL;
	if (add_overflows(iova, size - 1) || add_overflows(vaddr, size - 1))
		return -EOVERFLOW;
	if (!prot || ((size | iova | vaddr) & (PAGE_SIZE_4K - 1)))
		return -EINVAL;
	return 0;
}

int ioas_insert(struct vfio_ioas *io, struct mapping *m)
{
	int ret = ioas_tell_map(io, m);

	if (ret)
		return ret;
	itree_insert(&io->by_iova, &m->by_iova);
	io->entries++;
	return 0;
}

/* Put the memory of @m into the domain; with an error some of it may be there. */
static int map_memory(struct vfio_ioas *io, const struct mapping *m)
{
	uint64_t iova = mapping_iova(m), at;
	struct bar_window *w = m->mem->windows;
	int ret = 0;

	if (!w)
		return iommu_domain_map(io->domain, iova, (void *)m->by_mem.start, mapping_size(m),
					m->prot);
	for (; w && !ret; iova += w->length, w = w->next) {
		at = iommu_window_address(w->window, w->offset);
		ret = iommu_domain_map(io->domain, iova, (void *)at, w->length, m->prot);
	}
	return ret;
}

/* Put @m, which is in the index by memory, into the domain, the books, and the listeners'. */
static int map_pinned(struct vfio_ioas *io, struct mapping *m)
{
	int ret = map_memory(io, m);

	if (!ret)
		ret = ioas_insert(io, m);
	if (ret)
		iommu_domain_unmap(io->domain, mapping_iova(m), mapping_size(m));
	return ret;
}

int ioas_map(struct vfio_ioas *io, uint64_t iova, uint64_t vaddr, uint64_t size, unsigned prot,
	     struct vfio_memory *mem, uint64_t mem_offset)
{
	bool counted = mem;
	struct mapping *m;
	int ret;

	if (ioas_first(io, iova, iova + size - 1))
		return -EEXIST;
	/* what overlaps another one is an error before it is one too many */
	if (io->limited && io->entries >= io->sys->env->dma_entry_limit)
		return report_err("dma-entry-limit", "dma", -ENOSPC,
				  "MAP_DMA at IOVA 0x%" PRIx64
				  ": %u mappings, the limit (dma_entry_limit), are in use",
				  iova, io->entries);
	if (!io->noiommu && !ioas_in_ranges(io, iova, size))
		return -EINVAL;
	m = heap_alloc(sizeof(*m));
	if (!m)
		return -ENOMEM;
	if (counted)
		ref_get(&mem->ref);
	else
		mem = ioas_memory_new();
	if (!mem) {
		heap_free(m);
		return -ENOMEM;
	}
	m->mem = mem;
	m->mem_offset = mem_offset;
	m->prot = prot;
	m->by_iova.start = iova;
	m->by_iova.last = iova + size - 1;
	ret = counted ? 0 : bars_take(io, mem, vaddr, size, prot);
	if (ret)
		goto fail;
	if (mem->windows)
		vaddr = iommu_window_address(mem->windows->window, mem->windows->offset);
	/* indexed first: a munmap of this memory meanwhile waits for the lock and then moves it */
	ioas_index_mem(io, m, vaddr, size);
	if (counted)
		ret = memory_populate(io, mem, vaddr, size, prot);
	else if (!mem->device)
		ret = memory_take(io, mem, vaddr, iova, size, prot);
	if (!ret)
		ret = map_pinned(io, m);
	if (!ret)
		return 0;
	ioas_unindex_mem(io, m);
fail:
	ioas_memory_put(io->set, mem);
	heap_free(m);
	return ret;
}

int ioas_map_fault(uint64_t iova, uint64_t size)
{
	const struct fault_where w = { .at = iova, .size = size };
	struct fault f;

	if (!fault_wanted(FAULT_MAP) || !fault_at(FAULT_MAP, &w, &f))
		return 0;
	return f.action == FAULT_ERRNO ? f.err : 0;
}

int vfio_ioas_map(struct vfio_ioas *io, uint64_t iova, uint64_t vaddr, uint64_t size, unsigned prot)
{
	int ret = ioas_check_map(iova, vaddr, size, prot) ?: ioas_map_fault(iova, size);

	if (ret)
		return ret;
	if (client_now)
		return vfio_ioas_map_target(io, iova, size, prot, client_now->target, vaddr);
	pthread_mutex_lock(&io->lock);
	ret = ioas_map(io, iova, vaddr, size, prot, NULL, 0);
	pthread_mutex_unlock(&io->lock);
	return ret;
}

/* Map @mem, whose reference is the mapping's then; with a line if something is there. */
static int map_once(struct vfio_ioas *io, uint64_t iova, uint64_t vaddr, uint64_t size,
		    unsigned prot, struct vfio_memory *mem)
{
	const struct mapping *other;
	int ret;

	pthread_mutex_lock(&io->lock);
	ret = ioas_map(io, iova, vaddr, size, prot, mem, 0);
	if (ret == -EEXIST) {
		other = ioas_first(io, iova, iova + size - 1);
		report_warn(REPORT_LIMITED("dma-overlap"), "dma", ret,
			    "DMA_MAP of 0x%" PRIx64 " bytes at IOVA 0x%" PRIx64 ": 0x%" PRIx64
			    "-0x%" PRIx64 " is mapped",
			    size, iova, mapping_iova(other), other->by_iova.last);
	}
	pthread_mutex_unlock(&io->lock);
	ioas_memory_put(io->set, mem);
	return ret;
}

int vfio_ioas_map_kept(struct vfio_ioas *io, uint64_t iova, uint64_t vaddr, uint64_t size,
		       unsigned prot, int fd, uint64_t fd_offset)
{
	int ret = ioas_check_map(iova, vaddr, size, prot);
	struct vfio_memory *mem;
	struct vfio_bar bar;

	if (ret)
		return ret;
	/* registers have nothing that could be kept */
	if (ioas_bar_at(io->sys, vaddr, size, &bar)) {
		iommu_target_put(bar.target);
		return vfio_ioas_map(io, iova, vaddr, size, prot);
	}
	mem = ioas_memory_new();
	if (!mem)
		return -ENOMEM;
	mem->there = true;
	mem->fd = fd;
	mem->fd_offset = fd_offset;
	return map_once(io, iova, vaddr, size, prot, mem);
}

/* Make windows on @t for @mem, as large as they can be: [@offset, @offset + @size) of it. */
static int windows_make(struct vfio_memory *mem, struct iommu_target *t, uint64_t offset,
			uint64_t size)
{
	const uint64_t largest = 1ull << IOMMU_PEER_BAR_BITS;
	struct bar_window **end = &mem->windows, *w;

	for (; size; size -= w->length, offset += w->length) {
		w = heap_alloc(sizeof(*w));
		if (!w)
			return -ENOMEM;
		w->window = iommu_window_new_memory(t, offset);
		if (!w->window) {
			heap_free(w);
			return -ENOMEM;
		}
		w->length = size < largest ? size : largest;
		*end = w;
		end = &w->next;
	}
	return 0;
}

int vfio_ioas_map_target(struct vfio_ioas *io, uint64_t iova, uint64_t size, unsigned prot,
			 struct iommu_target *t, uint64_t offset)
{
	int ret = ioas_check_map(iova, 0, size, prot);
	struct vfio_memory *mem;

	if (ret)
		return ret;
	if (add_overflows(offset, size - 1))
		return -EOVERFLOW;
	if (size > 1ull << IOMMU_IOVA_BITS) /* before there are windows for it */
		return -EINVAL;
	mem = ioas_memory_new();
	if (!mem)
		return -ENOMEM;
	mem->device = true;
	mem->foreign = true;
	ret = windows_make(mem, t, offset, size);
	if (!ret)
		return map_once(io, iova, 0, size, prot, mem);
	ioas_memory_put(io->set, mem);
	return ret;
}

int ioas_set_vaddr(struct vfio_ioas *io, struct mapping *m, uint64_t vaddr)
{
	uint64_t iova = mapping_iova(m), size = mapping_size(m);
	struct aside *unused = NULL;
	int ret;

	if (m->mem->device) /* it stays where it is */
		return 0;
	if (iommu_populate(vaddr, size, m->prot))
		return -EFAULT;
	asides_put(io, m, &unused);
	ret = iommu_domain_remap(io->domain, iova, (void *)vaddr, size);
	if (ret == -ENOENT) {
		/* some of it was given up when the program took it away */
		iommu_domain_unmap(io->domain, iova, size);
		ret = iommu_domain_map(io->domain, iova, (void *)vaddr, size, m->prot);
	}
	if (ret)
		iommu_domain_unmap(io->domain, iova, size);
	asides_free(io->set, unused);
	ioas_unindex_mem(io, m);
	ioas_index_mem(io, m, vaddr, size);
	m->moved |= ret != 0; /* nowhere: not where it was */
	ioas_tell_moved(io, m, iova, size);
	return ret;
}

/* ---- unmapping ---- */

/* Take the mappings out of the books that are out of the domain, and free them. */
static uint64_t forget(struct vfio_ioas *io, struct mapping *list, uint64_t *returned)
{
	struct iommu_window *windows = NULL;
	uint64_t bytes = 0;
	struct mapping *m;

	while (list) {
		m = list;
		list = m->next;
		bytes += mapping_size(m);
		itree_remove(&io->by_iova, &m->by_iova);
		*returned += ioas_unindex_mem(io, m);
		io->entries--;
		memory_put(io->set, m->mem, &windows);
		heap_free(m);
	}
	/* one wait for the lot */
	iommu_windows_free(windows);
	return bytes;
}

uint64_t ioas_unmap(struct vfio_ioas *io, uint64_t iova, uint64_t last)
{
	struct mapping *list = NULL, *m = ioas_first(io, iova, last);
	uint64_t from, to = 0, bytes, returned = 0;
	struct aside *unused = NULL;

	if (!m)
		return 0;
	from = mapping_iova(m);
	for (; m; m = ioas_next(m, iova, last)) {
		m->next = list;
		list = m;
		to = m->by_iova.last;
		ioas_tell_unmap(io, m);
		asides_put(io, m, &unused);
	}
	/* one call for the lot, as each waits for the devices */
	iommu_domain_unmap(io->domain, from, to - from + 1);
	bytes = forget(io, list, &returned);
	if (returned && !io->closing)
		report_warn(
			REPORT_LIMITED("dma-memory-freed"), "dma", 0,
			"UNMAP_DMA at IOVA 0x%" PRIx64 ": the program had given %" PRIu64
			" bytes of this memory back (free) while the device could still use them",
			from, returned);
	asides_free(io->set, unused);
	return bytes;
}

int vfio_ioas_unmap(struct vfio_ioas *io, uint64_t iova, uint64_t size, uint64_t *unmapped)
{
	int ret = -EINVAL;

	*unmapped = 0;
	if (!size || ((iova | size) & (PAGE_SIZE_4K - 1)))
		return -EINVAL;
	if (add_overflows(iova, size - 1))
		return -EOVERFLOW;
	pthread_mutex_lock(&io->lock);
	if (!ioas_bisects(io, iova, iova + size - 1)) {
		*unmapped = ioas_unmap(io, iova, iova + size - 1);
		ret = 0;
	}
	pthread_mutex_unlock(&io->lock);
	return ret;
}
