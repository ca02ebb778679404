/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * uapi/container.c: ioctls of /dev/vfio/vfio. Before SET_IOMMU everything but the first three is
 * -EINVAL; after it the rest is the IOMMU driver's (type1.c).
 */
#include "uapi/internal.h"

long uapi_container_ioctl(struct uapi_file *f, unsigned int cmd, unsigned long arg)
{
	struct vfio_type1 *t;
	long ret;

	switch (cmd) {
	case VFIO_GET_API_VERSION:
		return VFIO_API_VERSION;
	case VFIO_CHECK_EXTENSION:
		return vfio_container_check_extension(f->container, arg);
	case VFIO_SET_IOMMU:
		return vfio_container_set_iommu(f->container, arg);
	}
	t = vfio_container_type1_get(f->container);
	if (!t)
		return -EINVAL;
	ret = uapi_type1_ioctl(t, cmd, arg);
	vfio_container_type1_put(f->container);
	if (ret == -ENOTTY)
		report_warn("ioctl-unknown", "container", -ENOTTY,
			    "ioctl 0x%x is not one of a type1 IOMMU", cmd);
	return ret;
}
