/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/type1.c: the rules of type1: which ranges an unmap may name (v2: none cuts a mapping; v1:
 * whole ones or nothing), new addresses for old memory (FLAG_VADDR), and dirty bitmaps. The
 * mappings themselves are an address space (ioas.c).
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/heap.h"
#include "vfio/internal.h"
#include "vfio/type1.h"

struct vfio_type1 {
	struct vfio_ioas *ioas;
	bool v2;
	bool tracking; /* VFIO_IOMMU_DIRTY_PAGES_FLAG_START; the address space's lock */
};

struct vfio_type1 *vfio_type1_new(struct vfio_system *s, bool v2)
{
	struct vfio_type1 *t = heap_alloc(sizeof(*t));

	if (!t)
		return NULL;
	t->ioas = vfio_ioas_new(s, true);
	if (!t->ioas) {
		heap_free(t);
		return NULL;
	}
	t->v2 = v2;
	return t;
}

void vfio_type1_free(struct vfio_type1 *t)
{
	if (!t)
		return;
	vfio_ioas_look_back(t->ioas);
	vfio_ioas_put(t->ioas);
	heap_free(t);
}

struct vfio_ioas *vfio_type1_ioas(struct vfio_type1 *t)
{
	return t->ioas;
}

bool vfio_type1_is_v2(const struct vfio_type1 *t)
{
	return t->v2;
}

/*
 * VFIO_DMA_MAP_FLAG_VADDR: the program sees the same memory at @vaddr now. The kernel has the pages
 * and takes the client's word; here the devices reach them through the program's view, so the new
 * one is used, unless nothing is there: then what the devices have stays.
 */
static int update_vaddr(struct vfio_type1 *t, struct mapping *m, uint64_t vaddr)
{
	int ret = ioas_set_vaddr(t->ioas, m, vaddr);

	if (ret == -EFAULT) {
		report_warn("dma-vaddr-memory", "dma", 0,
			    "MAP_DMA with FLAG_VADDR at IOVA 0x%" PRIx64 ": no memory at 0x%" PRIx64
			    ": devices keep what they have",
			    mapping_iova(m), vaddr);
		ret = 0;
	} else if (ret) {
		report_err("dma-vaddr-failed", "dma", ret,
			   "MAP_DMA with FLAG_VADDR at IOVA 0x%" PRIx64
			   ": %m: device accesses there abort",
			   mapping_iova(m));
	}
	if (!ret)
		m->vaddr_invalid = false;
	return ret;
}

/* The lock is held. */
static int set_vaddr(struct vfio_type1 *t, uint64_t vaddr, uint64_t iova, uint64_t size)
{
	struct mapping *m = ioas_first(t->ioas, iova, iova + size - 1);

	if (!m)
		return -ENOENT;
	if (!m->vaddr_invalid || mapping_iova(m) != iova || mapping_size(m) != size)
		return -EINVAL;
	return update_vaddr(t, m, vaddr);
}

int vfio_type1_map(struct vfio_type1 *t, uint32_t flags, uint64_t vaddr, uint64_t iova,
		   uint64_t size)
{
	unsigned prot = 0;
	int ret;

	if (flags & VFIO_DMA_MAP_FLAG_READ)
		prot |= IOMMU_READ;
	if (flags & VFIO_DMA_MAP_FLAG_WRITE)
		prot |= IOMMU_WRITE;
	if (!(flags & VFIO_DMA_MAP_FLAG_VADDR))
		return vfio_ioas_map(t->ioas, iova, vaddr, size, prot);
	ret = ioas_check_map(iova, vaddr, size, IOMMU_READ);
	if (ret)
		return ret;
	if (prot)
		return -EINVAL;
	pthread_mutex_lock(&t->ioas->lock);
	ret = set_vaddr(t, vaddr, iova, size);
	pthread_mutex_unlock(&t->ioas->lock);
	return ret;
}

int vfio_type1_check_bitmap(uint64_t size, uint64_t pgsize, uint64_t bytes, size_t *need)
{
	uint64_t pages = size / PAGE_SIZE_4K, least = (pages + 63) / 64 * 8;

	if (pgsize != PAGE_SIZE_4K)
		return -EINVAL;
	if (!pages || !bytes || bytes > VFIO_TYPE1_BITMAP_MAX ||
	    pages > VFIO_TYPE1_BITMAP_MAX * 8 || bytes < least)
		return -EINVAL;
	if (need)
		*need = least;
	return 0;
}

/*
 * Set the bits of all pages of @m. The kernel answers so for a device that does not pin for itself,
 * whatever it wrote; the domain would know better (iommu_domain_dirty_read). As there, words are
 * written whole; only what lies before the mapping's first bit is kept.
 */
