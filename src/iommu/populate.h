/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * iommu/populate.h: what stands for pinning: the kernel faults the pages in, as it does when it
 * pins them.
 */
#ifndef IOMMU_POPULATE_H
#define IOMMU_POPULATE_H
#include <stdint.h>

/**
 * iommu_populate - make the pages of [@vaddr, @vaddr + @size) be there
 * @vaddr: the program's address, of a whole page
 * @size: bytes, whole pages
 * @prot: IOMMU_READ, IOMMU_WRITE: the rights that the pages must have
 *
 * Any thread; takes no lock, reads and writes no byte that could change.
 *
 * Return: 0; -EFAULT: they are not there, or not with these rights; -ENOMEM.
 */
int iommu_populate(uint64_t vaddr, uint64_t size, unsigned prot);
/**
 * iommu_check_mapped - is there memory in all of [@vaddr, @vaddr + @size), with whatever rights?
 *
 * Its pages need not be there, and none comes by this.
 *
 * Return: 0; -EFAULT: there is a hole.
 */
int iommu_check_mapped(uint64_t vaddr, uint64_t size);
#endif
