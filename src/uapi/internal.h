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

#include "base/client.h"
#include "base/guard.h"
#include "base/report.h"
#include "base/util.h"
#include "uapi/uapi.h"
#include "v3/v3.h"
#include "vfio/iommufd.h"
#include "vfio/kernel.h"

/* Names of a kind's ioctls by number (_IOC_NR) from @first on, for the log; NULL: none. */
struct uapi_names {
	const char *const *names;
	unsigned first, n;
};

/*
 * What a kind of file does, as the kernel's struct file_operations. The checks that Linux makes
 * before it asks the file are made. Where there is no function, the answer is the kernel's for a
 * file without it.
 */
struct uapi_file_ops {
	enum vfio_file_kind kind;
	/* it has no position, and is ready when uapi_file_set_ready() says so; else always */
	bool stream;
	bool seeks; /* its position is the program's to move (lseek) */
	long (*ioctl)(struct uapi_file *f, unsigned int cmd, unsigned long arg); /* else -ENOTTY */
	/*
	 * Read or write @count bytes of the program's memory at @user; @pos is of a file that has
	 * positions. Else -EINVAL.
	 */
	ssize_t (*read)(struct uapi_file *f, void *user, size_t count, uint64_t pos);
	ssize_t (*write)(struct uapi_file *f, const void *user, size_t count, uint64_t pos);
	/* Of uapi_mmap_check(). Else -ENODEV. */
	int (*mmap_check)(struct uapi_file *f, size_t len, int prot, int flags, uint64_t pos);
	/* Let go of what the file holds: nobody has it any more. It may put another file. */
	void (*release)(struct uapi_file *f);
	struct uapi_names names;
};

struct uapi_file {
	struct ref ref;
	const struct uapi_file_ops *ops;
	struct vfio_system *sys;
	struct uapi_fds fds;
	char link[VFIO_NODE_NAME];
	struct uapi_far *far; /* it is in another process (far.c); else NULL */
	atomic_bool closed;   /* uapi_file_closed() */
	/* of streams. ready_lock is a leaf, but for what on_ready takes; it guards these: */
	pthread_mutex_t ready_lock;
	bool ready;
	void (*on_ready)(void *arg, bool ready);
	void *on_ready_arg;
	union {
		void *priv; /* the ops' own, of kinds that are not here */
		struct vfio_container *container;
		struct vfio_group *group;
		struct vfio_iommufd *iommufd;
		struct {
			struct vfio_open open;
			/*
			 * its group's file, or NULL: it came by its node. A device file keeps that
			 * open, as in the kernel, since a client may close the group first
			 */
			struct uapi_file *group_file;
		};
		struct v3_opener v3; /* which begins with a struct vfio_open, as the one before */
	};
	pthread_mutex_t bind_lock; /* of a device: one BIND_IOMMUFD at a time; outermost */
	pthread_mutex_t pos_lock;  /* guards pos, as the kernel's f_pos_lock; outermost */
	uint64_t pos;
};

/* Make a file with one reference, whose link is @link, or return NULL: no memory. */
struct uapi_file *uapi_file_new(struct vfio_system *sys, const struct uapi_fds *fds,
				const struct uapi_file_ops *ops, const char *link);
/* Free a file that nobody has seen, without its release. */
void uapi_file_free(struct uapi_file *f);
/*
 * Give @f a descriptor with the flags of open(2) in @flags: its number, or -errno, and @f is
 * released.
 */
int uapi_file_install(struct uapi_file *f, int flags);
/*
 * Say whether a stream can be read without waiting: poll's POLLIN; POLLOUT is always there. It
 * cannot, at first. Any thread, with any lock; the caller's lock is what keeps two calls in order.
 */
void uapi_file_set_ready(struct uapi_file *f, bool ready);

/* The kinds of files, each in the file of its name. */
extern const struct uapi_file_ops uapi_container_ops, uapi_group_ops, uapi_device_ops,
	uapi_iommufd_ops;

int uapi_container_open(struct vfio_system *sys, const struct uapi_fds *fds,
			struct uapi_file **out);
int uapi_group_open(struct vfio_system *sys, const struct uapi_fds *fds, unsigned id,
		    struct vfio_group *g, struct uapi_file **out);
