/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/iommufd_device.c: devices that are bound to an iommufd, and the page tables that they are
 * attached to. A group has one page table: the first device that is attached takes its neighbours
 * along, which then can be attached to the same one only, or replace it for all. (iommufd_pasid.c
 * has those of PASIDs.)
 */
#include <errno.h>

#include "base/heap.h"
#include "iommu/page_request.h"
#include "vfio/iommufd_objects.h"

/* ---- binding ---- */

int iommufd_bind(struct vfio_iommufd *ictx, struct vfio_device *dev, uint32_t *id)
{
	struct vfio_iommufd_device *idev = heap_alloc(sizeof(*idev));
	struct vfio_group *g = dev->group;
	int ret;

	if (!idev)
		return -ENOMEM;
	pthread_mutex_lock(&ictx->lock);
	if (dev->iommufd)
		ret = -EINVAL;
	else if (g->iommufd_owner && g->iommufd_owner != ictx)
		ret = report_warn("iommufd-other", dev->name, -EPERM,
				  "another iommufd has a device of its group %u", g->iommu->id);
	else
		ret = iommufd_object_add(ictx, &idev->obj, IOMMUFD_DEVICE);
	if (!ret) {
		idev->obj.users = 1;
		idev->obj.ready = true;
		idev->ictx = ictx;
		idev->dev = dev;
		vfio_iommufd_get(ictx);
		g->iommufd_owner = ictx;
		g->iommufd_bound++;
		dev->iommufd = idev;
		*id = idev->obj.id;
		iommu_pri_client(dev->iommu, *id);
	}
	pthread_mutex_unlock(&ictx->lock);
	if (ret)
		heap_free(idev);
	return ret;
}

int vfio_iommufd_bind(struct vfio_iommufd *ictx, struct vfio_device *dev, uint32_t *id)
{
	int ret;

	pthread_mutex_lock(&dev->group->lock);
	ret = iommufd_bind(ictx, dev, id);
	pthread_mutex_unlock(&dev->group->lock);
	return ret;
}

struct vfio_iommufd *vfio_iommufd_of(const struct vfio_device *dev)
{
	return dev->iommufd ? dev->iommufd->ictx : NULL;
}

/* Return the number of @dev, or NULL, which is of @g, whose lock is held. */
static int dev_id(const struct vfio_iommufd *ictx, const struct vfio_group *g,
		  const struct vfio_device *dev)
{
	if (dev && dev->iommufd && dev->iommufd->ictx == ictx)
		return (int)dev->iommufd->obj.id;
	return g->iommufd_owner == ictx ? -ENOENT : -ENODEV;
}

int vfio_iommufd_dev_id(struct vfio_iommufd *ictx, struct vfio_device *dev)
{
	struct vfio_group *g = dev->group;
	int ret;

	pthread_mutex_lock(&g->lock);
	ret = dev_id(ictx, g, dev);
	pthread_mutex_unlock(&g->lock);
	return ret;
}

int vfio_iommufd_place_id(struct vfio_iommufd *ictx, const struct vfio_place *at)
{
	struct vfio_group *g = at->group;
	const struct vfio_device *dev = NULL;
	int ret;

	if (!g) /* of a real device's slot, and not here */
		return -ENODEV;
	pthread_mutex_lock(&g->lock);
	for (unsigned i = 0; i < g->n; i++)
		if (pci_address_equal(&g->places[i].address, &at->address))
			dev = g->places[i].dev;
	ret = dev_id(ictx, g, dev);
	pthread_mutex_unlock(&g->lock);
	return ret;
}

/* ---- attaching; the group's lock and the iommufd's are held ---- */

/* An attached device of @h is gone: one that was made by an attach goes with the last. */
static void put_hwpt(struct vfio_iommufd *ictx, struct iommufd_hwpt *h)
{
	h->obj.users--;
	if (h->automatic && !h->obj.users)
		iommufd_hwpt_free(ictx, h);
}

static void detach(struct vfio_iommufd_device *idev)
{
	struct iommufd_hwpt *h = idev->hwpt;

	if (!h)
		return;
	group_detach(idev->dev->group, idev->dev, h->space);
	idev->hwpt = NULL;
	idev->by_pasid_0 = false;
	h->ioas->devices--;
	put_hwpt(idev->ictx, h);
}

