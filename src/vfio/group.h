/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/group.h: groups, containers, and the system that holds them (what the kernel's vfio core
 * keeps). Semantics as drivers/vfio/group.c and container.c: see docs.
 * Lock order: vfio_group.take_lock > vfio_system.lock > vfio_group.lock > { vfio_container's >
 * those of address spaces (vfio/ioas.h), vfio_device.lock }.
 */
#ifndef VFIO_GROUP_H
#define VFIO_GROUP_H
#include <urcu/list.h>

#include "base/loop.h"
#include "base/util.h"
#include "vfio/device.h"
#include "vfio/ioas.h"

struct vfio_container;
struct vfio_iommufd;
struct vfio_physical;
struct vfio_type1;

/*
 * Where a function of a group is. The function itself may be missing: a process of several that
 * share a machine has only those that it uses.
 */
struct vfio_place {
	struct vfio_group *group;
	struct vfio_device *dev; /* NULL: not in this process */
	struct pci_address address;
	struct pci_address slot;     /* of the function whose slot it is in: its own, or its PF's */
	enum vfio_reset_scope scope; /* that function's */
	bool reserved;		     /* it stays when the device goes */
	/* in an answer of vfio_slot_places(), when @dev may be gone: it can be reset; it is a VF */
	bool resets, vf;
	unsigned outside; /* in such an answer, if @group is NULL: its group's number elsewhere */
};

struct vfio_group {
	struct iommu_group *iommu;
	struct vfio_system *system;
	struct vfio_place *places;
	unsigned n;
	/* orders the claims of openers that take the group without its file; above lock */
	pthread_mutex_t take_lock;
	pthread_mutex_t lock;
	bool opened;	       /* an open file, or a device file that came through it, holds it */
	unsigned takers;       /* or, instead, so many openers; changed with take_lock held, too */
	unsigned device_files; /* open device files that came through the group's */
	bool owned;	       /* its file has it own the DMA (vfio_env.own) */
	bool noiommu;	       /* there is no IOMMU before its device; set when it is made */
	struct vfio_container *container; /* set by vfio_group_set_container */
	struct vfio_iommufd *iommufd;	  /* or, instead, by vfio_group_set_iommufd */
	/* of device_files those that are of an iommufd, and do not keep the group's file open */
	unsigned iommufd_files;
	bool left; /* its file went first: the last of these gives up the claim */
	/* or, instead, that of so many openers that came by themselves: vfio_device_attach() */
	struct vfio_ioas *ioas;
	unsigned attached;
	/* of which iommufd devices are bound, and how many: vfio_iommufd_bind() */
	struct vfio_iommufd *iommufd_owner;
	unsigned iommufd_bound;
	struct cds_list_head in_container; /* under the container's lock */
};

/* A part of a BAR, as a program has it mapped. */
struct vfio_bar {
	struct iommu_target *target; /* NULL: nobody will answer (it is no BAR) */
	unsigned bar;
	uint64_t offset, length;
	unsigned prot; /* IOMMU_READ, IOMMU_WRITE: the mapping's */
	bool answers;  /* now: an access of the mapping would be no bus error */
	/*
	 * So many bytes from @offset on are memory of a file which the program has mapped as it is
	 * (VFIO_AREA_DIRECT): a real device's, which the kernel finds by the program's address.
	 */
	uint64_t direct;
};

/* The default of the kernel's module parameter dma_entry_limit of vfio_iommu_type1. */
#define VFIO_DMA_ENTRY_LIMIT 65535u

/* How much a process has of a group among those that share the machine, or wants of it. */
enum vfio_claim {
	VFIO_CLAIM_NONE,
	VFIO_CLAIM_FILE,   /* its file is open */
	VFIO_CLAIM_DEVICES /* devices in it are, by themselves */
};

/*
 * The questions of a system to its surroundings. Given to vfio_system_new() and not changed while
 * it lives; a function that is NULL is as if it returned what is said there. Called by any thread.
 */
