/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host/host.c: a device of the host is found, and forgotten. That it is there, and bound to
 * vfio-pci, says sysfs: a user learns what to do before anything is opened.
 */
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/heap.h"
#include "host/internal.h"

const struct host_env host_kernel = {
	.sysfs = "/sys", .dev = "/dev", .open = sys_open, .ioctl = sys_ioctl
};

const struct host_env *host_env = &host_kernel;

/* Have the sentence FORMAT in *@err, and return @rc. */
static int __attribute__((format(printf, 3, 4))) fail(char **err, int rc, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	if (!*err && vasprintf(err, format, ap) < 0)
		*err = NULL;
	va_end(ap);
	return rc;
}

/* ---- finding it ---- */

/* Read a decimal number, which ends at @end. -EINVAL: it is none. */
static int parse_number(const char **text, char end, int *out)
{
	const char *c = *text;
	long v = 0;

	if (*c < '0' || *c > '9')
		return -EINVAL;
	for (; *c >= '0' && *c <= '9'; c++) {
		v = v * 10 + (*c - '0');
		if (v > INT_MAX)
			return -EINVAL;
	}
	if (*c != end)
		return -EINVAL;
	*text = end ? c + 1 : c;
	*out = (int)v;
	return 0;
}

/* A spec that was read. */
struct wanted {
	const struct host_way *way;
	int fd; /* that was given, or -1 */
	struct pci_address address;
};

static int parse(const struct host_env *env, const char *spec, struct wanted *w, char **err)
{
	const char *text = spec;
	char name[64];
	int rc;

	*w = (struct wanted){ .way = &host_by_group, .fd = -1 };
	if (!strncmp(text, "cdev:", 5)) {
		text += 5;
		rc = parse_number(&text, '\0', &w->fd);
		if (rc)
			return fail(err, rc, "%s: cdev:FD, with FD the number of a descriptor",
				    spec);
		w->way = &host_by_cdev;
		rc = host_sysfs_of_cdev(env, w->fd, name, sizeof(name));
		if (rc < 0)
			return fail(err, rc,
				    "%s: descriptor %d is of no character device of VFIO: %s", spec,
				    w->fd, strerror(-rc));
		text = name;
	} else if (!strncmp(text, "fd:", 3)) {
		text += 3;
		rc = parse_number(&text, ',', &w->fd);
		if (rc)
			return fail(err, rc,
				    "%s: fd:GROUPFD,ADDRESS, with GROUPFD the number of a "
				    "descriptor of the device's group",
				    spec);
	}
	if (pci_address_parse(text, &w->address))
		return fail(err, -EINVAL, "%s: '%s' is no PCI address like 0000:01:00.0", spec,
			    text);
	return 0;
}

/* Find the number of the group of @h, which the kernel's IOMMU made. */
static int find_group(struct host_device *h, char **err)
{
	char path[64], kind[32] = "";
	int id, rc;

	if (host_sysfs_read(h->env, h->name, "vendor", kind, sizeof(kind)) == -ENOENT)
		return fail(err, -ENODEV, "the host has no PCI device %s", h->name);
	id = host_sysfs_group(h->env, h->name);
	if (id < 0)
		return fail(err, -ENODEV,
			    "%s has no IOMMU group: the host has no IOMMU, or it is off (kernel "
			    "parameter intel_iommu=on or amd_iommu=on)",
			    h->name);
	h->group = (unsigned)id;
	snprintf(path, sizeof(path), "kernel/iommu_groups/%d/name", id);
	rc = host_sysfs_read(h->env, HOST_SYSFS_TOP, path, kind, sizeof(kind));
	if (rc > 0 && !strncmp(kind, "vfio-noiommu", 12))
		return fail(err, -EOPNOTSUPP,
			    "%s has no IOMMU before it (enable_unsafe_noiommu_mode): its DMA "
			    "would go to physical addresses, which we do not know",
			    h->name);
	return 0;
}

