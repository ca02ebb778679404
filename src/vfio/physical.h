/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/physical.h: the physical memory of a machine without an IOMMU: which addresses its devices
 * reach, and what a program is told of them by /proc/self/pagemap and IOMMU_IOAS_NOIOMMU_GET_PA.
 *
 * The addresses are made up. A page of the program has one from the moment that it is asked for,
 * and no other page ever gets the same: so an address that nobody told, or of a page that the
 * program has given back, leads nowhere. A huge page is in one piece. Of others no two are
 * neighbours, since a driver must not count on that.
 *
 * Threads: all functions, from any thread, without locks of this folder; but the first two before
 * there is more than one.
 */
#ifndef VFIO_PHYSICAL_H
#define VFIO_PHYSICAL_H
#include <stdbool.h>
#include <stdint.h>

struct vfio_group;
struct vfio_system;

/** vfio_physical_init - have physical memory, if there is none yet: 0 or -ENOMEM */
int vfio_physical_init(struct vfio_system *s);
/**
 * vfio_physical_join - say that no IOMMU is before the devices of @g: they reach physical memory,
 * which there is
 * @g: new, of no container
 */
void vfio_physical_join(struct vfio_group *g);

/**
 * vfio_physical_of - return the physical address of the byte at @vaddr
 * @vaddr: in a page of the program that is there
 *
 * Return: it; 0: no memory, or it is a device's, or there are no devices without an IOMMU.
 */
uint64_t vfio_physical_of(struct vfio_system *s, uint64_t vaddr);
#endif
