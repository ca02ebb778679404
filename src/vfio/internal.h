/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/internal.h: what the files of this folder share: the mappings of an address space (type1.c),
 * and the memory behind them (aside.c, returned.c).
 */
#ifndef VFIO_INTERNAL_H
#define VFIO_INTERNAL_H
#include "base/itree.h"
#include "base/log.h"
#include "vfio/group.h"
#include "vfio/type1.h"

/* One mapping as the client made it. */
struct mapping {
	struct itree_node by_iova;
	/* where the program sees the memory; the domain knows where it is */
	struct itree_node by_mem;
	unsigned prot;		  /* IOMMU_READ, IOMMU_WRITE */
	bool device_memory;	  /* a mapped BAR: no pages, not counted */
	bool vaddr_invalid;	  /* VFIO_DMA_UNMAP_FLAG_VADDR */
	bool moved;		  /* some of it is in the system's asides */
	struct mapping *next;	  /* of those that one unmap takes out, or that move together */
	struct vfio_type1 *owner; /* of the latter */
};

struct vfio_type1 {
	struct vfio_system *sys;
	struct iommu_domain *domain;
	bool v2;
	pthread_mutex_t lock; /* guards what follows; above maps_lock and iommu_domain's */
	struct itree by_iova;
	struct itree by_mem; /* changed with maps_lock held as well: either is enough to read */
	unsigned entries;
	bool closing; /* nobody asks for the unmap */
	struct log_limit limit;
	bool tracking; /* VFIO_IOMMU_DIRTY_PAGES_FLAG_START */
	struct cds_list_head in_system;
};

/* Memory that libc gave back while it was mapped. */
struct returned {
	struct itree_node node; /* whole pages, of which a mapping has some */
};

/* Memory that was moved aside, and how many mapped bytes of all type1 spaces lie there. */
struct aside {
	struct itree_node node;
	uint64_t users;
	struct aside *next;
};

static inline uint64_t mapping_iova(const struct mapping *d)
{
	return d->by_iova.start;
}
static inline uint64_t mapping_size(const struct mapping *d)
{
	return d->by_iova.last - d->by_iova.start + 1;
}

/* type1.c: the client's memory of @d is there; while it is in no tree, with maps_lock held. */
void type1_set_mem(struct vfio_system *s, struct mapping *d, uint64_t vaddr, uint64_t size);

/*
 * aside.c: the mapping @d lets go of the memory aside that it uses. What nobody else uses is put
 * on @free, to be released with type1_asides_free() when no device can reach it any more (after
 * iommu_domain_unmap or _remap). Lock held.
 */
void type1_put_asides(struct vfio_type1 *t, struct mapping *d, struct aside **free);
void type1_asides_free(struct vfio_system *s, struct aside *list);

/*
 * returned.c, with maps_lock held. Did libc give memory in [start, last] back? A mapping that had
 * [start, last] is gone, from the domain, too: what libc gave back there and no other mapping has
 * is unmapped; how many bytes it was.
 */
bool returned_touches(const struct vfio_system *s, uint64_t start, uint64_t last);
uint64_t returned_release(struct vfio_system *s, uint64_t start, uint64_t last);

/* group.c: the device @name of @g, whose lock is held, or NULL. */
struct vfio_device *vfio_group_find(struct vfio_group *g, const char *name);
#endif
