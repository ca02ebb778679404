/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/iommufd.h: /dev/iommu: what one open of it (an iommufd) has. Objects with numbers: I/O
 * address spaces (IOAS), page tables that devices use (HWPT), bound devices, fault queues.
 * Semantics of Linux 7.3's drivers/iommu/iommufd, its errors and the order in which it looks for
 * them included; memory arguments are the library's own, but where it says "the program's".
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
struct vfio_dmabuf;

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

/** vfio_iommufd_rawio - true if the caller may do raw I/O (CAP_SYS_RAWIO) */
bool vfio_iommufd_rawio(struct vfio_iommufd *ictx);

/* ---- IOASes; an @id that is no such object is -ENOENT ---- */

/** vfio_iommufd_ioas_alloc - make an IOAS, with number *@id: 0 or -ENOMEM; then publish or abort */
int vfio_iommufd_ioas_alloc(struct vfio_iommufd *ictx, uint32_t *id);
/** vfio_iommufd_has_ioas - true if there is an IOAS @id */
bool vfio_iommufd_has_ioas(struct vfio_iommufd *ictx, uint32_t id);
/**
 * vfio_iommufd_ioas_ranges - tell what can be mapped
 * @out: gets the ranges, whose ends are inclusive
 * @n: gets how many they are
 * @alignment: gets what IOVAs, lengths and addresses are multiples of
 */
int vfio_iommufd_ioas_ranges(struct vfio_iommufd *ictx, uint32_t id,
			     struct iommu_iova_range out[VFIO_IOAS_RANGES], unsigned *n,
			     uint64_t *alignment);

/* Ranges for a map without FIXED; zeros are none. */
struct vfio_iommufd_allowed {
	struct itree tree;
};
/** vfio_iommufd_allowed_add - add a range: 0; -EINVAL: empty, or over another one; -ENOMEM */
int vfio_iommufd_allowed_add(struct vfio_iommufd_allowed *list, uint64_t start, uint64_t last);
/** vfio_iommufd_allowed_free - forget all ranges */
void vfio_iommufd_allowed_free(struct vfio_iommufd_allowed *list);
/**
 * vfio_iommufd_ioas_allow - IOAS_ALLOW_IOVAS: have @list decide where a map without FIXED goes
 * @list: gets what did so before, to be freed
 *
 * Return: 0; -ENOENT; -EADDRINUSE: some of it cannot be mapped.
 */
int vfio_iommufd_ioas_allow(struct vfio_iommufd *ictx, uint32_t id,
			    struct vfio_iommufd_allowed *list);
/**
 * vfio_iommufd_ioas_map - IOAS_MAP, after the checks of flags and of values of 64 ones
 * @vaddr: the program's memory
 * @prot: IOMMU_READ, IOMMU_WRITE
 * @fixed: at *@iova; else that gets the place that was found
 *
 * Return: 0; -ENOENT; -EOVERFLOW: a range wraps; -EINVAL: @length is 0, something is not aligned,
 * or the range cannot be mapped; -EEXIST; -ENOSPC: there is no place; with a HWPT also -EFAULT:
 * memory is not there, or not with these rights; -ENOMEM: over RLIMIT_MEMLOCK, or no memory.
 */
int vfio_iommufd_ioas_map(struct vfio_iommufd *ictx, uint32_t id, uint64_t vaddr, uint64_t length,
			  unsigned prot, bool fixed, uint64_t *iova);
/**
 * vfio_iommufd_ioas_map_file - IOAS_MAP_FILE: the same with @length bytes of a file
 * @fd: the program's
 * @device: it is one of our files, which have no memory
 *
 * Return: as above; -EBADF; -EMFILE; -EOPNOTSUPP: a dma-buf of the kernel's (-EINVAL: shorter);
 * with a HWPT -EINVAL: the file is not of shmem or hugetlb, or shorter; -EPERM, -EACCES: it cannot
 * be written.
 */
int vfio_iommufd_ioas_map_file(struct vfio_iommufd *ictx, uint32_t id, int fd, bool device,
			       uint64_t start, uint64_t length, unsigned prot, bool fixed,
			       uint64_t *iova);
/**
 * vfio_iommufd_ioas_map_dmabuf - the same with @length bytes of a dma-buf, for DMA from device to
 * device
 * @fd: the program's, of @b
 *
 * Return: as vfio_iommufd_ioas_map(), and as vfio_dmabuf_import().
 */
int vfio_iommufd_ioas_map_dmabuf(struct vfio_iommufd *ictx, uint32_t id, int fd,
				 struct vfio_dmabuf *b, uint64_t start, uint64_t length,
				 unsigned prot, bool fixed, uint64_t *iova);
/**
 * vfio_iommufd_ioas_copy - IOAS_COPY: map what another place has
 * @c: its ids, source, length, and FLAG_FIXED_IOVA
 * @iova: as above
 *
 * Return: as above; -ENOENT also: not all of the source is mapped; -EPERM: more rights than it has.
 */
