/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host/internal.h: a device of the host from the inside. Two ways lead to the kernel's file of it:
 * its group with a container of type1 (group.c, container.c), and its character device with an
 * iommufd (cdev.c). What is asked of an open device is the same for both (device.c).
 */
#ifndef HOST_INTERNAL_H
#define HOST_INTERNAL_H
#include <errno.h>
#include <pthread.h>
#include <stddef.h>

#include "base/report.h"
#include "base/sys.h"
#include "base/util.h"
#include "host/host.h"
#include "iommu/device.h"
#include "vfio/ioas.h"

struct host_way;

#define HOST_PATH 320u /* bytes of a path */

/* The kernel that is asked: a unit test puts one of its own there. */
struct host_env {
	const char *sysfs, *dev;			    /* "/sys", "/dev" */
	int (*open)(const char *path, int flags, int mode); /* a descriptor, or -errno */
	int (*ioctl)(int fd, unsigned long cmd, void *arg); /* the value, or -errno */
};
extern const struct host_env host_kernel;
/* That of host_open(): a unit test of others puts its own here. */
extern const struct host_env *host_env;

/* A region, as the kernel told of it when the device was opened. */
struct host_region {
	bool there;
	struct vfio_region info;
	uint64_t offset; /* in the device's file */
	struct vfio_region_area *areas;
};
/* More than any device has; the kernel counts them in 32 bits. */
#define HOST_REGIONS 64u
#define HOST_IRQS    16u

struct host_device {
	struct vfio_device vdev;
	struct iommu_device iommu;
	const struct host_env *env;
	const struct host_way *way;
	struct pci_address address; /* in the host */
	char name[PCI_ADDRESS_TEXT];
	unsigned group;
	int given; /* the file of its group or its own, of who opened it before us; -1: none */
	enum host_mmap mmap;
	bool has_token;
	uint8_t token[16]; /* for opens of clients who show none */
	/* below: changed when it is opened and closed, under vfio_device.lock */
	int fd; /* the device's file; -1: not open */
	struct host_region regions[HOST_REGIONS];
	struct vfio_irq irqs[HOST_IRQS]; /* flags and count 0: it is not there */
	uint32_t atomics;		 /* VFIO_PCI_ATOMIC_COMP* */
	bool shown;			 /* the client of the next open shows this one: */
	uint8_t shown_token[16];
	void *own;		    /* the way's */
	struct vfio_ioas *attached; /* under the locks of vfio_device_ops.attach */
};

static inline struct host_device *to_host(struct vfio_device *dev)
{
	return container_of_type(dev, struct host_device, vdev);
}

/* A way to the device's file. Errors are -errno, with a line in the log. */
struct host_way {
	/*
	 * Open the device's file: return a private descriptor. @io: the address space that it will
	 * be attached to next; NULL: not known yet.
	 */
	int (*open)(struct host_device *h, struct vfio_ioas *io);
	/* Its file, h->fd, was closed; what a later detach() needs stays. */
	void (*closed)(struct host_device *h);
	/* vfio_device_ops.attach, detach: have the device reach what @io has, or nothing. */
	int (*attach)(struct host_device *h, struct vfio_ioas *io);
	void (*detach)(struct host_device *h, struct vfio_ioas *io);
	/*
	 * May the device, which is open, be opened once more with this VF token (NULL: none)? 0 or
	 * the kernel's answer.
	 */
	int (*check_token)(struct host_device *h, const uint8_t *uuid);
	/*
	 * Return the file of the host's group @group that shows the kernel that its devices are
	 * ours to reset; -1: it is not open here. NULL: the kernel knows without.
	 */
	int (*reset_file)(struct host_device *h, unsigned group);
	/* In a forked child: close what both have open, but h->fd and h->given. */
	void (*abandon)(struct host_device *h);
};
extern const struct host_way host_by_group, host_by_cdev;

/* ---- cdev.c ---- */

/* Write the path of the device's character device. 0; -ENODEV: it has none; -errno. */
int host_cdev_path(const struct host_device *h, char path[HOST_PATH]);
/* True if it and the iommufd can be opened, as far as their modes tell. */
bool host_cdev_usable(const struct host_device *h);
/* Return by whom the IOAS hears of mappings to which the device is attached. For tests. */
struct vfio_ioas_listener *host_cdev_listener(const struct host_device *h);

/* ---- host.c ---- */

/* As host_open(), of the kernel that @env has, which outlives the device. */
int host_open_in(const struct host_env *env, const char *spec, struct host_device **out,
		 char **err);

/* ---- device.c: what is asked of an open device ---- */

/* Give @h, which is all zeros but for its names, its struct vfio_device. */
void host_device_init(struct host_device *h);
/* Return the device of the host that @dev is, or NULL: it is another provider's. */
struct host_device *host_of(struct vfio_device *dev);