static void set_dirty(const struct mapping *m, uint64_t base, uint8_t *bitmap)
{
	uint64_t bit = (mapping_iova(m) - base) / PAGE_SIZE_4K,
		 left = mapping_size(m) / PAGE_SIZE_4K, word;
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
static int invalidate(struct vfio_type1 *t, uint64_t iova, uint64_t last, uint64_t *bytes)
{
	struct mapping *first = ioas_first(t->ioas, iova, last), *m, *undo;

	for (m = first; m; m = ioas_next(m, iova, last)) {
		if (!t->v2 && iova > mapping_iova(m))
			return 0;
		if (m->vaddr_invalid) {
			for (undo = first; undo != m; undo = ioas_next(undo, iova, last))
				undo->vaddr_invalid = false;
			*bytes = 0;
			return -EINVAL;
		}
		m->vaddr_invalid = true;
		*bytes += mapping_size(m);
	}
	return 0;
}

/* Set the bits of all mappings in [@iova, @last]. The lock is held. */
static void set_dirty_all(struct vfio_type1 *t, uint64_t iova, uint64_t last, void *bitmap)
{
	struct mapping *m;

	for (m = ioas_first(t->ioas, iova, last); m; m = ioas_next(m, iova, last))
		set_dirty(m, iova, bitmap);
}

/* Do what @flags ask for to [@iova, @last], which is aligned. The lock is held. */
static int unmap(struct vfio_type1 *t, uint32_t flags, uint64_t iova, uint64_t last,
		 uint64_t *unmapped, void *bitmap)
{
	struct mapping *first;

	if (t->v2 && !(flags & VFIO_DMA_UNMAP_FLAG_ALL) && ioas_bisects(t->ioas, iova, last))
		return report_warn("dma-unmap-cut", "dma", -EINVAL,
				   "UNMAP_DMA of 0x%" PRIx64 " bytes at IOVA 0x%" PRIx64
				   " would cut a mapping",
				   last - iova + 1, iova);
	if (flags & VFIO_DMA_UNMAP_FLAG_VADDR)
		return invalidate(t, iova, last, unmapped);
	/*
	 * v1: one that begins before the range stops it all, one that reaches beyond it goes whole
	 */
	first = ioas_first(t->ioas, iova, last);
	if (!first || (!t->v2 && iova > mapping_iova(first)))
		return 0;
	if (flags & VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP)
		set_dirty_all(t, iova, last, bitmap);
	*unmapped = ioas_unmap(t->ioas, iova, last);
	return 0;
}

int vfio_type1_unmap(struct vfio_type1 *t, uint32_t flags, uint64_t iova, uint64_t size,
		     uint64_t *unmapped, uint64_t pgsize, uint64_t bitmap_bytes, void *bitmap)
{
	bool all = flags & VFIO_DMA_UNMAP_FLAG_ALL,
	     get_dirty = flags & VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP;
	int ret = -EINVAL;

	*unmapped = 0;
	if (get_dirty && (flags & (VFIO_DMA_UNMAP_FLAG_ALL | VFIO_DMA_UNMAP_FLAG_VADDR)))
		return -EINVAL;
	if ((iova | size) & (PAGE_SIZE_4K - 1))
		return -EINVAL;
	if (all ? iova || size : !size)
		return -EINVAL;
	if (!all && add_overflows(iova, size - 1))
		return -EOVERFLOW;
	if (get_dirty && (vfio_type1_check_bitmap(size, pgsize, bitmap_bytes, NULL) || !bitmap))
		return -EINVAL;
	pthread_mutex_lock(&t->ioas->lock);
	if (!get_dirty || t->tracking)
		ret = unmap(t, flags, iova, all ? UINT64_MAX : iova + size - 1, unmapped, bitmap);
	pthread_mutex_unlock(&t->ioas->lock);
	return ret;
}

static int set_tracking(struct vfio_type1 *t, bool on)
{
	if (!t->v2)
		return -EACCES;
	pthread_mutex_lock(&t->ioas->lock);
	t->tracking = on;
	pthread_mutex_unlock(&t->ioas->lock);
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
	int ret;

	if (!t->v2)
		return -EACCES;
	if (!size)
		return -EINVAL;
	if (add_overflows(iova, size - 1))
		return -EOVERFLOW;
	ret = vfio_type1_check_bitmap(size, pgsize, bitmap_bytes, NULL);
	if (ret)
		return ret;
	if (((iova | size) & (PAGE_SIZE_4K - 1)) || !bitmap)
		return -EINVAL;
	pthread_mutex_lock(&t->ioas->lock);
	if (!t->tracking || ioas_bisects(t->ioas, iova, iova + size - 1))
		ret = -EINVAL;
	else
		set_dirty_all(t, iova, iova + size - 1, bitmap);
	pthread_mutex_unlock(&t->ioas->lock);
	return ret;
}
