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
struct vfio_type1;

/*
 * Where a function of a group is. The function itself may be missing: a process of several that
 * share a machine has only those that it uses.
 */
struct vfio_place {
	struct vfio_group *group;
	struct vfio_device *dev; /* NULL: not in this process */
	struct pci_address address;
	struct pci_address slot; /* of the function whose slot it is in: its own, or its PF's */
	bool reserved;		 /* it stays when the device goes */
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
	struct vfio_container *container; /* set by vfio_group_set_container */
	/* or, instead, that of so many openers that came by themselves: vfio_device_attach() */
	struct vfio_ioas *ioas;
	unsigned attached;
	struct cds_list_head in_container; /* under the container's lock */
};

/* The default of the kernel's module parameter dma_entry_limit of vfio_iommu_type1. */
#define VFIO_DMA_ENTRY_LIMIT 65535u

/*
 * What a system asks of its surroundings. Given to vfio_system_new() and not changed while it
 * lives; a function that is NULL is as if it returned what is said there. Called by any thread.
 */
struct vfio_env {
	/*
	 * Claim @group among the processes that share the machine, before it is opened, and get
	 * its devices; or give both up (!@take). No lock is held but vfio_group.take_lock. 0, or
	 * -errno: it is not opened. NULL: 0.
	 */
	int (*claim)(void *arg, unsigned group, bool take);
	/*
	 * Return the bytes that devices may have pinned, UINT64_MAX: any number. Asked at each
	 * mapping, with the address space's lock held, as the kernel reads RLIMIT_MEMLOCK and
	 * CAP_IPC_LOCK then. @want: bytes that it would have to be. NULL: UINT64_MAX.
	 */
	uint64_t (*memlock)(void *arg, uint64_t want);
	/*
	 * True if all of [vaddr, vaddr + size) is a mapped BAR. Such memory has no pages: mapping
	 * it for DMA succeeds, as in the kernel. The address space's lock is held. NULL: false.
	 */
	bool (*device_memory)(void *arg, uint64_t vaddr, uint64_t size);
	unsigned dma_entry_limit; /* mappings that a type1 may have */
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
	struct loop *loop;	     /* service thread for virqfds alone; owned */
	struct vfio_ioas_set ioases; /* all address spaces */
};

/**
 * vfio_system_new - make a system without groups
 * @env: outlives it; NULL: nothing that its functions could say, VFIO_DMA_ENTRY_LIMIT
 * @arg: for @env's functions
 *
 * Return: it, or NULL: no memory, no thread, or no descriptor.
 */
struct vfio_system *vfio_system_new(const struct vfio_env *env, void *arg);
/*
 * Nothing may be open any more. @s may be NULL, s->loop too (a forked child drops the loop with
 * loop_abandon first).
 */
void vfio_system_free(struct vfio_system *s);
/* Takes over nothing; devices and iommu groups belong to machine/. */
int vfio_system_add_group(struct vfio_system *s, struct iommu_group *ig, struct vfio_group **out);
/* To its place, if one was reserved. */
int vfio_group_add_device(struct vfio_group *g, struct vfio_device *dev);
/* It is not open. The group stays, and is not to be found any more if it has no other place. */
void vfio_group_remove_device(struct vfio_group *g, struct vfio_device *dev);
/* A function is at @place, and will be added when it is needed; and it is no more. -ENOMEM. */
int vfio_group_reserve(struct vfio_group *g, const struct vfio_place *place);
void vfio_group_unreserve(struct vfio_group *g, const struct vfio_place *place);
/* NULL: none, or one without places */
struct vfio_group *vfio_system_group(struct vfio_system *s, unsigned id);

/*
 * What sits in @dev's slot (same segment, bus and device number; a VF is where its PF is), @dev
 * among it: a reset of the slot resets it all. The first @max go to @out in the order of groups;
 * returns how many there are. A device that is in no group is alone.
 */
unsigned vfio_slot_places(struct vfio_device *dev, struct vfio_place *out, unsigned max);
/*
 * VFIO_DEVICE_PCI_HOT_RESET: reset all of them, open or not. -ENODEV: one cannot be; -EINVAL: one
 * is a VF; -ENOMEM. The caller has checked that the client owns their groups, which are open.
 */
int vfio_slot_reset(struct vfio_device *dev);

/* group.c: what the ioctls do; errors as in the kernel's drivers/vfio/group.c */
int vfio_group_open(struct vfio_system *s, struct vfio_group *g); /* -EBUSY; -ENODEV: no device */
/* the group file and all its device files are gone: detaches */
void vfio_group_release(struct vfio_system *s, struct vfio_group *g);
/*
 * Take the group without its file, for one more opener of a device (vfio/open.h), and give it back.
 * -EBUSY: it is open by its file, or another process has it; -ENODEV: no device.
 */
int vfio_group_take(struct vfio_group *g);
void vfio_group_give_back(struct vfio_group *g);
uint32_t vfio_group_status(struct vfio_group *g);
/* -EINVAL already set */
int vfio_group_set_container(struct vfio_group *g, struct vfio_container *c);
int vfio_group_unset_container(struct vfio_group *g); /* -EINVAL, -EBUSY */
/* True if the device @name, "0000:01:00.0", is in @g. */
bool vfio_group_has_device(struct vfio_group *g, const char *name);

/* container.c. A container is refcounted by its file and by its groups. */
struct vfio_container *vfio_container_new(struct vfio_system *s);
void vfio_container_get(struct vfio_container *c);
void vfio_container_put(struct vfio_container *c);
int vfio_container_check_extension(struct vfio_container *c, unsigned long ext);
int vfio_container_set_iommu(struct vfio_container *c, unsigned long type); /* -EINVAL, -ENODEV */
/*
 * The type1 address space for the length of one call, or NULL before SET_IOMMU (then nothing to
 * put). Between get and put the container cannot lose it: detaching the last group waits (a
 * read-write lock taken for reading, as the kernel's group_lock).
 */
struct vfio_type1 *vfio_container_type1_get(struct vfio_container *c);
void vfio_container_type1_put(struct vfio_container *c);
/* For group.c, with the group's lock held. */
void vfio_container_attach(struct vfio_container *c, struct vfio_group *g);
void vfio_container_detach(struct vfio_container *c, struct vfio_group *g);
/* Its address space, or NULL before SET_IOMMU. It stays while a group's device is open. */
struct vfio_ioas *vfio_container_ioas(struct vfio_container *c);
#endif