struct fault;
struct vfio_env {
	/*
	 * Claim @group among the processes that share the machine, before it is opened, and get
	 * its devices; or give both up (NONE). No lock is held but vfio_group.take_lock. 0, or
	 * -errno: it is not opened; -EALREADY: it is -EBUSY, and DEVICES in both processes. NULL:
	 * 0.
	 */
	int (*claim)(void *arg, unsigned group, enum vfio_claim claim);
	/*
	 * Return the bytes that devices may have pinned, UINT64_MAX: any number. Asked at each
	 * mapping, with the address space's lock held, as the kernel reads RLIMIT_MEMLOCK and
	 * CAP_IPC_LOCK then. @want: bytes that it would have to be. NULL: UINT64_MAX.
	 */
	uint64_t (*memlock)(void *arg, uint64_t want);
	/*
	 * True if all of [vaddr, vaddr + size) is mapped BARs; @first gets the first of them, with
	 * a reference of its target. Such memory has no pages: devices that have it mapped reach
	 * the BAR. The address space's lock may be held. NULL: false.
	 */
	bool (*device_memory)(void *arg, uint64_t vaddr, uint64_t size, struct vfio_bar *first);
	/*
	 * A device that is leaving (vfio_device_leave()) was closed by its last opener, whose locks
	 * may be held: take note, and no lock. NULL: nobody wants to know.
	 */
	void (*released)(void *arg);
	/*
	 * True if the caller has the capability @cap (linux/capability.h), as the kernel's
	 * capable() asks. Any lock may be held. NULL: true.
	 */
	bool (*capable)(void *arg, unsigned cap);
	/*
	 * @what (fault/fault.h, of FAULT_EVENT) is to happen to the device @name. Locks of a front
	 * may be held: nothing is waited for. NULL: nothing happens.
	 */
	void (*happen)(void *arg, const char *name, const struct fault *what);
	unsigned dma_entry_limit; /* mappings that a type1 may have */
	/*
	 * Find the device whose /dev/vfio/devices/vfioN has number @index. No lock is held. 0 or
	 * -ENOENT. NULL: the devices are counted, in the order of the bus.
	 */
	int (*cdev)(void *arg, unsigned index, struct pci_address *out);
	/*
	 * Own the DMA of @group, which is open, or give that up (!@take): as long as somebody owns
	 * it no driver binds to a device of the group whose DMA the user could not keep apart.
	 * -EPERM: a device has such a driver. No lock is held but vfio_group.take_lock. NULL: 0.
	 */
	int (*own)(void *arg, unsigned group, bool take);
	/* True if own() would succeed now. As own(). NULL: true. */
	bool (*viable)(void *arg, unsigned group);
	/*
	 * Use the device @name of @group, which is open, or give that up (!@take): meanwhile its
	 * driver keeps it. -ENODEV: it is not bound to vfio-pci any more. As own(). NULL: 0.
	 */
	int (*use)(void *arg, unsigned group, const char *name, bool take);
	/*
	 * Bring the devices of @group, which is open, into line with the drivers that they have by
	 * now. As own(). NULL: nothing changes.
	 */
	void (*refresh)(void *arg, unsigned group);
	/*
	 * List the methods by which the device at @at is reset now (VFIO_RESET_METHODS at most):
	 * how many; negative: all that it has. Any lock may be held. NULL: all.
	 */
	int (*reset_methods)(void *arg, const struct pci_address *at, enum vfio_reset_method *out);
	/* True if the mode without an IOMMU is on (enable_unsafe_noiommu_mode). NULL: false. */
	bool (*noiommu)(void *arg);
	/* True if the program may do raw I/O (CAP_SYS_RAWIO), which that mode needs. NULL: true. */
	bool (*rawio)(void *arg);
};

struct vfio_system {
	const struct vfio_env *env;
	void *env_arg;
	pthread_mutex_t lock; /* guards groups */
	/*
	 * a leaf; held too when groups or a group's places change, so that a device can look for
	 * its neighbours
	 */
	pthread_mutex_t topology_lock;
	struct vfio_group **groups;
	unsigned n;
	/* functions that another driver has, or none; under topology_lock */
	struct vfio_place *foreign;
	unsigned num_foreign;
	struct loop *loop;	     /* service thread for virqfds alone; owned */
	struct vfio_ioas_set ioases; /* all address spaces */
	/* what devices without an IOMMU reach; NULL: there are none. Set once. */
	struct vfio_physical *physical;
	/* what the interface of 2010 keeps here (v3/), made at its first use, under lock */
	void *v3;
	void (*v3_free)(void *v3);
	/* what devices of the host keep here (host/); the same */
	void *host;
	void (*host_free)(void *host);
	pthread_mutex_t dmabuf_lock; /* guards the next, and what it says: vfio/dmabuf.h */
	struct cds_list_head dmabufs;
	pthread_mutex_t imports_lock; /* guards the next: vfio/dmabuf.h */
	struct cds_list_head imports;
};

