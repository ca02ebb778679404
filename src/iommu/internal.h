/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * iommu/internal.h: a domain from the inside, for domain.c and for device.c, whose writes look for
 * dirty tracking without a call.
 */
#ifndef IOMMU_INTERNAL_H
#define IOMMU_INTERNAL_H
#include <pthread.h>
#include <stdatomic.h>

#include "base/pool.h"
#include "base/util.h"
#include "iommu/dirty.h"
#include "iommu/domain.h"

#define IOMMU_ENTRIES 512u

struct table {
	_Atomic uint64_t entry[IOMMU_ENTRIES];
	struct table *next; /* of those to be freed */
	unsigned used;	    /* entries that are not 0; the writers' */
};

struct iommu_domain {
	struct table root;
	struct iommu_dirty *dirty; /* RCU; NULL: nobody asks for it. Changed under lock. */
	/* where page requests go; NULL: nowhere. Set before a device uses it. */
	struct iommu_fault_queue *faults;
	char apart[64]; /* what writers change is on other cache lines */
	struct ref ref;
	bool whole;	      /* set when it is made */
	pthread_mutex_t lock; /* writers */
	struct pool tables;   /* but for the root */
};
#endif
