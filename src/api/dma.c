/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * api/dma.c: mappings, and memory at IOVAs of our choice: the lowest that fit, since there are
 * devices that do not reach far (edu: 28 bits), beginning at 1 MiB, so that an address that a
 * driver forgot to fill in is a fault.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "api/internal.h"

#define LOWEST_IOVA 0x100000ull
#define IOVA_END    (1ull << IOMMU_IOVA_BITS)
#define LARGE	    (2ull << 20) /* a leaf of 2 MiB serves what begins at such an IOVA */

int uvfio_dma_map(struct uvfio *u, uint64_t iova, void *vaddr, uint64_t size, unsigned prot)
{
	API_CALL();
	unsigned rights = (prot & UVFIO_DMA_READ ? IOMMU_READ : 0) |
			  (prot & UVFIO_DMA_WRITE ? IOMMU_WRITE : 0);
	int rc = -EINVAL;

	if (rights && !(prot & ~(UVFIO_DMA_READ | UVFIO_DMA_WRITE)))
		rc = vfio_ioas_map(u->ioas, iova, (uintptr_t)vaddr, size, rights);
	if (rc == -EOVERFLOW) /* VFIO's word for a range that wraps */
		rc = -EINVAL;
	if (rc)
		api_fail(u, rc,
			 "mapping %" PRIu64 " bytes of memory at %p to IOVA 0x%" PRIx64 ": %s",
			 size, vaddr, iova,
			 rc == -EEXIST ? "something is mapped there" : strerror(-rc));
	return rc;
}

static int64_t unmap(struct uvfio *u, uint64_t iova, uint64_t size)
{
	uint64_t bytes;
	int rc;

	rc = vfio_ioas_unmap(u->ioas, iova, size, &bytes);
	if (rc == -EOVERFLOW)
		rc = -EINVAL;
	if (rc)
		return api_fail(u, rc, "unmapping %" PRIu64 " bytes at IOVA 0x%" PRIx64 ": %s",
				size, iova,
				rc == -EINVAL ? "not whole pages, or it would cut a mapping"
					      : strerror(-rc));
	return (int64_t)bytes;
}

int64_t uvfio_dma_unmap(struct uvfio *u, uint64_t iova, uint64_t size)
{
	API_CALL();
	return unmap(u, iova, size);
}

/*
 * Map @m somewhere in [from, end), which nothing of uvfio_dma_alloc() touches, but mappings of the
 * program's own may: then further up, in growing steps. -EEXIST: no room.
 */
static int place(struct uvfio *u, struct api_memory *m, uint64_t from, uint64_t end)
{
	uint64_t align = m->size >= LARGE ? LARGE : PAGE_SIZE_4K, step = m->size;
	int rc;

	for (;;) {
		from = align_up(from, align);
		if (from >= end || m->size > end - from)
			return -EEXIST;
		rc = vfio_ioas_map(u->ioas, from, (uintptr_t)m->vaddr, m->size,
				   IOMMU_READ | IOMMU_WRITE);
		if (rc != -EEXIST)
			break;
		from += step;
		if (step < IOVA_END)
			step *= 2;
	}
	m->iova = from;
	return rc;
}

/* Do as place(), within what the IOMMU maps. */
static int place_in(struct uvfio *u, struct api_memory *m, uint64_t from, uint64_t end,
		    const struct vfio_ioas_limits *limits)
{
	int rc = -EEXIST;

	for (unsigned i = 0; i < limits->num_ranges && rc == -EEXIST; i++) {
		const struct vfio_iova_range *r = &limits->ranges[i];
		uint64_t last = r->end < end - 1 ? r->end : end - 1;

		if (r->start <= last && from <= last)
			rc = place(u, m, from > r->start ? from : r->start, last + 1);
	}
	return rc;
}

/*
 * Map @m in the first gap behind @prev (the list's head: from the start) that takes it. Lock held.
 */
static int insert(struct uvfio *u, struct api_memory *m, struct cds_list_head *prev,
		  const struct vfio_ioas_limits *limits)
{
	struct api_memory *p;
	uint64_t from, end;
	int rc;

	for (;; prev = prev->next) {
		p = cds_list_entry(prev, struct api_memory, node);
		from = prev == &u->memory ? LOWEST_IOVA : p->iova + p->size;
		p = cds_list_entry(prev->next, struct api_memory, node);
		end = prev->next == &u->memory ? IOVA_END : p->iova;
		rc = place_in(u, m, from, end, limits);
		if (!rc) {
			cds_list_add(&m->node, prev);
			u->hint = m;
		}
		if (rc != -EEXIST)
			return rc;
		if (prev->next == &u->memory)
			return -ENOSPC;
	}
}

void *uvfio_dma_alloc(struct uvfio *u, size_t size, uint64_t *iova)
{
	API_CALL();
	struct api_memory *m = calloc(1, sizeof(*m));
	struct vfio_ioas_limits limits;
	int rc = -ENOMEM;

	if (!m || !size || size > SIZE_MAX - PAGE_SIZE_4K)
		goto fail;
	m->size = align_up(size, PAGE_SIZE_4K);
	m->vaddr = mmap(NULL, m->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (m->vaddr == MAP_FAILED)
		goto fail;
	pthread_mutex_lock(&u->lock);
	vfio_ioas_limits(u->ioas, &limits);
	rc = insert(u, m, u->hint ? &u->hint->node : &u->memory, &limits);
	if (rc == -ENOSPC && u->hint)
		rc = insert(u, m, &u->memory, &limits);
	pthread_mutex_unlock(&u->lock);
	if (rc)
		goto unmap;
	*iova = m->iova;
	return m->vaddr;
unmap:
	munmap(m->vaddr, m->size);
fail:
	free(m);
	api_fail(u, rc, "no %zu bytes of memory for DMA: %s", size, strerror(-rc));
	return NULL;
}

/* Unmap @m and give its memory back. Lock held. */
static void release(struct uvfio *u, struct api_memory *m)
{
	if (!u->hint || m->iova <= u->hint->iova)
		u->hint = m->node.prev == &u->memory
				  ? NULL
				  : cds_list_entry(m->node.prev, struct api_memory, node);
	cds_list_del(&m->node);
	/*
	 * when unmap() returns no device uses the memory; nothing is there any more if the program
	 * unmapped the range itself
	 */
	unmap(u, m->iova, m->size);
	munmap(m->vaddr, m->size);
	free(m);
}

void uvfio_dma_free(struct uvfio *u, void *vaddr, size_t size, uint64_t iova)
{
	API_CALL();
	struct api_memory *m, *found = NULL;

	if (!vaddr)
		return;
	pthread_mutex_lock(&u->lock);
	/* what is given back soon was mostly given out late */
	cds_list_for_each_entry_reverse(m, &u->memory, node) {
		if (m->iova == iova && m->vaddr == vaddr) {
			found = m;
			break;
		}
	}
	if (found && found->size == align_up(size, PAGE_SIZE_4K))
		release(u, found);
	else
		report_err("dma-free-unknown", "api", 0,
			   "uvfio_dma_free of %zu bytes at %p, IOVA 0x%" PRIx64
			   ": not what uvfio_dma_alloc gave",
			   size, vaddr, iova);
	pthread_mutex_unlock(&u->lock);
}

void api_free_memory(struct uvfio *u)
{
	while (!cds_list_empty(&u->memory))
		release(u, cds_list_first_entry(&u->memory, struct api_memory, node));
}
