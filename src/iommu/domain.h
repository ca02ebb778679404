/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * iommu/domain.h: a domain is an I/O page table: IOVA -> memory with rights. A radix tree with
 * leaves of 4 KiB, 2 MiB and 1 GiB (by the alignment of IOVA and size; memory needs page alignment
 * only). Readers take no lock (RCU); writers serialise on the domain's mutex. IOVA width 48 bits
 * (57 is not offered).
 * Lock order: vfio's locks > domain.lock. Nothing is called with domain.lock held.
 */
#ifndef IOMMU_DOMAIN_H
#define IOMMU_DOMAIN_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IOMMU_READ	1u
#define IOMMU_WRITE	2u
#define IOMMU_IOVA_BITS 48u
/* x86: a write there is an interrupt message, not memory (Intel SDM 3A, 10.11.1); never mappable */
#define IOMMU_MSI_START 0xfee00000ull
#define IOMMU_MSI_END	0xfeefffffull

struct iommu_domain;
struct iommu_domain *iommu_domain_new(void); /* NULL: no memory */
void iommu_domain_get(struct iommu_domain *d);
void iommu_domain_put(struct iommu_domain *d);

/*
 * All-or-nothing. -EINVAL: alignment (4 KiB), size 0, wrap, beyond the width, in the MSI range, no
 * right, @mem NULL. -EEXIST: overlap. -ENOMEM.
 */
int iommu_domain_map(struct iommu_domain *d, uint64_t iova, void *mem, uint64_t size,
		     unsigned prot);
/*
 * Unmap everything mapped in [iova, iova+size), splitting leaves at the ends if needed. Never fails
 * for lack of memory when the range covers whole mappings; when a split finds none, nothing is
 * unmapped (0, and a line in the log). When it returns no device uses the memory. Returns the bytes
 * unmapped.
 */
uint64_t iommu_domain_unmap(struct iommu_domain *d, uint64_t iova, uint64_t size);
/*
 * The pages that are mapped at [iova, iova+size) are now found at @mem (moved aside because the
 * program unmapped its own view of them): rights stay. -ENOMEM, -ENOENT (a hole). Old memory is
 * unused when it returns.
 */
int iommu_domain_remap(struct iommu_domain *d, uint64_t iova, void *mem, uint64_t size);
uint64_t iommu_domain_mapped_bytes(const struct iommu_domain *d);

enum iommu_fault_reason {
	IOMMU_OK,
	IOMMU_NOT_MAPPED,
	IOMMU_NO_RIGHT,
	IOMMU_NO_DOMAIN,
	IOMMU_BAD_MEMORY /* the program unmapped it by a way that uvfio cannot see */,
	IOMMU_BLOCKED /* bus mastering off, D3 */
};
/*
 * Within rcu_read_begin/end: the memory at @iova, and in *@contig how many bytes from there lie in
 * this leaf. NULL: *@why.
 */
void *iommu_domain_translate(const struct iommu_domain *d, uint64_t iova, unsigned prot,
			     uint64_t *contig, enum iommu_fault_reason *why);
#endif
