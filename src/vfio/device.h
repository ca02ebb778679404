/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/device.h: the waist, as a provider sees it. A provider (vfio_pci/) makes a struct
 * vfio_device and implements its ops; a front (uapi/, api/) calls it through vfio/open.h. Neither
 * knows the other. Memory arguments are the library's own.
 * Lock order: vfio_group.lock > vfio_device.lock > the provider's locks > vfio_device.mappers_lock.
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
struct vfio_iommufd_device;
struct vfio_migrate;
struct vfio_place;

enum vfio_area_kind {
	/* each load or store in a mapping of it is a call of ops->mmio */
	VFIO_AREA_TRAPPED,
	/*
	 * memory of @fd while the device has its polled areas open, trapped at other times; mappers
	 * are told when (vfio_device_set_areas)
	 */
	VFIO_AREA_POLLED,
	/*
	 * memory of @fd: always, or with ops->area_open while the device answers, and mappers are
	 * told as of polled ones; ops->mmio serves accesses that come when it is not
	 */
	VFIO_AREA_DIRECT,
};
/* Whole pages of a region that can be mapped. */
struct vfio_region_area {
	uint64_t offset, size;
	enum vfio_area_kind kind;
	/* the provider's; the byte at @offset is its byte at @fd_offset. Unused if trapped. */
	int fd;
	uint64_t fd_offset;
	/* POLLED, DIRECT: another process may have it mapped, and is not told when it is open */
	bool shared;
};
/*
 * A region, as VFIO_DEVICE_GET_REGION_INFO describes it. flags are VFIO_REGION_INFO_FLAG_READ,
 * WRITE, MMAP; absent: size 0, flags 0.
 */
