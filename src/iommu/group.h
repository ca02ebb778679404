/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * iommu/group.h: an IOMMU group: the functions that the IOMMU cannot tell apart, which therefore
 * have the same domain. Built by machine/ before anything runs; later only a VF comes or goes, when
 * its group is not open.
 *
 * Threads: any. Lock order: iommu_group.lock > iommu_domain's.
 */
#ifndef IOMMU_GROUP_H
#define IOMMU_GROUP_H
#include <pthread.h>
#include <urcu/list.h>

#include "iommu/device.h"

struct iommu_group {
	unsigned id;
	pthread_mutex_t lock; /* guards devs, domain */
	struct iommu_device **devs;
	unsigned n;
	struct iommu_domain *domain; /* what all members are attached to, or NULL */
	/* in a list of the one that attached it, and under its lock */
	struct cds_list_head attached;
};

/** iommu_group_new - return a group without members, or NULL: no memory */
struct iommu_group *iommu_group_new(unsigned id);
/** iommu_group_free - detach its members and let go of them (@g may be NULL) */
void iommu_group_free(struct iommu_group *g);
/**
 * iommu_group_add - take @dev in, which gets the domain that the others have
 *
 * Return: 0; -EBUSY: it is in a group; -ENOMEM.
 */
int iommu_group_add(struct iommu_group *g, struct iommu_device *dev);
/** iommu_group_remove - detach @dev and let go of it */
void iommu_group_remove(struct iommu_group *g, struct iommu_device *dev);
/** iommu_group_pasid_bits - return the least width of those that have PASIDs; 0: none has */
unsigned iommu_group_pasid_bits(struct iommu_group *g);
/**
 * iommu_group_attach_pasid - have all members with PASIDs use @d for @pasid (NULL: nothing)
 *
 * To replace another one, or by nothing, needs no memory.
 *
 * Return: 0 or -ENOMEM: then nothing changed.
 */
int iommu_group_attach_pasid(struct iommu_group *g, uint32_t pasid, struct iommu_domain *d);
/** iommu_group_has_pri - true if all members raise page requests */
bool iommu_group_has_pri(struct iommu_group *g);
/**
 * iommu_group_attach - have all members use @d instead of what they have (NULL: nothing)
 *
 * Waits for devices: when it returns none uses the old domain.
 */
void iommu_group_attach(struct iommu_group *g, struct iommu_domain *d);
#endif