int vfio_iommufd_ioas_copy(struct vfio_iommufd *ictx, const struct iommu_ioas_copy *c,
			   unsigned prot, uint64_t *iova);
/**
 * vfio_iommufd_ioas_unmap - IOAS_UNMAP: unmap the mappings in a range; 0 and UINT64_MAX: all
 * @unmapped: gets their bytes; with an error, too: those before a mapping that is cut are gone
 *
 * Return: 0; -ENOENT: there is none, or one is cut; -EINVAL: @length is 0; -EOVERFLOW.
 */
int vfio_iommufd_ioas_unmap(struct vfio_iommufd *ictx, uint32_t id, uint64_t iova, uint64_t length,
			    uint64_t *unmapped);
/**
 * vfio_iommufd_option - IOMMU_OPTION
 * @value: is set, or gets what it is
 *
 * Return: 0; -EOPNOTSUPP: there is no such thing; -ENOENT; -EPERM; -EBUSY: there are objects;
 * -EINVAL: the value, or pages are mapped; -EADDRINUSE: mappings are not aligned.
 */
int vfio_iommufd_option(struct vfio_iommufd *ictx, const struct iommu_option *o, uint64_t *value);
/** vfio_iommufd_change_process - 0; -EINVAL: some mapping is not of a file */
int vfio_iommufd_change_process(struct vfio_iommufd *ictx);
/**
 * vfio_iommufd_get_pa - IOAS_NOIOMMU_GET_PA: tell the physical address of what an IOAS has
 * @length: at most so many bytes, not 0; gets how many lie there in one piece
 * @pa: gets the address
 *
 * Return: 0; -ENOENT: nothing is mapped at @iova; -EOPNOTSUPP: it is in no page table, or an IOMMU
 * is there; -ENOMEM.
 */
int vfio_iommufd_get_pa(struct vfio_iommufd *ictx, uint32_t id, uint64_t iova, uint64_t *length,
			uint64_t *pa);

/* ---- HWPTs ---- */

/**
 * vfio_iommufd_hwpt_alloc - HWPT_ALLOC: make a page table, with number *@id; then publish or abort
 *
 * Return: 0; -EOPNOTSUPP: the IOMMU has no such thing; -EINVAL: of this object there is none;
 * -ENOENT: no such device, or fault queue; -EADDRINUSE, -EFAULT, -ENOMEM: what its IOAS has.
 */
int vfio_iommufd_hwpt_alloc(struct vfio_iommufd *ictx, const struct iommu_hwpt_alloc *c,
			    uint32_t *id);

struct vfio_iommufd_hw_info {
	struct iommu_hw_info_vtd vtd;
	uint64_t capabilities;
	uint8_t max_pasid_log2;
};
/**
 * vfio_iommufd_hw_info - tell what the IOMMU of a device is: 0; -ENOENT: no such device;
 * -EOPNOTSUPP: it has none
 */
int vfio_iommufd_hw_info(struct vfio_iommufd *ictx, uint32_t dev_id,
			 struct vfio_iommufd_hw_info *out);
/** vfio_iommufd_has_device - true if there is a device @id */
bool vfio_iommufd_has_device(struct vfio_iommufd *ictx, uint32_t id);
/**
 * vfio_iommufd_set_dirty_tracking - note which pages devices write in HWPT @id; what was noted is
 * forgotten
 *
 * Return: 0; -ENOENT; -EOPNOTSUPP: it was made without; -ENOMEM.
 */
int vfio_iommufd_set_dirty_tracking(struct vfio_iommufd *ictx, uint32_t id, bool on);
/*
 * Take note of pages of 4 KiB that were written, a bit each, from the one at @iova on. 0 or -errno,
 * which ends the call: they are told again by the next one. May come twice with the same. Locks are
 * held.
 */
typedef int vfio_iommufd_dirty_fn(void *arg, uint64_t iova, const uint64_t *bits, unsigned words);
/**
 * vfio_iommufd_get_dirty_bitmap - tell which pages were written
 * @c: the HWPT, a range, the size that a bit is for, and FLAG_NO_CLEAR
 *
 * Return: 0; -ENOENT; -EINVAL, -EOVERFLOW: the range; -EOPNOTSUPP: it was made without; -EINVAL: it
 * is off, or not all of the range is mapped: what is before the hole was told; or @put's answer.
 */
int vfio_iommufd_get_dirty_bitmap(struct vfio_iommufd *ictx,
				  const struct iommu_hwpt_get_dirty_bitmap *c,
				  vfio_iommufd_dirty_fn *put, void *arg);
/** vfio_iommufd_invalidate - -ENOENT: no object @id; -EINVAL: it has no cache of the program's */
int vfio_iommufd_invalidate(struct vfio_iommufd *ictx, uint32_t id);

/* ---- fault queues ---- */

struct vfio_iommufd_fault;
/**
 * vfio_iommufd_fault_alloc - make a fault queue, with number *@id: 0 or -ENOMEM; then publish or
 * abort
 * @out: gets it, open; the iommufd stays until it is released
 */