/* May @ioas have @idev, which has a window that is reserved if there is an IOMMU? */
static int check_window(const struct vfio_iommufd_device *idev, struct iommufd_ioas *ioas)
{
	return iommufd_is_noiommu(&idev->obj) ? 0 : iommufd_ioas_check_device(ioas);
}

int iommufd_check_fault(const struct vfio_iommufd_device *idev, const struct iommufd_hwpt *h)
{
	if (!h->fault || iommufd_is_noiommu(&idev->obj) ||
	    iommu_group_has_pri(idev->dev->group->iommu))
		return 0;
	return report_warn(
		"fault-queue-hardware", idev->dev->name, -ENODEV,
		"attach to a HWPT with a fault queue: the device, or one of its group, raises no "
		"page requests (PRI; --device testdev has them with pri=on)");
}

/*
 * May @idev be in @h, if that tracks what devices write? Of a device whose DMA does not pass our
 * IOMMU nothing is seen, and all pages would be clean.
 */
static int check_dirty(const struct vfio_iommufd_device *idev, const struct iommufd_hwpt *h)
{
	if (!h->dirty || !iommufd_is_outside(&idev->obj))
		return 0;
	return report_warn("hwpt-dirty-host", idev->dev->name, -EINVAL,
			   "attach to a HWPT with dirty tracking: the device's DMA goes by the "
			   "host's IOMMU, which we do not ask for what it wrote");
}

/* Attach @idev, which is not, to @h: its group as a whole if it is the first. */
static int attach_first(struct vfio_iommufd_device *idev, struct iommufd_hwpt *h)
{
	struct vfio_group *g = idev->dev->group;
	int ret;

	if (g->attached && g->ioas != h->space)
		return -EINVAL;
	ret = check_window(idev, h->ioas);
	if (!ret && !iommufd_group_allows(idev->dev->group, h))
		ret = -EINVAL;
	if (!ret)
		ret = iommufd_check_fault(idev, h);
	if (!ret)
		ret = check_dirty(idev, h);
	if (!ret)
		ret = group_attach(g, idev->dev, h->space);
	if (ret)
		return ret;
	idev->hwpt = h;
	h->obj.users++;
	h->ioas->devices++;
	return 0;
}

/* Have @h replace what @idev and the attached neighbours have. */
static int replace(struct vfio_iommufd_device *idev, struct iommufd_hwpt *h)
{
	struct vfio_group *g = idev->dev->group;
	struct iommufd_hwpt *old = idev->hwpt;
	int ret = 0;

	if (h == old)
		return 0;
	if (h->ioas != old->ioas)
		ret = check_window(idev, h->ioas);
	if (!ret && !iommufd_group_allows(idev->dev->group, h))
		ret = -EINVAL;
	if (!ret)
		ret = iommufd_check_fault(idev, h);
	if (!ret)
		ret = check_dirty(idev, h);
	if (!ret)
		ret = group_replace(g, old->space, h->space);
	if (ret)
		return ret;
	old->obj.users++; /* until all have left it */
	for (unsigned i = 0; i < g->n; i++) {
		struct vfio_device *dev = g->places[i].dev;

		if (!dev || !dev->iommufd || dev->iommufd->hwpt != old)
			continue;
		dev->iommufd->hwpt = h;
		h->obj.users++;
		h->ioas->devices++;
		old->obj.users--;
		old->ioas->devices--;
	}
	put_hwpt(idev->ictx, old);
	return 0;
}

static int attach(struct vfio_iommufd_device *idev, struct iommufd_hwpt *h)
{
	return idev->hwpt ? replace(idev, h) : attach_first(idev, h);
}

/* Attach @idev to a HWPT of @ioas that was made by an attach, or to a new one. */
static int attach_ioas(struct vfio_iommufd_device *idev, struct iommufd_ioas *ioas, uint32_t *pt_id)
{
	struct iommufd_hwpt *h, *next;
	int ret;

	cds_list_for_each_entry_safe(h, next, &ioas->hwpts, in_ioas) {
		if (!h->automatic)
			continue;
		ret = attach(idev, h);
		if (ret == -EINVAL) /* it is not for this device */
			continue;
		if (!ret)
			*pt_id = h->obj.id;
		return ret;
	}
	if (!idev->hwpt) { /* before the memory is looked at */
		ret = idev->dev->group->attached ? -EINVAL : check_window(idev, ioas);
		if (!ret && !iommufd_group_allows(idev->dev->group, NULL))
			ret = -EINVAL;
		if (ret)
			return ret;
	}
	ret = iommufd_hwpt_new(idev->ictx, ioas, iommufd_is_noiommu(&idev->obj), &h);
	if (ret)
		return ret;
	h->automatic = true;
	ret = attach(idev, h);
	if (ret) {
		iommufd_hwpt_free(idev->ictx, h);
		return ret;
	}
	h->obj.ready = true;
	*pt_id = h->obj.id;
	return 0;
}

