/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host/host.h: the provider of real devices, which the kernel's VFIO has. A struct host_device is
 * one function of the host, found in sysfs; its struct vfio_device is opened, used and closed by
 * the waist as any other, and each call of it is one of the kernel's.
 *
 * A host_device alone holds no file of /dev/vfio: those are opened when the waist opens the device
 * first (vfio_device_ops.open), and closed with the last close, and when nobody has it attached any
 * more. So a process may have host devices to look at, and another one use them. Devices of one
 * IOMMU group of the host share its file and its container if they are of one struct vfio_system;
 * to another system, as to another process, the group is -EBUSY while it is open.
 *
 * Memory: what is done once the device is open takes none of malloc's (base/heap.h). Descriptors
 * are private (base/sys.h), system calls are the kernel's and come past the shim.
 *
 * Threads: host_open(), host_set_place(), host_close() and host_abandon() are for one thread at a
 * time and with nobody in the device; all else is for any.
 */
#ifndef HOST_HOST_H
#define HOST_HOST_H
#include <stdbool.h>
#include <stdint.h>

#include "base/pci_address.h"
#include "vfio/device.h"

struct host_device;

/**
 * host_open - find a device of the host
 * @spec: "0000:01:00.0", or a descriptor that somebody opened who may: "fd:GROUPFD,0000:01:00.0",
 *        that of its group, which has no container yet, or "cdev:FD", that of its
 *        /dev/vfio/devices/vfioN. The descriptor stays the caller's, a duplicate is made.
 * @out: gets the device
 * @err: gets a sentence of malloc's, or NULL, if it fails
 *
 * The device is not opened: what only its open can show (the group is viable, nobody else has it)
 * is an error of that.
 *
 * Return: 0; -EINVAL: @spec; -ENODEV: no such device, it has no IOMMU group, or it is not bound to
 * vfio-pci; -EBADF: the descriptor is none; -EOPNOTSUPP: no IOMMU is before it, or the interface is
 * not there; -ENOMEM.
 */
int host_open(const char *spec, struct host_device **out, char **err);
/** host_close - forget a device, which is not open and attached to nothing (@h may be NULL) */
void host_close(struct host_device *h);
/**
 * host_abandon - drop the device in a forked child, whose parent has it
 *
 * Closes what both have open; waits for nobody, takes no lock, keeps the memory.
 */
void host_abandon(struct host_device *h);

/** host_address - return where the host has it */
const struct pci_address *host_address(const struct host_device *h);
/** host_group - return the number of its IOMMU group in the host */
unsigned host_group(const struct host_device *h);
/**
 * host_set_place - say where our machine has the device, if that is elsewhere than in the host
 * @name: as a text, which outlives @h
 *
 * Before it is in a group of the waist. Lines of the log go by this name.
 */
void host_set_place(struct host_device *h, const char *name, const struct pci_address *at);
/* By which of the kernel's files a device is opened. */
enum host_via {
	HOST_VIA_ANY,	/* its character device, if it can be used, else its group's */
	HOST_VIA_GROUP, /* that of its group, with a container */
	HOST_VIA_CDEV,	/* its character device, with an iommufd (Linux 6.6) */
};
/**
 * host_set_via - choose by which files the device, which was named by its address, is opened
 * @err: gets a sentence of malloc's, or NULL, if it fails
 *
 * Before it is open. It is HOST_VIA_ANY at first.
 *
 * Return: 0; -EOPNOTSUPP: the kernel has no character device of it, or no iommufd.
 */
int host_set_via(struct host_device *h, enum host_via via, char **err);
/* The way in which regions can be mapped, if the kernel lets them be mapped. */
enum host_mmap {
	HOST_MMAP_DIRECT, /* as the kernel's own memory */
	HOST_MMAP_TRAP,	  /* each access is made by us */
	HOST_MMAP_OFF,	  /* not at all */
};
/** host_set_mmap - choose that, for opens from now on. It is HOST_MMAP_DIRECT at first. */
void host_set_mmap(struct host_device *h, enum host_mmap how);
/**
 * host_set_token - the VF token that is shown to the kernel at each open, unless the client shows
 * one
 */
void host_set_token(struct host_device *h, const uint8_t uuid[16]);
/**
 * host_check - see whether the kernel would give the device now
 *
 * For a user who wants to know before anything begins: its group's file is opened for a moment. Not
 * while this process has a device of the group open.
 *
 * Return: 0; -EBUSY: somebody has it, or another device of its group; -EPERM: the group is not
 * viable; or what else keeps the file from being opened. With a line in the log.
 */
int host_check(struct host_device *h);
/** host_vdev - return the device for the waist, which lives as long as @h */
struct vfio_device *host_vdev(struct host_device *h);
/** host_iommu - return its requester, for a group of the waist; no DMA of ours passes there */
struct iommu_device *host_iommu(struct host_device *h);

/* ---- what a bus sees of it: for a face (pci/face.h), open or not ---- */

/** host_config_size - return the bytes of config space that can be read: 64, 256 or 4096 */
unsigned host_config_size(struct host_device *h);
/**
 * host_config_read - read config space as it is, by sysfs
 * @size: 1, 2 or 4, aligned
 *
 * A user of the device sees BARs, MSI and some more as vfio-pci has them. The ids and BARs of a VF,
 * which has none of its own, are those that Linux gave it.
 *
 * Return: the value; all ones where nothing answers.
 */
uint32_t host_config_read(struct host_device *h, unsigned offset, unsigned size);
/**
 * host_vpd_read - read the four bytes of product data (VPD) at @offset, by sysfs
 *
 * Return: 0, or -errno: -EIO: there are no more; -ENOENT, -EACCES: sysfs does not show it.
 */
int host_vpd_read(struct host_device *h, unsigned offset, uint32_t *out);
/* A BAR of the host's; size 0: absent. Flags are UVFIO_BAR_* (uvfio/model.h). */
struct host_bar {
	uint64_t size;
	unsigned flags;
};
#define HOST_BARS 7u /* the last is the ROM */
/**
 * host_bar - describe BAR @bar as sysfs has it (resource)
 *
 * Return: 0; -EINVAL: no such BAR; or -errno: sysfs does not show it.
 */
int host_bar(struct host_device *h, unsigned bar, struct host_bar *out);
#endif