int vfio_iommufd_fault_alloc(struct vfio_iommufd *ictx, uint32_t *id,
			     struct vfio_iommufd_fault **out);
/** vfio_iommufd_fault_release - its file is closed, and nobody is to be told any more */
void vfio_iommufd_fault_release(struct vfio_iommufd_fault *f);
/**
 * vfio_iommufd_fault_on_ready - have @fn called when there is something to read, and when there is
 * nothing any more; once at once. NULL: nobody. With the queue's lock held, a leaf but for what a
 * device's answer takes
 */
void vfio_iommufd_fault_on_ready(struct vfio_iommufd_fault *f, void (*fn)(void *arg, bool ready),
				 void *arg);
/* Take the @i-th request. 0 or -errno: its group stays in the queue. The queue's lock is held. */
typedef int vfio_iommufd_fault_fn(void *arg, size_t i, const struct iommu_hwpt_pgfault *fault);
/**
 * vfio_iommufd_fault_read - give page requests to @put, in whole groups; those are to be answered
 * @room: how many requests there is room for
 *
 * Return: how many it were, 0: there are none; -EINVAL: the first group has more than @room;
 * -ENOMEM; @put's error with the first group.
 */
long vfio_iommufd_fault_read(struct vfio_iommufd_fault *f, size_t room, vfio_iommufd_fault_fn *put,
			     void *arg);
/** vfio_iommufd_fault_respond - answer page requests: 0; -EINVAL: there are none of this cookie */
int vfio_iommufd_fault_respond(struct vfio_iommufd_fault *f,
			       const struct iommu_hwpt_page_response *r);

/* ---- in the place of a container: -ENODEV: no IOAS is for that ---- */

/** vfio_iommufd_compat_get - tell which IOAS it is: 0; -ENODEV */
int vfio_iommufd_compat_get(struct vfio_iommufd *ictx, uint32_t *id);
/** vfio_iommufd_compat_set - have another one: 0; -ENOENT: it is no IOAS */
int vfio_iommufd_compat_set(struct vfio_iommufd *ictx, uint32_t id);
/** vfio_iommufd_compat_clear - have none */
void vfio_iommufd_compat_clear(struct vfio_iommufd *ictx);
/** vfio_iommufd_compat_create - make one, if there is none: 0 or -ENOMEM */
int vfio_iommufd_compat_create(struct vfio_iommufd *ictx);
/**
 * vfio_iommufd_compat_set_noiommu - have it be for groups without an IOMMU, from now on: 0;
 * -EINVAL: there is one
 */
int vfio_iommufd_compat_set_noiommu(struct vfio_iommufd *ictx);
/** vfio_iommufd_compat_is_noiommu - true if that was done: type1 is not to be had */
bool vfio_iommufd_compat_is_noiommu(struct vfio_iommufd *ictx);
/**
 * vfio_iommufd_compat_set_iommu - 0; -EINVAL: another @type, or mapped pages; -ENODEV; -EPERM: no
 * IOMMU, and no right to that
 */
int vfio_iommufd_compat_set_iommu(struct vfio_iommufd *ictx, unsigned long type);
/** vfio_iommufd_compat_coherent - return what CHECK_EXTENSION says of VFIO_DMA_CC_IOMMU; -ENODEV */
int vfio_iommufd_compat_coherent(struct vfio_iommufd *ictx);
/** vfio_iommufd_compat_map - MAP_DMA, as vfio_iommufd_ioas_map(); no right is one, too */
int vfio_iommufd_compat_map(struct vfio_iommufd *ictx, uint64_t vaddr, uint64_t iova, uint64_t size,
			    unsigned prot);
/**
 * vfio_iommufd_compat_unmap - UNMAP_DMA
 * @all: VFIO_DMA_UNMAP_FLAG_ALL
 * @unmapped: gets the bytes that were unmapped, with an error, too
 * @tell: gets whether the program is told that
 *
 * Return: 0, also if there was nothing; -ENOENT: a mapping is cut, and this is no type1 v1;
 * -EINVAL; -EOVERFLOW; -ENODEV; -ENOMEM.
 */
int vfio_iommufd_compat_unmap(struct vfio_iommufd *ictx, bool all, uint64_t iova, uint64_t size,
			      uint64_t *unmapped, bool *tell);
/** vfio_iommufd_compat_info - tell page sizes and ranges of GET_INFO: 0; -ENODEV */
int vfio_iommufd_compat_info(struct vfio_iommufd *ictx, uint64_t *pgsizes,
			     struct iommu_iova_range out[VFIO_IOAS_RANGES], unsigned *n);

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
 * -EFAULT, -ENOMEM: its memory; -ENODEV: the HWPT has a fault queue, and @dev, or one of its group,
 * raises no page requests; -EBUSY, -ENOSPC: the PASID; -EOPNOTSUPP: @dev has no PASIDs.
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
/** vfio_iommufd_place_id - the same of the device at a place, which may go or not be there */
int vfio_iommufd_place_id(struct vfio_iommufd *ictx, const struct vfio_place *at);
#endif