int uapi_iommufd_open(struct vfio_system *sys, const struct uapi_fds *fds, struct uapi_file **out);
/* Of /dev/vfio/devices/vfioN, which is the device at @place; not bound yet. */
int uapi_cdev_open(struct vfio_system *sys, const struct uapi_fds *fds, unsigned id,
		   const struct vfio_place *place, struct uapi_file **out);
/* Of the interface of 2010: /dev/vfioN, which is the device at @place, and /dev/uiommu. */
int uapi_v3_open(struct vfio_system *sys, const struct uapi_fds *fds, unsigned id,
		 const struct vfio_place *place, struct uapi_file **out);
int uapi_uiommu_open(struct vfio_system *sys, const struct uapi_fds *fds, struct uapi_file **out);
/* Return @pos of such a device as it is here: region << 40 | offset. */
uint64_t uapi_v3_region_pos(const struct uapi_file *f, uint64_t pos);
/* Make a fault queue of an iommufd, *@id: the number of its descriptor, or -errno. */
int uapi_fault_open(struct uapi_file *iommufd, uint32_t *id);
long uapi_iommufd_compat_ioctl(struct uapi_file *f, unsigned int cmd, unsigned long arg);
long uapi_type1_ioctl(struct vfio_type1 *t, unsigned int cmd, unsigned long arg);
ssize_t uapi_device_read(struct uapi_file *f, void *user, size_t count, uint64_t pos);
ssize_t uapi_device_write(struct uapi_file *f, const void *user, size_t count, uint64_t pos);
int uapi_device_mmap_check(struct uapi_file *f, size_t len, int prot, int flags, uint64_t pos);
long uapi_device_feature(struct uapi_file *f, unsigned long arg);
bool uapi_has_dmabuf(const struct uapi_file *f);
long uapi_dmabuf(struct uapi_file *f, uint32_t op, unsigned long arg);
/* Return the dma-buf that @f (may be NULL) is, or NULL: it is none. */
struct vfio_dmabuf *uapi_file_dmabuf(const struct uapi_file *f);
long uapi_hot_reset_info(struct vfio_open *o, unsigned long arg);
long uapi_hot_reset(struct uapi_file *f, unsigned long arg);

/* ---- far.c: of a file with @far ---- */
long uapi_far_group(const struct uapi_file *f);
bool uapi_far_address(const struct uapi_file *f, struct pci_address *out);
int64_t uapi_far_seek(struct uapi_file *f, int64_t offset, int whence);
/* At the file's own position. */
ssize_t uapi_far_transfer(struct uapi_file *f, void *user, size_t count, bool write);

/* ---- migrate.c: for the table of features ---- */
bool uapi_has_migration(const struct uapi_file *f);
bool uapi_has_precopy(const struct uapi_file *f);
long uapi_migration(struct uapi_file *f, uint32_t op, unsigned long arg);
long uapi_mig_state(struct uapi_file *f, uint32_t op, unsigned long arg);
long uapi_mig_data_size(struct uapi_file *f, uint32_t op, unsigned long arg);
long uapi_precopy_v2(struct uapi_file *f, uint32_t op, unsigned long arg);
/* ---- dma_log.c: the same ---- */
long uapi_dma_log_start(struct uapi_file *f, uint32_t op, unsigned long arg);
long uapi_dma_log_stop(struct uapi_file *f, uint32_t op, unsigned long arg);
long uapi_dma_log_report(struct uapi_file *f, uint32_t op, unsigned long arg);

/* Count the bytes up to and with @member: the kernel's name for it is minsz. */
#define UAPI_SIZE_WITH(type, member) (offsetof(type, member) + sizeof(((type *)0)->member))

static inline int uapi_get(void *dst, unsigned long src, size_t n)
{
	return client_get(dst, src, n);
}

static inline int uapi_put(unsigned long dst, const void *src, size_t n)
{
	return client_put(dst, src, n);
}

/*
 * Get a struct of @size bytes of which the program's version has @user_size: what is missing is
 * zero. 0; -E2BIG: it says something that we do not know; -EFAULT. (The kernel's
 * copy_struct_from_user().)
 */
long uapi_get_struct(void *dst, size_t size, unsigned long arg, size_t user_size);

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
