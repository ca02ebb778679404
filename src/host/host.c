/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host/host.c: a device of the host is found, and forgotten. That it is there, and bound to
 * vfio-pci, says sysfs: a user learns what to do before anything is opened.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/heap.h"
#include "host/internal.h"

const struct host_env host_kernel = {
	.sysfs = "/sys", .dev = "/dev", .open = sys_open, .ioctl = sys_ioctl
};

int host_fail(char **err, int rc, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	if (!*err && vasprintf(err, format, ap) < 0)
		*err = NULL;
	va_end(ap);
	return rc;
}

int host_open_in(const struct host_env *env, const char *spec, struct host_device **out, char **err)
{
	return host_fail(err, -EOPNOTSUPP, "host=%s: devices of the host cannot be opened yet",
			 spec);
}

int host_open(const char *spec, struct host_device **out, char **err)
{
	*err = NULL;
	return host_open_in(&host_kernel, spec, out, err);
}

void host_close(struct host_device *h)
{
	if (!h)
		return;
	fd_close_private(h->given);
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
