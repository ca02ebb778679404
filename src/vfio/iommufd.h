/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/iommufd.h: /dev/iommu: what one open of it (an iommufd) has. Objects with numbers: I/O
 * address spaces (IOAS), page tables that devices use (HWPT), bound devices, fault queues. Semantics
 * of Linux 7.3's drivers/iommu/iommufd, its errors and the order in which it looks for them
 * included; memory arguments are the library's own, but where it says "the program's".
 *
 * An IOAS is a list of areas: IOVA -> memory, with no page table. Nobody looks at the memory, and
 * anything may be mapped. A HWPT is a page table of an IOAS for devices: with the first one the
 * memory is pinned and counted, and what cannot be is an error then. Each HWPT is an address space
 * of its own (vfio/ioas.h), in which all areas are mapped.
 *
 * Threads: all functions, from any thread. Locks: one for each iommufd; it comes after
 * vfio_group.lock and before those of address spaces.
 */
#ifndef VFIO_IOMMUFD_H
#define VFIO_IOMMUFD_H
#include <stdbool.h>
#include <stdint.h>

#include "vfio/iommufd_defs.h"
#include "vfio/open.h"

struct vfio_iommufd;

/* ---- the file ---- */

/** vfio_iommufd_new - return an iommufd without objects and one reference, or NULL: no memory */
struct vfio_iommufd *vfio_iommufd_new(struct vfio_system *s);
/** vfio_iommufd_get - take one more reference */
void vfio_iommufd_get(struct vfio_iommufd *ictx);
/**
 * vfio_iommufd_put - give a reference back
 *
 * Its file has one, and each bound device and each open fault queue; the last takes all objects
 * along.
 */
void vfio_iommufd_put(struct vfio_iommufd *ictx);

/* ---- objects ---- */

/**
 * vfio_iommufd_publish - have object @id, which was made by an alloc function, be found by others
 *
 * An alloc function reserves the number; the caller tells it to the program, and then publishes the
 * object, or takes it back, so that nobody else can use it before.
 */
void vfio_iommufd_publish(struct vfio_iommufd *ictx, uint32_t id);
/** vfio_iommufd_abort - take back object @id, which was not published */
void vfio_iommufd_abort(struct vfio_iommufd *ictx, uint32_t id);
/** vfio_iommufd_destroy - IOMMU_DESTROY: 0; -ENOENT; -EBUSY: something needs it */
int vfio_iommufd_destroy(struct vfio_iommufd *ictx, uint32_t id);

/** vfio_iommufd_ioas_alloc - make an IOAS, with number *@id: 0 or -ENOMEM; then publish or abort */
int vfio_iommufd_ioas_alloc(struct vfio_iommufd *ictx, uint32_t *id);

/* ---- devices: for those who open them (open.c, group.c) ---- */

/**
 * vfio_iommufd_bind - make @dev an object of @ictx
 * @dev: its group is held by the caller; not open yet
 * @id: gets its number
 *
 * Return: 0; -EINVAL: it is bound; -EPERM: another iommufd has a device of its group; -ENOMEM.
 */
int vfio_iommufd_bind(struct vfio_iommufd *ictx, struct vfio_device *dev, uint32_t *id);
/** vfio_iommufd_unbind - detach @dev, and take its object away; it need not be bound */
void vfio_iommufd_unbind(struct vfio_device *dev);
/**
 * vfio_iommufd_attach - have @dev use a page table (VFIO_DEVICE_ATTACH_IOMMUFD_PT)
 * @pt_id: an IOAS, which has or gets a HWPT for this, or a HWPT; gets the HWPT
 * @pasid: of which DMA, or NULL: of all that has none
 *
 * If it is attached already, the other one replaces the old one; an error changes nothing.
 *
 * Return: 0; -EINVAL: not bound, or no such kind of object, or the HWPT cannot be used for this;
 * -ENOENT: no such object; -EADDRINUSE: the IOAS has something where @dev has something reserved;
 * -EFAULT, -ENOMEM: its memory; -ENODEV: @dev raises no page faults; -EBUSY, -ENOSPC: the PASID.
 */
int vfio_iommufd_attach(struct vfio_device *dev, uint32_t *pt_id, const uint32_t *pasid);
/**
 * vfio_iommufd_detach - the opposite (VFIO_DEVICE_DETACH_IOMMUFD_PT): 0, also if there is nothing
 * to do; -EINVAL: not bound
 */
int vfio_iommufd_detach(struct vfio_device *dev, const uint32_t *pasid);
/** vfio_iommufd_of - return the iommufd to which @dev is bound, or NULL; while that stays so */
struct vfio_iommufd *vfio_iommufd_of(const struct vfio_device *dev);
/**
 * vfio_iommufd_dev_id - return the number of @dev in @ictx; -ENOENT: it has none there, but another
 * device of its group has; -ENODEV: the group is not @ictx's
 */
int vfio_iommufd_dev_id(struct vfio_iommufd *ictx, struct vfio_device *dev);
#endif