struct vfio_region {
	uint32_t flags;
	uint64_t size;
	bool msix_mappable;
	uint32_t type, subtype; /* of a region behind those of every PCI device; 0: it is none */
	/*
	 * With FLAG_MMAP: the parts that can be mapped, by offset, none over another; 0: all of the
	 * region, and all is trapped. The provider's; they live as long as the device.
	 */
	const struct vfio_region_area *areas;
	unsigned num_areas;
};
struct vfio_irq {
	uint32_t flags, count;
};
/*
 * One VFIO_DEVICE_SET_IRQS. For a provider, vfio_device_set_irqs() has checked it as vfio.h
 * demands: flags, index, start and count are in range.
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
	 * The device, which is open, is in address space @io from now on; it is in no other. A
	 * provider whose DMA does not come through struct iommu_device listens to @io
	 * (vfio/ioas.h). Return 0 or -errno. detach is the opposite; @io may still have mappings
	 * then, and the device may be closed already. Both NULL: there is nothing to do.
	 */
	int (*attach)(struct vfio_device *dev, struct vfio_ioas *io);
	void (*detach)(struct vfio_device *dev, struct vfio_ioas *io);
	/* -EINVAL: no such index */
	int (*region)(struct vfio_device *dev, uint32_t index, struct vfio_region *out);
	/* -EINVAL: no such index */
	int (*irq)(struct vfio_device *dev, uint32_t index, struct vfio_irq *out);
	/*
	 * Access a region as the kernel's read and write do. Return bytes done (may be short at a
	 * BAR's end) or -errno.
	 */
	ssize_t (*rw)(struct vfio_device *dev, uint32_t index, uint64_t pos, void *buf,
		      size_t count, bool write);
	/*
	 * Make a load or store of @size (1..8) bytes that the program made at @pos of a mapped
	 * region: a memory cycle, without the protection that rw has (the MSI-X table is the real
	 * one). Return 0; -EIO: nobody answers (decoding off, D3), the access is a bus error. NULL:
	 * no region has VFIO_REGION_INFO_FLAG_MMAP.
	 */
	int (*mmio)(struct vfio_device *dev, uint32_t index, uint64_t pos, unsigned size,
		    uint64_t *value, bool write);
	/*
	 * True if the areas of this kind, polled or direct, are open. Takes no lock. NULL: direct
	 * ones are always, and there are no polled ones.
	 */
	bool (*area_open)(struct vfio_device *dev, enum vfio_area_kind kind);
	/* Set up interrupts. Return 0; positive: so many vectors can be had; or -errno. */
	int (*set_irqs)(struct vfio_device *dev, const struct vfio_irq_set_args *a);
	int (*reset)(struct vfio_device *dev);
	/*
	 * Reset it as the host does by itself, open or not (vfio_device.lock is held). The client's
	 * set-up stays, as with reset. 0; -ENOTTY: by no method, or it does not answer.
	 */
	int (*host_reset)(struct vfio_device *dev);
	/*
	 * Do this device's part of a reset of the slot, open or not (vfio_device.lock is held). The
	 * client's set-up stays, as with reset. Return 0 or -errno. NULL: there is no such reset.
	 */
	int (*slot_reset)(struct vfio_device *dev);
	/*
	 * Instead of the latter, where somebody else knows what is reset together, and resets it at
	 * once: list the first @max of it, the device among it, by address, and return how many
	 * there are; -ENODEV: there is no such reset; or -errno. And do it. A place that is not in
	 * the device's system has no group, but the number that its group has there. NULL, both:
	 * the waist knows (vfio_slot_places()).
	 */
	int (*slot)(struct vfio_device *dev, struct vfio_place *out, unsigned max);
	int (*hot_reset)(struct vfio_device *dev);
	/*
	 * May the device be opened by a user who shows this VF token (16 bytes as in the text;
	 * NULL: none)? Return 0, -EACCES, -EINVAL. NULL: without one.
	 */
	int (*check_token)(struct vfio_device *dev, const uint8_t *uuid);
	/*
	 * Set the token that users of this PF's VFs must show. Return 0 or -errno. NULL: it is no
	 * PF.
	 */
	int (*set_vf_token)(struct vfio_device *dev, const uint8_t uuid[16]);
	/* Add an ioeventfd, or remove it (@fd -1). Return 0 or -errno. NULL: there are none. */
	int (*ioeventfd)(struct vfio_device *dev, uint32_t flags, uint64_t offset, uint64_t data,
			 int fd);
	/*
	 * The host wants the device back: signal the user's REQ, for the @count-th time from 0 on.
	 * Any thread. NULL: there is no way to ask.
	 */
	void (*request)(struct vfio_device *dev, unsigned count);
	/*
	 * Put the device into low power, as soon as nobody uses it (@enter), or take it out of it.
	 * @wake: an eventfd of the caller's, to be signalled when the device is awake again, with
	 * which low power ends; -1: none. Return 0; -EINVAL: it is in low power; -EBADF, -EINVAL:
	 * not an eventfd. NULL: it has none.
	 */
	int (*low_power)(struct vfio_device *dev, bool enter, int wake);
	/*
	 * The first use of a device in low power @begins, so it must be awake; or the last one
	 * ended. May be late: the device looks at vfio_device.users. NULL: as low_power.
	 */
	void (*use)(struct vfio_device *dev, bool begins);
	/*
	 * May pages of region @index, a BAR that is there, be the memory of a dma-buf? Return 0, or
	 * -EINVAL: it is no memory. NULL: the device has no dma-bufs, nor the next op.
	 */
	int (*check_dmabuf)(struct vfio_device *dev, uint32_t index);
	/*
	 * True if the device's memory answers now: it decodes, and does not sleep. Where that ends
	 * the device calls vfio_dmabufs_cut().
	 */
	bool (*memory_answers)(struct vfio_device *dev);
	/*
	 * Return what other devices reach of it, which lives as long as the device. NULL: they do
	 * not.
	 */
	struct iommu_target *(*target)(struct vfio_device *dev);
	/* Return VFIO_PCI_ATOMIC_COMP*: AtomicOps that memory completes for it. NULL: 0. */
	uint32_t (*atomics)(struct vfio_device *dev);
	/* the process ends: report what the user has left undone; may be NULL, does not wait */
	void (*look_back)(struct vfio_device *dev);
};

/*
 * Keeps accesses of a device apart that a locked instruction of a client must not see in its
 * middle. For a front that makes accesses instruction by instruction (shim/lock.c, which alone
 * looks at it). It is held around a call of the device, before any lock of the provider. Padded,
 * since each access by any processor writes it.
 */
struct vfio_access_lock {
	char before[64];
	_Atomic uint32_t state;	 /* alone, or how many share it */
	_Atomic uint32_t lone;	 /* how many wait to be alone */
	_Atomic uint32_t asleep; /* and how many wait at all, asleep */
	char behind[64];
};

/* Which functions a hot reset resets, by their place (struct vfio_place). */
enum vfio_reset_scope {
	VFIO_RESET_SLOT, /* those of the slot */
	VFIO_RESET_BUS,	 /* all of the bus, by the bridge above it */
	VFIO_RESET_NONE, /* there is no hot reset: no bridge is above it */
};

