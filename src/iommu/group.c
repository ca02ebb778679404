/* SPDX-License-Identifier: BSD-3-Clause */
/* iommu/group.c: the functions of a group, which move between domains together. */
#include <errno.h>
#include <stdlib.h>

#include "base/heap.h"
#include "iommu/group.h"
#include "iommu/pasid.h"

struct iommu_group *iommu_group_new(unsigned id)
{
	struct iommu_group *g = heap_alloc(sizeof(*g));

	if (!g)
		return NULL;
	g->id = id;
	pthread_mutex_init(&g->lock, NULL);
	return g;
}

void iommu_group_free(struct iommu_group *g)
{
	if (!g)
		return;
	iommu_group_attach(g, NULL);
	for (unsigned i = 0; i < g->n; i++)
		g->devs[i]->group = NULL;
	heap_free(g->devs);
	pthread_mutex_destroy(&g->lock);
	heap_free(g);
}

int iommu_group_add(struct iommu_group *g, struct iommu_device *dev)
{
	struct iommu_device **devs;
	int rc = 0;

	if (dev->group)
		return -EBUSY;
	pthread_mutex_lock(&g->lock);
	devs = heap_resize(g->devs, (g->n + 1) * sizeof(*devs));
	if (!devs) {
		rc = -ENOMEM;
		goto out;
	}
	g->devs = devs;
	devs[g->n++] = dev;
	dev->group = g;
	if (g->domain)
		iommu_device_attach(dev, g->domain);
out:
	pthread_mutex_unlock(&g->lock);
	return rc;
}

void iommu_group_remove(struct iommu_group *g, struct iommu_device *dev)
{
	pthread_mutex_lock(&g->lock);
	for (unsigned i = 0; i < g->n; i++) {
		if (g->devs[i] != dev)
			continue;
		g->devs[i] = g->devs[--g->n];
		dev->group = NULL;
		iommu_device_attach(dev, NULL);
		iommu_pasid_detach_all(dev);
		break;
	}
	pthread_mutex_unlock(&g->lock);
}

unsigned iommu_group_pasid_bits(struct iommu_group *g)
{
	unsigned least = 0, bits;

	pthread_mutex_lock(&g->lock);
	for (unsigned i = 0; i < g->n; i++) {
		bits = iommu_pasid_bits(g->devs[i]);
		if (bits && (!least || bits < least))
			least = bits;
	}
	pthread_mutex_unlock(&g->lock);
	return least;
}

int iommu_group_attach_pasid(struct iommu_group *g, uint32_t pasid, struct iommu_domain *d)
{
	int rc = 0;

	pthread_mutex_lock(&g->lock);
	for (unsigned i = 0; i < g->n && !rc; i++) {
		if (!iommu_pasid_bits(g->devs[i]))
			continue;
		rc = iommu_pasid_attach(g->devs[i], pasid, d);
		/* without memory for it there was nothing before either */
		for (unsigned k = 0; rc && k < i; k++)
			if (iommu_pasid_bits(g->devs[k]))
				iommu_pasid_attach(g->devs[k], pasid, NULL);
	}
	pthread_mutex_unlock(&g->lock);
	return rc;
}

bool iommu_group_has_pri(struct iommu_group *g)
{
	bool has = true;

	pthread_mutex_lock(&g->lock);
	for (unsigned i = 0; i < g->n; i++)
		has = has && g->devs[i]->pri;
	pthread_mutex_unlock(&g->lock);
	return has;
}

void iommu_group_attach(struct iommu_group *g, struct iommu_domain *d)
{
	struct iommu_domain *old;

	if (d)
		iommu_domain_get(d);
	pthread_mutex_lock(&g->lock);
	old = g->domain;
	g->domain = d;
	for (unsigned i = 0; i < g->n; i++)
		iommu_device_attach(g->devs[i], d);
	pthread_mutex_unlock(&g->lock);
	iommu_domain_put(old);
}
