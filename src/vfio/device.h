/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/device.h: the waist. A front (uapi/, api/, vfio_user server) calls a struct vfio_device; a
 * provider (vfio_pci/, vfio_user client, host/) implements it. Nothing here knows which. Memory
 * arguments are the library's own (fronts copy to and from the client, guarded).
 * Lock order: vfio_group.lock > vfio_device.lock > provider's locks > vfio_device.mappers_lock.
 */
#ifndef VFIO_DEVICE_H
#define VFIO_DEVICE_H
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <urcu/list.h>

#include "base/pci_address.h"
#include "iommu/group.h"
#include "vfio/uapi_defs.h"

struct vfio_device;
struct vfio_ioas;

enum vfio_area_kind {
	/* each load or store in a mapping of it comes to ops->mmio */
	VFIO_AREA_TRAPPED,
	/*
	 * the memory of @fd while the device has its polled areas open, and trapped else; mappers
	 * are told when (vfio_device_set_polled)
	 */
	VFIO_AREA_POLLED,
	/* always the memory of @fd; ops->mmio serves what comes before it is mapped */
	VFIO_AREA_DIRECT,
};
/* Whole pages of a region that can be mapped. */
struct vfio_region_area {
	uint64_t offset, size;
	enum vfio_area_kind kind;
	int fd; /* the provider's: what is at @offset is there at @fd_offset; trapped: unused */
	uint64_t fd_offset;
};
/*
 * What VFIO_DEVICE_GET_REGION_INFO tells. flags are VFIO_REGION_INFO_FLAG_READ/WRITE/MMAP; absent:
 * size 0, flags 0.
 */
struct vfio_region {
	uint32_t flags;
	uint64_t size;
	bool msix_mappable;
	/*
	 * With FLAG_MMAP: what of it can be mapped, by offset, none over another; 0: all of it, and
	 * all is trapped. The provider's; they live as long as the device.
	 */
	const struct vfio_region_area *areas;
	unsigned num_areas;
};
struct vfio_irq {
	uint32_t flags, count;
};
/*
 * One VFIO_DEVICE_SET_IRQS, validated by vfio_device_set_irqs() as vfio.h demands: flags, index,
 * start, count in range.
 */
struct vfio_irq_set_args {
	uint32_t flags, index, start, count;
	/* count bytes (BOOL), count int32_t (EVENTFD: the caller's descriptors), or NULL */
	const void *data;
};

struct vfio_device_ops {
	/* First open: reset the device, build the virtual state. 0 or -errno. */
	int (*open)(struct vfio_device *dev);
	/* Last close: quiesce, drop interrupts, restore state. */
	void (*close)(struct vfio_device *dev);
	/*
	 * The device, which is open, is in address space @io from now on; it is in no other. For a
	 * provider whose DMA does not come through struct iommu_device: it listens to @io
	 * (vfio/ioas.h). 0 or -errno. Then the opposite, when @io may still have mappings, and the
	 * device may be closed. Both NULL: there is nothing to do.
	 */
	int (*attach)(struct vfio_device *dev, struct vfio_ioas *io);
	void (*detach)(struct vfio_device *dev, struct vfio_ioas *io);
	/* -EINVAL: no such index */
	int (*region)(struct vfio_device *dev, uint32_t index, struct vfio_region *out);
	/* -EINVAL: no such index */
	int (*irq)(struct vfio_device *dev, uint32_t index, struct vfio_irq *out);
	/*
	 * Region access as the kernel's read/write: bytes done (may be short at a BAR's end), or
	 * -errno.
	 */
	ssize_t (*rw)(struct vfio_device *dev, uint32_t index, uint64_t pos, void *buf,
		      size_t count, bool write);
	/*
	 * A load or store of @size (1..8) bytes that the program made at @pos of a mapped region:
	 * what a memory cycle does, without the protection that rw has (the MSI-X table is the real
	 * one). 0; -EIO: nobody answers (decoding off, D3), the access is a bus error. NULL: no
	 * region has VFIO_REGION_INFO_FLAG_MMAP.
	 */
	int (*mmio)(struct vfio_device *dev, uint32_t index, uint64_t pos, unsigned size,
		    uint64_t *value, bool write);
	/* Are the polled areas open? Takes no lock. NULL: there are none. */
	bool (*polled_open)(struct vfio_device *dev);
	/* @a is validated. 0, positive (fewer vectors available), -errno. */
	int (*set_irqs)(struct vfio_device *dev, const struct vfio_irq_set_args *a);
	int (*reset)(struct vfio_device *dev);
	/*
	 * The slot is reset: this device's part of it, open or not (vfio_device.lock is held). What
	 * the client set up stays, as with reset. 0 or -errno. NULL: there is no such reset.
	 */
	int (*slot_reset)(struct vfio_device *dev);
	/*
	 * GROUP_GET_DEVICE_FD found the device: may it be opened with this VF token (16 bytes as in
	 * the text; NULL: none given)? 0, -EACCES, -EINVAL. NULL: without one.
	 */
	int (*check_token)(struct vfio_device *dev, const uint8_t *uuid);
	/*
	 * VFIO_DEVICE_FEATURE_PCI_VF_TOKEN: the user of a PF sets the token that users of its VFs
	 * must show. 0 or -errno. NULL: it is no PF.
	 */
	int (*set_vf_token)(struct vfio_device *dev, const uint8_t uuid[16]);
	/* VFIO_DEVICE_IOEVENTFD; @fd -1 removes. NULL: -ENOTTY. */
	int (*ioeventfd)(struct vfio_device *dev, uint32_t flags, uint64_t offset, uint64_t data,
			 int fd);
};

struct vfio_device {
	const struct vfio_device_ops *ops;
	const char *name; /* "0000:01:00.0" */
	struct iommu_device *iommu;
	struct vfio_group *group; /* set by vfio_group_add_device */
	uint32_t flags;		  /* VFIO_DEVICE_FLAGS_*, RESET valid after open */
	uint32_t num_regions, num_irqs;
	struct pci_address address;
	/* of a VF whose PF has the same driver: they share its slot; else NULL */
	struct vfio_device *pf;
	pthread_mutex_t lock; /* guards open_count and orders open/close */
	unsigned open_count;
	unsigned attached; /* openers that have it in an address space; under its group's lock */
	/* guards the list; after all locks of a provider's, and before those that a mapper takes */
	pthread_mutex_t mappers_lock;
	struct cds_list_head mappers; /* openers that mapped a region: struct vfio_open */
};

void vfio_device_init(struct vfio_device *dev, const struct vfio_device_ops *ops, const char *name,
		      struct iommu_device *iommu);
void vfio_device_fini(struct vfio_device *dev);
/* Counted opens: ops->open at the first, ops->close at the last. */
int vfio_device_open(struct vfio_device *dev);
void vfio_device_close(struct vfio_device *dev);
/*
 * May @dev be opened by a user who shows @uuid, 16 bytes as in the token's text (NULL: none)? 0;
 * -EACCES: it is a wrong one, or one must be shown; -EINVAL: none is asked for.
 */
int vfio_device_check_token(struct vfio_device *dev, const uint8_t *uuid);
/*
 * For the provider: its polled areas are open from now on, or closed. When it returns, that is true
 * of all mappings. Returns how many there are. Any thread, with any of the provider's locks.
 */
unsigned vfio_device_set_polled(struct vfio_device *dev, bool open);
#endif