/**
 * vfio_system_new - make a system without groups
 * @env: outlives it; NULL: nothing that its functions could say, VFIO_DMA_ENTRY_LIMIT
 * @arg: for @env's functions
 *
 * Return: it, or NULL: no memory, no thread, or no descriptor.
 */
struct vfio_system *vfio_system_new(const struct vfio_env *env, void *arg);
/**
 * vfio_system_free - take a system apart, of which nothing is open any more
 * @s: may be NULL; so may s->loop, which a forked child drops before (loop_abandon)
 */
void vfio_system_free(struct vfio_system *s);
/**
 * vfio_system_add_group - make a VFIO group of an IOMMU group
 * @ig: not taken over, outlives @s
 *
 * Return: 0; -EEXIST: there is one of this number; -ENOMEM.
 */
int vfio_system_add_group(struct vfio_system *s, struct iommu_group *ig, struct vfio_group **out);
/** vfio_system_group - return group @id, or NULL: there is none, or one without places */
struct vfio_group *vfio_system_group(struct vfio_system *s, unsigned id);

/** vfio_place_may_open - true if the caller may open what is there: no IOMMU wants CAP_SYS_RAWIO */
bool vfio_place_may_open(const struct vfio_place *place);

/**
 * vfio_system_cdev - find the place of the device with /dev/vfio/devices/vfioN
 * @index: N
 *
 * Return: 0; -ENOENT: there is none.
 */
int vfio_system_cdev(struct vfio_system *s, unsigned index, struct vfio_place *out);

/* ---- places (slot.c) ---- */

/**
 * vfio_group_add_device - put @dev into @g, in its place if one was reserved
 * @dev: not taken over
 *
 * Return: 0 or -ENOMEM.
 */
int vfio_group_add_device(struct vfio_group *g, struct vfio_device *dev);
/**
 * vfio_group_remove_device - take @dev, which is not open, out of @g
 *
 * The group stays, and is not to be found any more if it has no other place.
 */
void vfio_group_remove_device(struct vfio_group *g, struct vfio_device *dev);
/**
 * vfio_group_reserve - say that there is a function at @place, which is added when it is needed
 *
 * Return: 0 or -ENOMEM.
 */
int vfio_group_reserve(struct vfio_group *g, const struct vfio_place *place);
/** vfio_group_unreserve - say that it is there no more */
void vfio_group_unreserve(struct vfio_group *g, const struct vfio_place *place);
/**
 * vfio_group_set_foreign - say that the function at @place, in @g, is there without a driver of
 * VFIO
 * @is: false: it has one now, or is not there any more
 *
 * It is no member of the group, but what is reset with it cannot be reset.
 *
 * Return: 0 or -ENOMEM.
 */
int vfio_group_set_foreign(struct vfio_group *g, const struct vfio_place *place, bool is);
/**
 * vfio_slot_places - tell what sits in @dev's slot, @dev among it: what is reset together
 * @out: gets the first @max, in the order of groups
 *
 * A slot has one segment, bus and device number, or is all of a bus (enum vfio_reset_scope); a VF
 * is where its PF is. A device that is in no
 * group is alone.
 *
 * Return: how many there are.
 */
unsigned vfio_slot_places(struct vfio_device *dev, struct vfio_place *out, unsigned max);
/**
 * vfio_slot_reset - reset all of them, open or not (VFIO_DEVICE_PCI_HOT_RESET)
 *
 * The caller has checked that the client owns their groups, which are open.
 *
 * Return: 0; -ENODEV: one cannot be reset; -EINVAL: one is a VF; -ENOMEM; or a device's answer.
 */
int vfio_slot_reset(struct vfio_device *dev);

/* ---- the ioctls of a group (group.c); errors as in the kernel's drivers/vfio/group.c ---- */

/**
 * vfio_group_open - open @g by its file
 *
 * Return: 0; -EBUSY; -ENODEV: no device; -EPERM: no IOMMU, and no right to that; or the claim's
 * answer.
 */