/*
 * Tell the front of the kernel's VFIO file by which @h is had (vfio_device.file_changed): before
 * the device is fetched by it, and before it is closed. 0 or -errno.
 */
int host_file_changed(struct host_device *h, int fd, bool add);

/* ---- info.c: structures of the kernel's that grow ---- */

/*
 * Have the ioctl @cmd fill a struct that begins with argsz: @size bytes at @head at first, as many
 * as it has to say in the end. *@out is memory of base/heap.h. Return its size, or -errno.
 */
int host_info(const struct host_env *env, int fd, unsigned long cmd, const void *head, size_t size,
	      void **out);
/*
 * Find capability @id in such a struct, whose chain begins at @at (0: there is none). NULL: it has
 * none, or not with @min bytes. *@room gets how many bytes there are from its begin on.
 */
const void *host_info_cap(const void *info, size_t size, uint32_t at, uint16_t id, size_t min,
			  size_t *room);

/* ---- regions.c ---- */

/* Ask the kernel for the regions and interrupts of @h, which is just open. 0 or -errno. */
int host_regions_get(struct host_device *h, unsigned regions, unsigned irqs);
/* Free what the last open found. */
void host_regions_free(struct host_device *h);
int host_get_region(struct vfio_device *dev, uint32_t index, struct vfio_region *out);
int host_get_irq(struct vfio_device *dev, uint32_t index, struct vfio_irq *out);
ssize_t host_rw(struct vfio_device *dev, uint32_t index, uint64_t pos, void *buf, size_t count,
		bool write);
int host_mmio(struct vfio_device *dev, uint32_t index, uint64_t pos, unsigned size, uint64_t *value,
	      bool write);
int host_ioeventfd(struct vfio_device *dev, uint32_t flags, uint64_t offset, uint64_t data, int fd);
int host_set_irqs(struct vfio_device *dev, const struct vfio_irq_set_args *a);

/* ---- reset.c ---- */

int host_reset(struct vfio_device *dev);
int host_host_reset(struct vfio_device *dev);
int host_slot(struct vfio_device *dev, struct vfio_place *out, unsigned max);
int host_hot_reset(struct vfio_device *dev);

/* ---- container.c: a container of the kernel's, in which an address space is mirrored ---- */

struct kernel_container {
	struct vfio_ioas_listener listener;
	struct cds_list_head node; /* host_system.containers */
	const struct host_env *env;
	int fd;
	unsigned groups; /* of the kernel's, in it */
	bool v2;	 /* type1v2: an unmap cuts no mapping */
	/* what it mirrors, for so many devices; NULL: it is empty */
	struct vfio_ioas *io;
	unsigned attached;
	uint64_t bytes; /* mapped; under the address space's lock */
	char who[32];	/* for the log: the device that it was made for */
};

/* Open a container without a group in it. 0 or -errno, with a line. */
int host_container_new(const struct host_env *env, const char *who, struct kernel_container **out);
void host_container_free(struct kernel_container *c);
/* Choose its IOMMU; it has a group. 0 or -errno, with a line. */
int host_container_set_iommu(struct kernel_container *c);
/* One device more is in @io by it: 0; -EBUSY: it mirrors another one; or what cannot be mapped. */
int host_container_attach(struct kernel_container *c, struct vfio_ioas *io, const char *who);
void host_container_detach(struct kernel_container *c);

/* ---- sysfs.c: files of the host's /sys, past the shim ---- */

/*
 * Read the last component of the link /sys/bus/pci/devices/@name/@link: its length, or -errno
 * (-ENOENT: there is none).
 */
int host_sysfs_link(const struct host_env *env, const char *name, const char *link, char *out,
		    size_t size);
/* Return the number of the IOMMU group that the device @name is in, or -errno: it has none. */
int host_sysfs_group(const struct host_env *env, const char *name);
/* Read a file of the device @name, ended by a null byte: its length, or -errno. */
int host_sysfs_read(const struct host_env *env, const char *name, const char *file, char *out,
		    size_t size);
/* @name of a file that is no device's, but has a path from /sys on. */
#define HOST_SYSFS_TOP "../../.."
/* Find the name of the device whose character device @fd is. Its length, or -errno. */
int host_sysfs_of_cdev(const struct host_env *env, int fd, char *out, size_t size);
/* Write @text to a file of the device @name. Return its length, or -errno. */
int host_sysfs_write(const struct host_env *env, const char *name, const char *file,
		     const char *text);
/*
 * Call @fn for each name in the directory @path below /sys, until it returns something else than
 * 0, which is returned. -errno: it cannot be read.
 */
int host_sysfs_each(const struct host_env *env, const char *path,
		    int (*fn)(const char *name, void *arg), void *arg);
#endif