/* Check that a driver of VFIO has it; else say which one has, and how that is changed. */
static int check_driver(struct host_device *h, char **err)
{
	char driver[64] = "";
	int rc = host_sysfs_link(h->env, h->name, "driver", driver, sizeof(driver));
	char unbind[128] = "";

	if (rc >= 0 && strstr(driver, "vfio"))
		return 0;
	if (rc >= 0)
		snprintf(unbind, sizeof(unbind), "echo %s >/sys/bus/pci/devices/%s/driver/unbind; ",
			 h->name, h->name);
	return fail(err, -ENODEV,
		    "%s is bound to %s in the host, not to vfio-pci. As root: echo vfio-pci "
		    ">/sys/bus/pci/devices/%s/driver_override; %secho %s "
		    ">/sys/bus/pci/drivers_probe",
		    h->name, rc < 0 ? "no driver" : driver, h->name, unbind, h->name);
}

/* Have a duplicate of the group's file that was given, which must be of @h's group. */
static int take_given(struct host_device *h, int fd, char **err)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	int rc = fd_dup_private(fd);

	if (rc < 0)
		return fail(err, rc, "descriptor %d: %s", fd, strerror(-rc));
	h->given = rc;
	if (h->way != &host_by_group)
		return 0;
	rc = h->env->ioctl(h->given, VFIO_GROUP_GET_STATUS, &status);
	return rc < 0 ? fail(err, -EINVAL, "descriptor %d is of no group of VFIO", fd) : 0;
}

int host_open_in(const struct host_env *env, const char *spec, struct host_device **out, char **err)
{
	struct host_device *h;
	struct wanted w;
	int rc;

	rc = parse(env, spec, &w, err);
	if (rc)
		return rc;
	h = heap_alloc(sizeof(*h));
	if (!h)
		return fail(err, -ENOMEM, "out of memory");
	h->env = env;
	h->way = w.way;
	h->address = w.address;
	h->given = -1;
	pci_address_print(&h->address, h->name);
	host_device_init(h);
	rc = find_group(h, err);
	if (!rc)
		rc = check_driver(h, err);
	if (!rc && w.fd >= 0)
		rc = take_given(h, w.fd, err);
	if (!rc && w.fd < 0)
		rc = host_set_via(h, HOST_VIA_ANY, err);
	if (rc) {
		host_close(h);
		return rc;
	}
	*out = h;
	return 0;
}

int host_set_via(struct host_device *h, enum host_via via, char **err)
{
	char path[HOST_PATH];

	*err = NULL;
	if (via == HOST_VIA_ANY)
		via = host_cdev_usable(h) ? HOST_VIA_CDEV : HOST_VIA_GROUP;
	if (via == HOST_VIA_CDEV && host_cdev_path(h, path))
		return fail(err, -EOPNOTSUPP,
			    "%s has no character device: this kernel has none "
			    "(CONFIG_VFIO_DEVICE_CDEV, since 6.6)",
			    h->name);
	h->way = via == HOST_VIA_CDEV ? &host_by_cdev : &host_by_group;
	return 0;
}

void host_set_mmap(struct host_device *h, enum host_mmap how)
{
	/* a monitor on KVM says it again, with nothing new, while others look */
	if (h->mmap != how)
		h->mmap = how;
}

int host_open(const char *spec, struct host_device **out, char **err)
{
	*err = NULL;
	return host_open_in(host_env, spec, out, err);
}

void host_close(struct host_device *h)
{
	if (!h)
		return;
	fd_close_private(h->given);
	host_regions_free(h);
	vfio_device_fini(&h->vdev);
	iommu_device_fini(&h->iommu);
	heap_free(h);
}

void host_abandon(struct host_device *h)
{
	h->way->abandon(h);
	fd_close_private(h->fd);
	fd_close_private(h->given);
	h->fd = h->given = -1;
}

const struct pci_address *host_address(const struct host_device *h)
{
	return &h->address;
}

unsigned host_group(const struct host_device *h)
{
	return h->group;
}

void host_set_place(struct host_device *h, const char *name, const struct pci_address *at)
{
	h->vdev.name = h->iommu.name = name;
	h->vdev.address = *at;
}

void host_set_token(struct host_device *h, const uint8_t uuid[16])
{
	memcpy(h->token, uuid, sizeof(h->token));
	h->has_token = true;
}

struct vfio_device *host_vdev(struct host_device *h)
{
	return &h->vdev;
}

struct iommu_device *host_iommu(struct host_device *h)
{
	return &h->iommu;
}