int vfio_group_open(struct vfio_system *s, struct vfio_group *g);
/** vfio_group_release - detach @g: its file, and all device files that came through it, are gone */
void vfio_group_release(struct vfio_system *s, struct vfio_group *g);
/**
 * vfio_group_take - take @g without its file, for one more opener of a device (vfio/open.h)
 *
 * Return: 0; -EBUSY: it is open by its file, or another process has it; -EALREADY: devices of it
 * are open by themselves there; -ENODEV: no device; -EPERM: it is not viable.
 */
int vfio_group_take(struct vfio_group *g);
/** vfio_group_give_back - give back what vfio_group_take() took */
void vfio_group_give_back(struct vfio_group *g);
/**
 * vfio_group_refresh - bring the devices of @g into line with the drivers that they have by now
 *
 * No lock of @g's is held.
 */
void vfio_group_refresh(struct vfio_group *g);
/** vfio_group_status - get VFIO_GROUP_FLAGS_*. Return 0; -ENODEV: no device is left in @g */
int vfio_group_status(struct vfio_group *g, uint32_t *flags);
/**
 * vfio_group_set_container - put @g into @c
 *
 * Return: 0; -EINVAL: it is in one; -EPERM: it is not viable, or only one of the two has an IOMMU;
 * -ENODEV: no device is left in it.
 */
int vfio_group_set_container(struct vfio_group *g, struct vfio_container *c);
/**
 * vfio_group_revoke - take @g out of its container if no device is left in it
 *
 * True: it owned the DMA, which is over; the caller, who is vfio_env's, is not told.
 */
bool vfio_group_revoke(struct vfio_group *g);
/**
 * vfio_group_set_iommufd - give @g an iommufd in a container's place
 *
 * Its devices are bound there when they are opened, and attached to the IOAS that is for that
 * (vfio_iommufd_compat_get()). They stay so when the group leaves the iommufd, or its file is
 * closed.
 *
 * Return: 0; -EINVAL: it has one, or a container; -ENODEV; -ENOMEM; or vfio_env.own's answer.
 */
int vfio_group_set_iommufd(struct vfio_group *g, struct vfio_iommufd *ictx);
/** vfio_group_unset_container - 0; -EINVAL: it is in none; -EBUSY: a device is open */
int vfio_group_unset_container(struct vfio_group *g);
/** vfio_group_has_device - true if the device @name, "0000:01:00.0", is in @g */
bool vfio_group_has_device(struct vfio_group *g, const char *name);

/**
 * vfio_group_device - return the device at @address, or NULL: it is not in this process
 *
 * It stays while the group is open or taken.
 */
struct vfio_device *vfio_group_device(struct vfio_group *g, const struct pci_address *address);

/* ---- containers (container.c), which their file and their groups keep ---- */

/** vfio_container_new - return a container without groups and one reference, or NULL: no memory */
struct vfio_container *vfio_container_new(struct vfio_system *s);
/** vfio_container_get - take one more reference */
void vfio_container_get(struct vfio_container *c);
/** vfio_container_put - give a reference back */
void vfio_container_put(struct vfio_container *c);
/** vfio_container_check_extension - return what VFIO_CHECK_EXTENSION answers for @ext */
int vfio_container_check_extension(struct vfio_container *c, unsigned long ext);
/**
 * vfio_container_set_iommu - give it an address space of type1 (1) or type1v2 (3); or, if its
 * groups have no IOMMU, none (8)
 *
 * Return: 0; -EINVAL: it has one, or no group; -ENODEV: another @type; -ENOMEM; -EPERM: no right
 * to no IOMMU.
 */
int vfio_container_set_iommu(struct vfio_container *c, unsigned long type);
/** vfio_container_is_noiommu - true if SET_IOMMU said 8 */
bool vfio_container_is_noiommu(struct vfio_container *c);
/**
 * vfio_container_type1_get - return its address space for the length of one call
 *
 * Until vfio_container_type1_put() the container cannot lose it: detaching the last group waits (a
 * read-write lock taken for reading, as the kernel's group_lock).
 *
 * Return: NULL: before SET_IOMMU; then there is nothing to put.
 */
struct vfio_type1 *vfio_container_type1_get(struct vfio_container *c);
/** vfio_container_type1_put - let it go */
void vfio_container_type1_put(struct vfio_container *c);
#endif
