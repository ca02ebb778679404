/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * iommu/pasid.c: the domains of a device's PASIDs, a table of two levels. A leaf comes with the
 * first PASID in it that is attached, and stays as long as the device.
 */
#include <errno.h>

#include "base/heap.h"
#include "base/rcu.h"
#include "iommu/device.h"
#include "iommu/internal.h"
#include "iommu/page_request.h"
#include "iommu/pasid.h"

#define LEAF_BITS 9u
#define LEAF_SIZE (1u << LEAF_BITS)

struct leaf {
	struct iommu_domain *domain[LEAF_SIZE]; /* RCU; a reference each */
};

struct iommu_pasids {
	unsigned bits, num_leaves;
	bool exec;
	struct leaf *leaf[]; /* RCU; NULL: none of these was ever attached */
};

int iommu_pasid_add(struct iommu_device *dev, unsigned bits, bool exec)
{
	unsigned n = bits > LEAF_BITS ? 1u << (bits - LEAF_BITS) : 1;
	struct iommu_pasids *p = heap_alloc(sizeof(*p) + n * sizeof(p->leaf[0]));

	if (!p)
		return -ENOMEM;
	p->bits = bits;
	p->exec = exec;
	p->num_leaves = n;
	dev->pasids = p;
	return 0;
}

unsigned iommu_pasid_bits(const struct iommu_device *dev)
{
	return dev->pasids ? dev->pasids->bits : 0;
}

bool iommu_pasid_exec(const struct iommu_device *dev)
{
	return dev->pasids && dev->pasids->exec;
}

void iommu_pasid_free(struct iommu_device *dev)
{
	struct iommu_pasids *p = dev->pasids;

	if (!p)
		return;
	iommu_pasid_detach_all(dev);
	for (unsigned i = 0; i < p->num_leaves; i++)
		heap_free(p->leaf[i]);
	heap_free(p);
	dev->pasids = NULL;
}

/* Have @slot, of @pasid, be @d. */
static void swap(struct iommu_device *dev, uint32_t pasid, struct iommu_domain **slot,
		 struct iommu_domain *d)
{
	struct iommu_domain *old;

	if (d)
		iommu_domain_get(d);
	old = rcu_swap(*slot, d);
	if (!old)
		return;
	rcu_sync_all();
	rcu_visits_wait(&dev->visits);
	iommu_page_requests_end(dev, old, pasid, d && d->faults);
	iommu_domain_put(old);
}

int iommu_pasid_attach(struct iommu_device *dev, uint32_t pasid, struct iommu_domain *d)
{
	struct leaf **at = &dev->pasids->leaf[pasid >> LEAF_BITS], *leaf = *at;

	if (!leaf && !d)
		return 0;
	if (!leaf) {
		leaf = heap_alloc(sizeof(*leaf));
		if (!leaf)
			return -ENOMEM;
		rcu_set(*at, leaf);
	}
	swap(dev, pasid, &leaf->domain[pasid % LEAF_SIZE], d);
	return 0;
}

void iommu_pasid_detach_all(struct iommu_device *dev)
{
	struct iommu_pasids *p = dev->pasids;

	for (unsigned i = 0; p && i < p->num_leaves; i++)
		for (unsigned k = 0; p->leaf[i] && k < LEAF_SIZE; k++)
			swap(dev, i << LEAF_BITS | k, &p->leaf[i]->domain[k], NULL);
}

struct iommu_domain *iommu_pasid_domain(const struct iommu_device *dev, uint32_t pasid)
{
	const struct iommu_pasids *p = dev->pasids;
	struct leaf *leaf;

	if (pasid == IOMMU_NO_PASID)
		return rcu_get(dev->domain);
	if (!p || pasid >> p->bits)
		return NULL;
	leaf = rcu_get(p->leaf[pasid >> LEAF_BITS]);
	return leaf ? rcu_get(leaf->domain[pasid % LEAF_SIZE]) : NULL;
}
