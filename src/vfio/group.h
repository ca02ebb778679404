/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/group.h: groups, containers, and the system that holds them (what the kernel's vfio core keeps). Semantics as drivers/vfio/group.c and container.c: see docs.
 * Lock order: vfio_system.lock > vfio_container.lock > vfio_group.lock > vfio_device.lock.
 */
#ifndef VFIO_GROUP_H
#define VFIO_GROUP_H
#include "base/loop.h"
#include "base/util.h"
#include "vfio/device.h"

struct vfio_container;
struct vfio_type1;

struct vfio_group {
	struct iommu_group *iommu;
	struct vfio_device **devs; unsigned n;
	pthread_mutex_t lock;
	bool opened;                      /* an open file or a device file holds it */
	unsigned device_files;            /* open device files of this group */
	struct vfio_container *container; /* set by vfio_group_set_container */
};

struct vfio_system {
	pthread_mutex_t lock;
	struct vfio_group **groups; unsigned n;
	struct loop *loop;                /* service thread for virqfds and timers; owned */
	/* called when a group is opened or given up, so that another process that shares the devices' backing sees it: 0 or -EBUSY. May be NULL. */
	int (*claim)(void *arg, unsigned group, bool take); void *claim_arg;
	/* limits, as the kernel has them; set before use */
	uint64_t memlock_limit;           /* bytes; UINT64_MAX: unlimited (CAP_IPC_LOCK) */
	unsigned dma_entry_limit;         /* 65535 */
};
struct vfio_system *vfio_system_new(void);
void vfio_system_free(struct vfio_system *s);
/* Takes over nothing; devices and iommu groups belong to machine/. */
int vfio_system_add_group(struct vfio_system *s, struct iommu_group *ig, struct vfio_group **out);
int vfio_group_add_device(struct vfio_group *g, struct vfio_device *dev);
struct vfio_group *vfio_system_group(struct vfio_system *s, unsigned id); /* NULL: none */
struct vfio_device *vfio_system_device(struct vfio_system *s, const char *name);

/* group.c: what the ioctls do; errors as in shared knowledge (vfio-uapi 1.2) */
int vfio_group_open(struct vfio_system *s, struct vfio_group *g);   /* -EBUSY */
void vfio_group_release(struct vfio_system *s, struct vfio_group *g); /* the group file and all its device files are gone: detaches */
uint32_t vfio_group_status(struct vfio_group *g);
int vfio_group_set_container(struct vfio_group *g, struct vfio_container *c); /* -EINVAL already set */
int vfio_group_unset_container(struct vfio_group *g);                          /* -EINVAL, -EBUSY */
int vfio_group_open_device(struct vfio_group *g, const char *name, struct vfio_device **out); /* counts device_files; -EINVAL, -ENODEV */
void vfio_group_close_device(struct vfio_group *g, struct vfio_device *dev);

/* container.c. A container is refcounted by its file and by its groups. */
struct vfio_container *vfio_container_new(struct vfio_system *s);
void vfio_container_get(struct vfio_container *c);
void vfio_container_put(struct vfio_container *c);
int vfio_container_check_extension(struct vfio_container *c, unsigned long ext);
int vfio_container_set_iommu(struct vfio_container *c, unsigned long type); /* -EINVAL, -ENODEV */
/*
 * The type1 address space for the length of one call, or NULL before SET_IOMMU (then nothing to put). Between get and put the container cannot lose it: detaching the
 * last group waits (a read-write lock taken for reading, as the kernel's group_lock).
 */
struct vfio_type1 *vfio_container_type1_get(struct vfio_container *c);
void vfio_container_type1_put(struct vfio_container *c);
#endif