/* How a function is reset alone (Linux's reset_method of sysfs). */
enum vfio_reset_method {
	VFIO_RESET_BY_FLR,
	VFIO_RESET_BY_AF_FLR, /* that of conventional PCI's Advanced Features */
	VFIO_RESET_BY_PM,     /* by D3hot */
	VFIO_RESET_BY_BUS,    /* of all that is reset with it, if that is nothing else */
};
#define VFIO_RESET_METHODS 7u /* so many can be chosen, one also twice */

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
	enum vfio_reset_scope reset_scope; /* of a VF whose PF is here: unused, it is the PF's */
	bool below_port;		   /* the host shows a root port above it */
	pthread_mutex_t lock;		   /* guards open_count and orders open/close */
	unsigned open_count;
	/*
	 * During ops->open: the address space that it will be attached to at once, for a provider
	 * who can do better if it knows; NULL: that is not known. Under @lock.
	 */
	struct vfio_ioas *opens_for;
	atomic_uint by_group; /* of these, opens that came through the group's file */
	/* nobody may open it any more: the host takes it away; changed with the lock held */
	atomic_bool leaving;
	unsigned attached; /* openers that have it in an address space; under its group's lock */
	struct vfio_iommufd_device
		*iommufd; /* that it is in an iommufd, or NULL; its group's lock */
	/* guards the list; after all locks of a provider's, and before those that a mapper takes */
	pthread_mutex_t mappers_lock;
	struct cds_list_head mappers; /* openers that mapped a region: struct vfio_open */
	struct vfio_access_lock access;
	atomic_uint users;	      /* calls that use it now: vfio_device_use() */
	atomic_bool low_power;	      /* the device's word that it wants to be told of them */
	struct vfio_migrate *migrate; /* NULL: it does not migrate; set before it is opened */
	/*
	 * For a front, set before it opens the device: its user masks messages by SET_IRQS
	 * (ACTION_MASK, ACTION_UNMASK), in the MSI-X table and by Function Mask, and finds in the
	 * PBA what is pending, as a server's client wants it. The kernel lets nobody do so. What a
	 * provider cannot do of it, irq says (VFIO_IRQ_INFO_MASKABLE).
	 */
	bool maskable;
	bool pins; /* its IOMMU keeps the pages that are mapped: they must not be dropped */
	/*
	 * For a front, set before it opens the device; NULL: nobody wants to know. A provider of
	 * kernel devices calls it with the kernel's VFIO file, of a group or a character device:
	 * before the device is fetched by it (@add), and before the file is closed. Returns 0 or
	 * -errno: then the device is not opened.
	 */
	int (*file_changed)(void *arg, int fd, bool add);
	void *file_changed_arg;
};

void vfio_device_init(struct vfio_device *dev, const struct vfio_device_ops *ops, const char *name,
		      struct iommu_device *iommu);
void vfio_device_fini(struct vfio_device *dev);
/*
 * Open and close, counted: ops->open is called at the first, ops->close at the last. @io: the
 * address space that the device will be attached to; NULL: not known.
 */
int vfio_device_open_for(struct vfio_device *dev, struct vfio_ioas *io);
int vfio_device_open(struct vfio_device *dev);
void vfio_device_close(struct vfio_device *dev);
/*
 * Let nobody open @dev any more (-ENODEV), or let them again (!@leaving). Return how many have it
 * open; when the last of them closes it, vfio_env.released is called.
 */
unsigned vfio_device_leave(struct vfio_device *dev, bool leaving);
/* Return how many have @dev open. */
unsigned vfio_device_opens(struct vfio_device *dev);
/* List the methods by which @dev is reset, the first one that it can at first: how many. */
unsigned vfio_device_reset_methods(struct vfio_device *dev,
				   enum vfio_reset_method out[VFIO_RESET_METHODS]);
/*
 * Reset @dev for the host, whether it is open or not: 0; -ENOTTY: it cannot be reset, or does not
 * answer.
 */
int vfio_device_host_reset(struct vfio_device *dev);
/*
 * Check that @dev may be opened by a user who shows @uuid, 16 bytes as in the token's text (NULL:
 * none). Return 0; -EACCES: it is a wrong one, or one must be shown; -EINVAL: none is asked for.
 */
int vfio_device_check_token(struct vfio_device *dev, const uint8_t *uuid);
/*
 * The memory of @dev ceases to answer, for a moment or longer: nobody reaches it any more by what
 * was mapped of its dma-bufs before. For the provider: any thread, with any of its locks held that
 * no callback of a device wants.
 */
void vfio_dmabufs_cut(struct vfio_device *dev);
/*
 * Have all mappings of @dev's areas of this kind, polled or direct, opened, or closed. That is done
 * when it returns. Return how many there are. For the provider: any thread, with any of its locks
 * held.
 */
unsigned vfio_device_set_areas(struct vfio_device *dev, enum vfio_area_kind kind, bool open);
#endif
