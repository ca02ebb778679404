/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/ioas_share.c: mappings of memory that another mapping has already: a second page table of an
 * IOAS of iommufd, a copy of a part. The kernel has the pages. Here they are found where the first
 * mapping has them now, which is not where the program gave them, if it took its view away since
 * (aside.c).
 */
#include <errno.h>

#include "base/heap.h"
#include "vfio/internal.h"

/*
 * Map the program's [@addr, @addr + @size) of @m, a mapping of @src, in the domain of @dst for @n.
 * 0 or -ENOMEM.
 */
static int map_where(struct vfio_ioas *dst, struct mapping *n, const struct vfio_ioas *src,
		     const struct mapping *m, uint64_t addr, uint64_t size)
{
	uint64_t iova = mapping_iova(n), len, at;
	int ret;

	for (uint64_t end = addr + size; addr != end; addr += len, iova += len) {
		at = aside_where(src, m, addr, &len);
		if (len > end - addr)
			len = end - addr;
		if (!at) /* it was lost, which was told then */
			continue;
		ret = iommu_domain_map(dst->domain, iova, (void *)at, len, n->prot);
		if (ret)
			return ret;
		if (at == addr)
			continue;
		n->moved = true;
		for (uint64_t done = 0; done < len;)
			done += aside_share(src->set, at + done, len - done);
	}
	return 0;
}

/* Share the part of @m from its offset @off on, @size bytes. */
static int share_one(struct vfio_ioas *dst, uint64_t iova, unsigned prot,
		     const struct vfio_ioas *src, const struct mapping *m, uint64_t off,
		     uint64_t size)
{
	struct mapping *n = heap_alloc(sizeof(*n));
	struct aside *unused = NULL;
	int ret;

	if (!n)
		return -ENOMEM;
	n->mem = m->mem;
	n->mem_offset = m->mem_offset + off;
	n->prot = prot;
	n->by_iova.start = iova;
	n->by_iova.last = iova + size - 1;
	ref_get(&n->mem->ref);
	ioas_index_mem(dst, n, m->by_mem.start + off, size);
	ret = map_where(dst, n, src, m, m->by_mem.start + off, size);
	if (!ret)
		ret = ioas_insert(dst, n);
	if (!ret)
		return 0;
	asides_put(dst, n, &unused);
	iommu_domain_unmap(dst->domain, iova, size);
	asides_free(dst->set, unused);
	ioas_unindex_mem(dst, n);
	ioas_memory_put(dst->set, n->mem);
	heap_free(n);
	return ret;
}

int ioas_share(struct vfio_ioas *dst, uint64_t iova, unsigned prot, struct vfio_ioas *src,
	       uint64_t src_iova, uint64_t size)
{
	uint64_t last = src_iova + size - 1, from, to;
	struct vfio_ioas *io;
	struct mapping *m;
	int ret = 0;

	/* no memory moves meanwhile; and the two in the order of all (ioas_lock_all()) */
	pthread_mutex_lock(&dst->set->lock);
	cds_list_for_each_entry(io, &dst->set->spaces, in_set)
		if (io == src || io == dst)
			pthread_mutex_lock(&io->lock);
	for (m = ioas_first(src, src_iova, last); m && !ret; m = ioas_next(m, src_iova, last)) {
		from = mapping_iova(m) > src_iova ? mapping_iova(m) : src_iova;
		to = m->by_iova.last < last ? m->by_iova.last : last;
		ret = share_one(dst, iova + (from - src_iova), prot, src, m, from - mapping_iova(m),
				to - from + 1);
	}
	if (dst != src)
		pthread_mutex_unlock(&dst->lock);
	pthread_mutex_unlock(&src->lock);
	pthread_mutex_unlock(&dst->set->lock);
	return ret;
}

int ioas_split(struct vfio_ioas *io, uint64_t last)
{
	struct mapping *m, *n;
	uint64_t head;
	int ret = 0;

	pthread_mutex_lock(&io->lock);
	m = ioas_first(io, last, last);
	if (!m || m->by_iova.last == last)
		goto out;
	ret = -EOPNOTSUPP;
	if (!cds_list_empty(&io->listeners)) /* they are told of a mapping as a whole */
		goto out;
	ret = -ENOMEM;
	n = heap_alloc(sizeof(*n));
	if (!n)
		goto out;
	ret = iommu_domain_split(io->domain, last + 1);
	if (ret) {
		heap_free(n);
		goto out;
	}
	head = last - mapping_iova(m) + 1;
	*n = (struct mapping){ .mem = m->mem,
			       .mem_offset = m->mem_offset + head,
			       .prot = m->prot,
			       .moved = m->moved };
	n->by_iova.start = last + 1;
	n->by_iova.last = m->by_iova.last;
	n->by_mem.start = m->by_mem.start + head;
	n->by_mem.last = m->by_mem.last;
	ref_get(&n->mem->ref);
	itree_remove(&io->by_iova, &m->by_iova);
	m->by_iova.last = last;
	itree_insert(&io->by_iova, &m->by_iova);
	itree_insert(&io->by_iova, &n->by_iova);
	io->entries++;
	pthread_mutex_lock(&io->set->maps_lock);
	itree_remove(&io->by_mem, &m->by_mem);
	m->by_mem.last = n->by_mem.start - 1;
	itree_insert(&io->by_mem, &m->by_mem);
	itree_insert(&io->by_mem, &n->by_mem);
	atomic_fetch_add(&io->set->mappings, 1);
	pthread_mutex_unlock(&io->set->maps_lock);
out:
	pthread_mutex_unlock(&io->lock);
	return ret;
}
