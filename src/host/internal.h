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

/* Where the kernel is: a unit test puts a kernel of its own there. */
struct host_env {
	const char *sysfs, *dev;			    /* "/sys", "/dev" */
	int (*open)(const char *path, int flags, int mode); /* a descriptor, or -errno */
	int (*ioctl)(int fd, unsigned long cmd, void *arg); /* the value, or -errno */
};
extern const struct host_env host_kernel;

struct host_device {
	struct vfio_device vdev;
	struct vfio_device_ops ops; /* the vdev's, without those that the kernel's has not */
	struct iommu_device iommu;
	const struct host_env *env;
	const struct host_way *way;
	struct pci_address address; /* in the host */
	char name[PCI_ADDRESS_TEXT];
	unsigned group;
	int given; /* the file of its group or its own, of who opened it before us; -1: none */
	bool has_token;
	uint8_t token[16]; /* for opens of clients who show none */
	/* below: changed when it is opened and closed, under vfio_device.lock */
	int fd;	    /* the device's file; -1: not open */
	bool shown; /* the client of the next open shows this one: */
	uint8_t shown_token[16];
	void *own; /* the way's */
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
/* Return by whom the IOAS hears of mappings to which the device is attached. For tests. */
struct vfio_ioas_listener *host_cdev_listener(const struct host_device *h);

/* ---- host.c ---- */

/* As host_open(), of the kernel that @env has, which outlives the device. */
int host_open_in(const struct host_env *env, const char *spec, struct host_device **out,
		 char **err);
/* Have the sentence FORMAT in *@err, and return @rc. */
int host_fail(char **err, int rc, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* ---- sysfs.c: files of the host's /sys, past the shim ---- */

/*
 * Read the last component of the link /sys/bus/pci/devices/@name/@link: its length, or -errno
 * (-ENOENT: there is none).
 */
int host_sysfs_link(const struct host_env *env, const char *name, const char *link, char *out,
		    size_t size);
/* Read a file of the device @name, ended by a null byte: its length, or -errno. */
int host_sysfs_read(const struct host_env *env, const char *name, const char *file, char *out,
		    size_t size);
/*
 * Call @fn for each name in the directory @path below /sys, until it returns something else than
 * 0, which is returned. -errno: it cannot be read.
 */
int host_sysfs_each(const struct host_env *env, const char *path,
		    int (*fn)(const char *name, void *arg), void *arg);
#endif
