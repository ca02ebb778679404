/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_pci/feature.c: VFIO_DEVICE_FEATURE: which features the driver has, and what each of them
 * takes and gives.
 */
#include "vfio_pci/internal.h"

/*
 * linux/vfio.h: VFIO_DEVICE_FEATURE_PCI_VF_TOKEN is set, never read, since it could be the token of
 * an earlier user
 */
static int feature_token(struct vfio_pci_device *vd, uint32_t flags, const void *data, size_t size,
			 size_t copied)
{
	if (!vd->token)
		return -ENOTTY;
	if (flags & VFIO_DEVICE_FEATURE_GET)
		return -EINVAL;
	if (flags & VFIO_DEVICE_FEATURE_PROBE)
		return 0;
	if (!(flags & VFIO_DEVICE_FEATURE_SET) || size < sizeof(vd->token->uuid))
		return -EINVAL;
	if (copied < sizeof(vd->token->uuid))
		return -EFAULT;
	vfio_pci_load_token(&vd->vdev, data);
	vfio_pci_token_changed(vd->token);
	return 0;
}

int vfio_pci_feature(struct vfio_device *dev, uint32_t flags, void *data, size_t size,
		     size_t copied)
{
	if ((flags & VFIO_DEVICE_FEATURE_MASK) == VFIO_DEVICE_FEATURE_PCI_VF_TOKEN)
		return feature_token(to_vfio_pci(dev), flags, data, size, copied);
	return -ENOTTY; /* low power needs a platform that has it, migration a device that has it */
}
