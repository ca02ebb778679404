/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * uapi/uapi.h: the kernel's VFIO ABI as functions: ioctl, pread, pwrite, mmap on a handle. Decodes
 * and copies; the work is done by vfio/. It knows nothing of how a call arrived: the shim, a fuzzer
 * and a test call it alike. Every pointer that comes with a call is the program's and is copied
 * guarded. All functions return the kernel's value: >= 0 or -errno. Any thread.
 */
#ifndef UAPI_UAPI_H
#define UAPI_UAPI_H
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "vfio/nodes.h"
#include "vfio/open.h"

struct uapi_file; /* one open file description */

/* The program's descriptors, as their owner (the shim, a test) gives them to uapi. */
struct uapi_fds {
	/*
	 * Return the file behind the program's descriptor @fd, with a reference (uapi_file_put), or
	 * NULL with *@err: -EBADF (not open) or 0 (open, but not one of ours).
	 */
	struct uapi_file *(*fget)(void *arg, int fd, int *err);
	/*
	 * Give @file a descriptor with the flags of open(2): access mode, O_CLOEXEC, O_NONBLOCK.
	 * Return its number or -errno. On success the descriptor owns the caller's reference. That
	 * of a stream polls as uapi_file_on_ready() says.
	 */
	int (*install)(void *arg, struct uapi_file *file, int flags);
	void *arg;
};

/*
 * Open a node of /dev (nodes.h). Return 0 with *@out (one reference); -ENOENT, -EBUSY, -ENOMEM;
 * -ENODEV: a group without devices; -ENOTDIR, -EEXIST: as open(2) by @flags.
 */
int uapi_open(struct vfio_system *sys, const struct uapi_fds *fds, const char *path, int flags,
	      struct uapi_file **out);
void uapi_file_get(struct uapi_file *f);
/* Drop a reference. The last is the kernel's release: a device is closed, a group given up. */
void uapi_file_put(struct uapi_file *f);
enum vfio_file_kind uapi_file_kind(const struct uapi_file *f);
/*
 * Return what a link in /proc/self/fd of the kernel's descriptor reads: "/dev/vfio/vfio",
 * "/dev/vfio/7", "anon_inode:[vfio-device]".
 */
const char *uapi_file_link(const struct uapi_file *f);
/* Return the group that @f is of, or -1: it is a container, or an iommufd. */
long uapi_file_group(const struct uapi_file *f);
/* Return the device of a device file, or NULL. */
struct vfio_device *uapi_file_device(const struct uapi_file *f);
/* Say that no descriptor of @f is left: mappings may keep it open. True ever after. */
void uapi_file_set_closed(struct uapi_file *f);
bool uapi_file_is_closed(const struct uapi_file *f);
/* The process ends, and @f is open: report what that leaves undone (vfio_device_ops.look_back). */
void uapi_file_look_back(struct uapi_file *f);

/* Return what the file has of these. */
#define UAPI_CAN_READ  1u
#define UAPI_CAN_WRITE 2u
#define UAPI_IS_STREAM 4u /* no position; else it polls ready at all times */
unsigned uapi_file_can(const struct uapi_file *f);
/*
 * Have @fn called when a stream gets ready to be read, and when it is no more; at once if it is
 * ready. One at a time, by any thread, with any lock of uapi's and below: it takes none of these.
 * NULL: not any more, which is done when it returns.
 */
void uapi_file_on_ready(struct uapi_file *f, void (*fn)(void *arg, bool ready), void *arg);

uint64_t uapi_file_pos(struct uapi_file *f); /* the file's own position; 0 of a stream */
/* Get the address of the device that a device file is of, bound or not; false: it is none. */
bool uapi_file_address(const struct uapi_file *f, struct pci_address *out);

long uapi_ioctl(struct uapi_file *f, unsigned int cmd, unsigned long arg);
/* @pos is the region's index << 40 | the offset in it. */
ssize_t uapi_pread(struct uapi_file *f, void *buf, size_t count, uint64_t pos);
ssize_t uapi_pwrite(struct uapi_file *f, const void *buf, size_t count, uint64_t pos);
/*
 * Read and write at the file's own position, which starts at 0, as read(2) and write(2) do.
 */
ssize_t uapi_read(struct uapi_file *f, void *buf, size_t count);
ssize_t uapi_write(struct uapi_file *f, const void *buf, size_t count);
/* Move the position, as lseek(2). -ESPIPE: it cannot be moved, which is so today. */
int64_t uapi_lseek(struct uapi_file *f, int64_t offset, int whence);
/* Return @pos, of mmap(2), in the form that the functions below take: region << 40 | offset. */
uint64_t uapi_mmap_pos(const struct uapi_file *f, uint64_t pos);
/*
 * Make the checks of mmap(2) on @f. Return 0: the range can be mapped; -EINVAL, -ENODEV. The caller
 * that then makes the mapping keeps a reference on @f, as the kernel's does, and sends its loads
 * and stores to uapi_mmio().
 */
int uapi_mmap_check(struct uapi_file *f, size_t len, int prot, int flags, uint64_t pos);
/* True if what was mapped, of a device, at @pos may be made writable. */
bool uapi_mmap_may_write(const struct uapi_file *f, uint64_t pos, uint64_t len);
/*
 * Return how many areas (vfio/device.h) the region at @pos has; *@out are the areas, which live as
 * long as @f. The memory of polled and direct ones shows in a mapping while they are open.
 */
unsigned uapi_mmap_areas(struct uapi_file *f, uint64_t pos, const struct vfio_region_area **out);
/* Have @mapper called with @f when areas open or close, until the last put. */
void uapi_mmap_tell(struct uapi_file *f, vfio_mapper_fn *mapper);
/* Say in @out, but for length and rights, what other devices reach at @pos. With a reference. */
void uapi_mmap_bar(struct uapi_file *f, uint64_t pos, struct vfio_bar *out);
/*
 * ---- files of another process (process=own) ----
 *
 * The devices of the run are in a process of their own, which all others call: their files are
 * called here as any other, and each call goes over there (far/).
 */
struct far_links;
/*
 * Open a node of /dev as uapi_open(), and have it installed: the number of its descriptor, or
 * -errno.
 */
int uapi_far_open(struct far_links *l, const struct uapi_fds *fds, const char *path, int flags);
/*
 * Make a file of this process's of the one that is over there, whose descriptor has this inode, got
 * from another process or by a fork or an exec: 0 with one reference; -ENODEV: there is none.
 */
int uapi_far_find(struct far_links *l, const struct uapi_fds *fds, uint64_t dev, uint64_t ino,
		  struct uapi_file **out);
bool uapi_file_is_far(const struct uapi_file *f);
/* Say over there that this process, a child of a fork, has a mapping of @f. */
void uapi_far_hold(struct uapi_file *f);

/* True if areas of this kind are open now. Takes no lock. */
bool uapi_mmap_open(struct uapi_file *f, enum vfio_area_kind kind);
/*
 * Make a load or store of 1..8 bytes at @pos (region << 40 | offset) of a mapping. Return 0 or
 * -EIO. @value is the library's memory.
 */
int uapi_mmio(struct uapi_file *f, uint64_t pos, unsigned size, uint64_t *value, bool write);
#endif
