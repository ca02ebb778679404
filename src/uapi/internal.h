/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * uapi/internal.h: an open file description, and what the files of this folder share to serve its
 * calls.
 */
#ifndef UAPI_INTERNAL_H
#define UAPI_INTERNAL_H
#include <errno.h>
#include <pthread.h>
#include <stddef.h>

#include "base/guard.h"
#include "base/report.h"
#include "base/util.h"
#include "uapi/uapi.h"

struct uapi_file {
	struct ref ref;
	enum vfio_file_kind kind;
	struct vfio_system *sys;
	struct uapi_fds fds;
	char link[VFIO_NODE_NAME];
	union {
		struct vfio_container *container;
		struct vfio_group *group;
		struct {
			struct vfio_open open;
			/*
			 * its group's file, if it came through one: a device file keeps that open,
			 * as in the kernel, since a client may close the group first; or NULL
			 */
			struct uapi_file *group_file;
		};
	};
	pthread_mutex_t pos_lock; /* guards pos, as the kernel's f_pos_lock; outermost */
	uint64_t pos;
};

struct uapi_file *uapi_file_new(struct vfio_system *sys, const struct uapi_fds *fds,
				enum vfio_file_kind kind);

long uapi_container_ioctl(struct uapi_file *f, unsigned int cmd, unsigned long arg);
long uapi_type1_ioctl(struct vfio_type1 *t, unsigned int cmd, unsigned long arg);
long uapi_group_ioctl(struct uapi_file *f, unsigned int cmd, unsigned long arg);
long uapi_device_ioctl(struct uapi_file *f, unsigned int cmd, unsigned long arg);
long uapi_device_feature(struct uapi_file *f, unsigned long arg);

/* Count the bytes up to and with @member: the kernel's name for it is minsz. */
#define UAPI_SIZE_WITH(type, member) (offsetof(type, member) + sizeof(((type *)0)->member))

static inline int uapi_get(void *dst, unsigned long src, size_t n)
{
	return guard_copy(dst, (const void *)src, n);
}

static inline int uapi_put(unsigned long dst, const void *src, size_t n)
{
	return guard_copy((void *)dst, src, n);
}

/*
 * A chain of capabilities behind an info struct (linux/vfio.h, struct vfio_info_cap_header).
 * Elements are 8-byte aligned; `next` counts from the start of the info struct.
 */
struct uapi_caps {
	uint8_t *buf;
	size_t size;
	size_t last; /* offset of the last header */
};
/* Add @cap, which begins with a vfio_info_cap_header; its next is filled in here. 0 or -ENOMEM. */
int uapi_caps_add(struct uapi_caps *c, const void *cap, size_t size);
/*
 * Put the chain at @arg + @info_size when @argsz has room, else put the room that is needed into
 * @argsz. @flags gets @caps_flag. Return 0 or -EFAULT. Frees the chain.
 */
int uapi_caps_finish(struct uapi_caps *c, unsigned long arg, size_t info_size, uint32_t *argsz,
		     uint32_t *flags, uint32_t caps_flag, uint32_t *cap_offset);
#endif
