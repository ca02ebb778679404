/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * uapi/container.c: ioctls of /dev/vfio/vfio. Before SET_IOMMU everything but the first three is
 * -EINVAL; after it the rest is the IOMMU driver's (type1.c).
 */
#include "uapi/internal.h"

static long container_ioctl(struct uapi_file *f, unsigned int cmd, unsigned long arg)
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
	if (!t && vfio_container_is_noiommu(f->container))
		return report_warn("noiommu-ioctl", "container", -ENOTTY,
				   "ioctl 0x%x: without an IOMMU there is nothing to map", cmd);
	if (!t)
		return -EINVAL;
	ret = uapi_type1_ioctl(t, cmd, arg);
	vfio_container_type1_put(f->container);
	if (ret == -ENOTTY)
		report_warn("ioctl-unknown", "container", -ENOTTY,
			    "ioctl 0x%x is not one of a type1 IOMMU", cmd);
	return ret;
}

static void container_release(struct uapi_file *f)
{
	vfio_container_put(f->container);
}

static const char *const names[] = {
	[0] = "GET_API_VERSION",    "CHECK_EXTENSION", "SET_IOMMU",
	[12] = "IOMMU_GET_INFO",    "IOMMU_MAP_DMA",   "IOMMU_UNMAP_DMA",
	[17] = "IOMMU_DIRTY_PAGES",
};

const struct uapi_file_ops uapi_container_ops = {
	.kind = VFIO_FILE_CONTAINER,
	.ioctl = container_ioctl,
	.release = container_release,
	.names = { names, VFIO_BASE, ARRAY_SIZE(names) },
};

int uapi_container_open(struct vfio_system *sys, const struct uapi_fds *fds, struct uapi_file **out)
{
	char link[VFIO_NODE_NAME];
	struct uapi_file *f;

	vfio_node_name(vfio_node_of(VFIO_FILE_CONTAINER), 0, link);
	f = uapi_file_new(sys, fds, &uapi_container_ops, link);
	if (!f)
		return -ENOMEM;
	f->container = vfio_container_new(sys);
	if (!f->container) {
		uapi_file_free(f);
		return -ENOMEM;
	}
	*out = f;
	return 0;
}
