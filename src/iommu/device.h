/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * iommu/device.h: a requester: what a PCI function is to the IOMMU. Its DMA goes through the domain
 * it is attached to; what the IOMMU aborts is counted, logged with the device, IOVA, size and
 * direction, and reported to the caller.
 */
#ifndef IOMMU_DEVICE_H
#define IOMMU_DEVICE_H
#include <pthread.h>
#include <stdatomic.h>
#include <sys/uio.h>

#include "base/log.h"
#include "iommu/domain.h"

struct iommu_group;
struct iommu_fault {
	uint64_t iova; /* the first address that failed */
	size_t len;    /* of the whole transaction */
	bool write;
	enum iommu_fault_reason reason;
};

struct iommu_device {
	const char *name;	     /* "0000:01:00.0", not owned */
	struct iommu_domain *domain; /* RCU; a reference is held. NULL: every access aborts */
	/* the function may not master the bus (COMMAND.MASTER, D-state): kept by pci/ */
	atomic_bool blocked;
	atomic_ullong faults;
	struct log_limit limit;
	struct iommu_group *group;
};

void iommu_device_init(struct iommu_device *dev, const char *name);
void iommu_device_fini(struct iommu_device *dev);
/* Take a reference on @d (NULL: detach), wait until nobody uses the old one, put it. */
void iommu_device_attach(struct iommu_device *dev, struct iommu_domain *d);
/* 0 or -EFAULT (counted, logged). Guarded copies. */
int iommu_dma_read(struct iommu_device *dev, uint64_t iova, void *buf, size_t len);
int iommu_dma_write(struct iommu_device *dev, uint64_t iova, const void *buf, size_t len);
/* Within rcu_read_begin/end. Pieces (merged), -EFAULT (counted, logged), -E2BIG. */
int iommu_dma_sg(struct iommu_device *dev, uint64_t iova, size_t len, bool write, struct iovec *iov,
		 int max);
/* Report a fault found outside (sg memory that was not there). */
void iommu_device_fault(struct iommu_device *dev, const struct iommu_fault *f);
const char *iommu_fault_reason_text(enum iommu_fault_reason r);
#endif
