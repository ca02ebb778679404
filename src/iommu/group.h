/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * iommu/group.h: an IOMMU group: the functions that the IOMMU cannot tell apart. Attach is by
 * group. Built by machine/ before anything runs; later only a VF comes or goes, when its group is
 * not open.
 */
#ifndef IOMMU_GROUP_H
#define IOMMU_GROUP_H
#include <pthread.h>
#include <urcu/list.h>

#include "iommu/device.h"

struct iommu_group {
	unsigned id;
	pthread_mutex_t lock; /* guards devs, domain; above iommu_domain.lock */
	struct iommu_device **devs;
	unsigned n;
	struct iommu_domain *domain; /* what all members are attached to, or NULL */
	/* in a list of the one that attached it, and under its lock */
	struct cds_list_head attached;
};
struct iommu_group *iommu_group_new(unsigned id);
void iommu_group_free(struct iommu_group *g);
int iommu_group_add(struct iommu_group *g, struct iommu_device *dev);
void iommu_group_remove(struct iommu_group *g, struct iommu_device *dev);
void iommu_group_attach(struct iommu_group *g, struct iommu_domain *d); /* NULL: detach */
#endif