static int attach_id(struct vfio_iommufd_device *idev, uint32_t *pt_id)
{
	struct iommufd_object *o = iommufd_object_get(idev->ictx, *pt_id, IOMMUFD_ANY);

	if (!o)
		return -ENOENT;
	switch (o->kind) {
	case IOMMUFD_HWPT:
		return attach(idev, container_of_type(o, struct iommufd_hwpt, obj));
	case IOMMUFD_IOAS:
		return attach_ioas(idev, container_of_type(o, struct iommufd_ioas, obj), pt_id);
	default:
		return -EINVAL;
	}
}

/* ---- from outside ---- */

/*
 * The kernel keeps apart what was attached with a PASID and what was not, and takes PASID 0 for
 * none: so it can be attached in either way, not in both, and has to be detached in the same.
 */
static int attach_0(struct vfio_iommufd_device *idev, uint32_t *pt_id, bool by_pasid)
{
	int ret;

	if (idev->hwpt && idev->by_pasid_0 != by_pasid)
		return iommufd_object_get(idev->ictx, *pt_id, IOMMUFD_ANY) ? -EBUSY : -ENOENT;
	ret = attach_id(idev, pt_id);
	if (!ret)
		idev->by_pasid_0 = by_pasid;
	return ret;
}

int iommufd_attach(struct vfio_device *dev, uint32_t *pt_id, const uint32_t *pasid)
{
	struct vfio_iommufd_device *idev = dev->iommufd;
	int ret;

	if (!idev)
		return -EINVAL;
	pthread_mutex_lock(&idev->ictx->lock);
	if (pasid && *pasid)
		ret = iommufd_pasid_attach(idev, *pt_id, *pasid);
	else
		ret = attach_0(idev, pt_id, pasid);
	pthread_mutex_unlock(&idev->ictx->lock);
	return ret;
}

int vfio_iommufd_attach(struct vfio_device *dev, uint32_t *pt_id, const uint32_t *pasid)
{
	int ret;

	pthread_mutex_lock(&dev->group->lock);
	ret = iommufd_attach(dev, pt_id, pasid);
	pthread_mutex_unlock(&dev->group->lock);
	return ret;
}

int vfio_iommufd_detach(struct vfio_device *dev, const uint32_t *pasid)
{
	struct vfio_iommufd_device *idev;
	int ret = -EINVAL;

	pthread_mutex_lock(&dev->group->lock);
	idev = dev->iommufd;
	if (idev) {
		pthread_mutex_lock(&idev->ictx->lock);
		if (pasid && *pasid)
			iommufd_pasid_detach(idev, *pasid);
		else if (!pasid == !idev->by_pasid_0)
			detach(idev);
		pthread_mutex_unlock(&idev->ictx->lock);
		ret = 0;
	}
	pthread_mutex_unlock(&dev->group->lock);
	return ret;
}

void iommufd_unbind(struct vfio_device *dev)
{
	struct vfio_iommufd_device *idev = dev->iommufd;
	struct vfio_group *g = dev->group;
	struct vfio_iommufd *ictx;

	if (!idev)
		return;
	ictx = idev->ictx;
	pthread_mutex_lock(&ictx->lock);
	iommufd_pasid_detach_all(idev);
	detach(idev);
	iommu_pri_client(dev->iommu, 0);
	iommufd_object_remove(ictx, &idev->obj);
	dev->iommufd = NULL;
	if (!--g->iommufd_bound)
		g->iommufd_owner = NULL;
	pthread_mutex_unlock(&ictx->lock);
	heap_free(idev);
	vfio_iommufd_put(ictx);
}

void vfio_iommufd_unbind(struct vfio_device *dev)
{
	pthread_mutex_lock(&dev->group->lock);
	iommufd_unbind(dev);
	pthread_mutex_unlock(&dev->group->lock);
}
