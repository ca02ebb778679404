/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pci/dma.c: a model's DMA: the function is a requester of the IOMMU, and what the driver's
 * COMMAND.MASTER allows is in iommu.blocked (config.c).
 */
#include "pci/internal.h"

int uvfio_dma_read(struct uvfio_dev *dev, uint64_t iova, void *buf, size_t len)
{
	return iommu_dma_read(&dev->iommu, iova, buf, len);
}

int uvfio_dma_write(struct uvfio_dev *dev, uint64_t iova, const void *buf, size_t len)
{
	return iommu_dma_write(&dev->iommu, iova, buf, len);
}

void uvfio_dma_begin(struct uvfio_dev *dev)
{
	rcu_read_begin();
}

void uvfio_dma_end(struct uvfio_dev *dev)
{
	rcu_read_end();
}

int uvfio_dma_sg(struct uvfio_dev *dev, uint64_t iova, size_t len, bool write, struct iovec *iov,
		 int max)
{
	return iommu_dma_sg(&dev->iommu, iova, len, write, iov, max);
}

bool uvfio_dma_allowed(const struct uvfio_dev *dev)
{
	return !atomic_load_explicit(&dev->iommu.blocked, memory_order_relaxed);
}
