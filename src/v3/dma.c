/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * v3/dma.c: domains, and memory that openers map. A domain is an address space that any number of
 * devices share, each attached for itself. A mapping is its opener's: it goes with the opener, also
 * if other devices use it, and with the memory: when some of that goes away or changes the whole
 * mapping is unmapped before (V3's MMU notifier), which v3_memory_goes() is told.
 *
 * One lock for all of it: these calls are few, and V3's had races between them.
 */
#include <inttypes.h>
#include <limits.h>

#include "iommu/populate.h"
#include "v3/internal.h"

struct v3_domain {
	struct ref ref;
	struct vfio_ioas *ioas;
};

struct v3_mapping {
	struct cds_list_head node; /* of its opener; the newest first */
	struct v3_domain *domain;
	uint64_t vaddr, iova, size;
};

/* ---- the set ---- */

static void set_free(void *arg)
{
	struct v3_set *set = arg;

	pthread_mutex_destroy(&set->lock);
	heap_free(set);
}

struct v3_set *v3_set_of(struct vfio_system *s)
{
	struct v3_set *set;

	pthread_mutex_lock(&s->lock);
	set = s->v3;
	if (!set) {
		set = heap_alloc(sizeof(*set));
		if (set) {
			pthread_mutex_init(&set->lock, NULL);
			CDS_INIT_LIST_HEAD(&set->openers);
			s->v3 = set;
			s->v3_free = set_free;
		}
	}
	pthread_mutex_unlock(&s->lock);
	return set;
}

/* ---- domains ---- */

struct v3_domain *v3_domain_new(struct vfio_system *s)
{
	struct v3_domain *d = heap_alloc(sizeof(*d));

	if (!d)
		return NULL;
	d->ioas = vfio_ioas_new(s, false);
	if (!d->ioas) {
		heap_free(d);
		return NULL;
	}
	ref_init(&d->ref);
	return d;
}

void v3_domain_get(struct v3_domain *d)
{
	ref_get(&d->ref);
}

void v3_domain_put(struct v3_domain *d)
{
	if (!ref_put(&d->ref))
		return;
	vfio_ioas_put(d->ioas);
	heap_free(d);
}

bool v3_has_domain(struct v3_opener *o)
{
	return atomic_load(&o->dev->has_domain);
}

/* Give @v another domain (NULL: none). The set's lock is held. */
static void attach(struct v3_device *v, struct v3_domain *d)
{
	iommu_device_attach(v->vdev.iommu, d ? vfio_ioas_domain(d->ioas) : NULL);
	v->domain = d;
	atomic_store(&v->has_domain, d);
}

int v3_domain_set(struct v3_opener *o, struct v3_domain *d)
{
	struct v3_device *v = o->dev;
	int ret = 0;

	pthread_mutex_lock(&o->set->lock);
	if (v->domain) {
		ret = -EBUSY;
	} else if (!vfio_abi()->intr_remap && !vfio_abi()->allow_unsafe_intrs) {
		ret = report_warn("v3-domain", v->vdev.name, -EINVAL,
				  "DOMAIN_SET: the IOMMU does not remap interrupts; "
				  "allow_unsafe_intrs=1 allows that");
	} else {
		v3_domain_get(d);
		attach(v, d);
	}
	pthread_mutex_unlock(&o->set->lock);
	return ret;
}

int v3_domain_unset(struct v3_opener *o)
{
	struct v3_device *v = o->dev;
	struct v3_domain *d = NULL;
	int ret = 0;

	pthread_mutex_lock(&o->set->lock);
	if (v->num_maps) {
		ret = -EBUSY;
	} else if (v->domain) {
		d = v->domain;
		attach(v, NULL);
	}
	pthread_mutex_unlock(&o->set->lock);
	if (d)
		v3_domain_put(d);
	return ret;
}

/* ---- mappings ---- */

/* Unmap @m and forget it. The set's lock is held. */
static void drop(struct v3_opener *o, struct v3_mapping *m)
{
	uint64_t unmapped;

	vfio_ioas_unmap(m->domain->ioas, m->iova, m->size, &unmapped);
	o->dev->num_maps--;
	atomic_fetch_sub(&o->dev->locked_pages, m->size / PAGE_SIZE_4K);
	cds_list_del(&m->node);
	v3_domain_put(m->domain);
	heap_free(m);
}

/* Map @m in the device's domain. The set's lock is held. */
static int map(struct v3_opener *o, struct v3_mapping *m, unsigned prot)
{
	struct v3_device *v = o->dev;
	uint64_t last = m->iova + m->size - 1;
	int ret;

	if (!v->domain)
		return -EINVAL;
	if (m->iova <= IOMMU_MSI_END && last >= IOMMU_MSI_START && last >= m->iova)
		return report_warn("v3-dma", v->vdev.name, -EINVAL,
				   "DMA_MAP_IOVA at 0x%" PRIx64
				   ": writes to 0xfee00000-0xfeefffff are interrupt messages",
				   m->iova);
	ret = vfio_ioas_map(v->domain->ioas, m->iova, m->vaddr, m->size, prot);
	if (ret == -EEXIST)
		return -EBUSY;
	if (ret == -EINVAL || ret == -EOVERFLOW)
		return -EFAULT; /* beyond the width: all else was checked */
	if (ret)
		return ret;
	v3_domain_get(v->domain);
	m->domain = v->domain;
	cds_list_add(&m->node, &o->maps);
	v->num_maps++;
	atomic_fetch_add(&v->locked_pages, m->size / PAGE_SIZE_4K);
	return 0;
}

int v3_map(struct v3_opener *o, const struct v3_dma *m)
{
	unsigned prot = IOMMU_READ | (m->write ? IOMMU_WRITE : 0);
	struct v3_mapping *new;
	int ret;

	if (m->vaddr % PAGE_SIZE_4K || m->size % PAGE_SIZE_4K || !m->size ||
	    m->size / PAGE_SIZE_4K > INT_MAX || m->iova % PAGE_SIZE_4K)
		return -EINVAL;
	if (!vfio_ioas_fits(o->open.place.group->system, m->size / PAGE_SIZE_4K))
		return report_err(
			REPORT_HINT("dma-memlock",
				    ". Raise `ulimit -l`, or use `uvfio run --memlock unlimited`"),
			o->dev->vdev.name, -ENOMEM,
			"DMA_MAP_IOVA of %" PRIu64 " bytes: over RLIMIT_MEMLOCK", m->size);
	new = heap_alloc(sizeof(*new));
	if (!new)
		return -ENOMEM;
	new->vaddr = m->vaddr;
	new->iova = m->iova;
	new->size = m->size;
	/* before the lock: who makes pages go away takes it, in the middle of a fault perhaps */
	ret = iommu_populate(m->vaddr, m->size, prot);
	if (!ret) {
		pthread_mutex_lock(&o->set->lock);
		ret = map(o, new, prot);
		pthread_mutex_unlock(&o->set->lock);
	}
	if (ret)
		heap_free(new);
	return ret;
}

int v3_unmap(struct v3_opener *o, const struct v3_dma *d)
{
	struct v3_mapping *m, *found = NULL;

	pthread_mutex_lock(&o->set->lock);
	cds_list_for_each_entry(m, &o->maps, node) {
		if (m->vaddr != d->vaddr || m->size / PAGE_SIZE_4K != d->size / PAGE_SIZE_4K)
			continue;
		/* of several the one that is meant; V3 looked at no IOVA */
		if (!found || m->iova == d->iova)
			found = m;
		if (m->iova == d->iova)
			break;
	}
	if (found)
		drop(o, found);
	pthread_mutex_unlock(&o->set->lock);
	return found ? 0 : -ENXIO;
}

uint64_t v3_locked_pages(struct vfio_device *dev)
{
	return atomic_load(&to_v3(dev)->locked_pages);
}

/* ---- memory that goes ---- */

struct going {
	uint64_t addr, last;
	bool (*is_private)(uint64_t addr, uint64_t len); /* or NULL, and the range counts */
	const char *how;
};

static bool concerns(const struct going *g, const struct v3_mapping *m)
{
	if (g->is_private)
		return g->is_private(m->vaddr, m->size);
	return m->vaddr <= g->last && m->vaddr + m->size - 1 >= g->addr;
}

static void drop_all(struct vfio_system *s, const struct going *g)
{
	struct v3_mapping *m, *next;
	struct v3_set *set;
	struct v3_opener *o;

	pthread_mutex_lock(&s->lock);
	set = s->v3;
	pthread_mutex_unlock(&s->lock);
	if (!set)
		return;
	pthread_mutex_lock(&set->lock);
	cds_list_for_each_entry(o, &set->openers, node) {
		cds_list_for_each_entry_safe(m, next, &o->maps, node) {
			if (!concerns(g, m))
				continue;
			report_warn("v3-memory-goes", o->dev->vdev.name, 0,
				    "%s: the mapping of %" PRIu64 " bytes at 0x%" PRIx64
				    " to IOVA 0x%" PRIx64 " is gone",
				    g->how, m->size, m->vaddr, m->iova);
			drop(o, m);
		}
	}
	pthread_mutex_unlock(&set->lock);
}

void v3_memory_goes(struct vfio_system *s, uint64_t addr, uint64_t len, const char *how)
{
	struct going g = { addr, addr + len - 1, NULL, how };

	if (len)
		drop_all(s, &g);
}

void v3_forks(struct vfio_system *s, bool (*is_private)(uint64_t addr, uint64_t len))
{
	struct going g = { 0, 0, is_private, "fork, which shares private memory with the child" };

	drop_all(s, &g);
}

/* ---- openers ---- */

void v3_dma_open(struct v3_opener *o)
{
	CDS_INIT_LIST_HEAD(&o->maps);
	pthread_mutex_lock(&o->set->lock);
	cds_list_add_tail(&o->node, &o->set->openers);
	pthread_mutex_unlock(&o->set->lock);
}

void v3_dma_close(struct v3_opener *o)
{
	struct v3_mapping *m, *next;

	pthread_mutex_lock(&o->set->lock);
	cds_list_for_each_entry_safe(m, next, &o->maps, node)
		drop(o, m);
	cds_list_del(&o->node);
	pthread_mutex_unlock(&o->set->lock);
}

void v3_dma_last(struct v3_device *v)
{
	struct v3_set *set = v->vdev.group ? v->vdev.group->system->v3 : NULL;
	struct v3_domain *d;

	if (!set)
		return;
	pthread_mutex_lock(&set->lock);
	d = v->domain;
	if (d)
		attach(v, NULL);
	pthread_mutex_unlock(&set->lock);
	if (d)
		v3_domain_put(d);
}
