/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * iommu/pasid.h: PASIDs (PCIe 6.0, 6.20): a device that has them says with an access whose it is,
 * and each PASID has a domain of its own, beside that of accesses without.
 *
 * Threads: finding takes no lock (RCU); callers that change one device's exclude each other.
 */
#ifndef IOMMU_PASID_H
#define IOMMU_PASID_H
#include <stdbool.h>
#include <stdint.h>

#define IOMMU_NO_PASID	     0u /* as Linux has it: PASID 0 is none */
#define IOMMU_PASID_BITS_MAX 20u

struct iommu_device;
struct iommu_domain;

/**
 * iommu_pasid_add - have @dev be one with PASIDs below 1 << @bits; before it is used
 * @exec: it may ask to execute what it reads
 *
 * Return: 0 or -ENOMEM.
 */
int iommu_pasid_add(struct iommu_device *dev, unsigned bits, bool exec);
/** iommu_pasid_exec - true if @dev may ask to execute what it reads */
bool iommu_pasid_exec(const struct iommu_device *dev);
/** iommu_pasid_bits - return the width of @dev's PASIDs; 0: it has none */
unsigned iommu_pasid_bits(const struct iommu_device *dev);
/** iommu_pasid_free - undo iommu_pasid_add(), if that was done; detaches all */
void iommu_pasid_free(struct iommu_device *dev);
/**
 * iommu_pasid_attach - have @dev use @d for accesses with @pasid, which it has (NULL: nothing)
 *
 * As iommu_device_attach(). What replaces another one, or nothing, needs no memory.
 *
 * Return: 0 or -ENOMEM.
 */
int iommu_pasid_attach(struct iommu_device *dev, uint32_t pasid, struct iommu_domain *d);
/** iommu_pasid_detach_all - have @dev use nothing for any PASID */
void iommu_pasid_detach_all(struct iommu_device *dev);
/**
 * iommu_pasid_domain - return what @dev uses for @pasid, IOMMU_NO_PASID too, or NULL
 *
 * Between rcu_read_begin and rcu_read_end.
 */
struct iommu_domain *iommu_pasid_domain(const struct iommu_device *dev, uint32_t pasid);
#endif
