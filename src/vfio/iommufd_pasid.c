/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/iommufd_pasid.c: page tables that a device uses for accesses with a PASID, beside that of
 * accesses without. A group has one for each PASID, as it has one without: the first device that is
 * attached takes its neighbours along. All of them were made for use with PASIDs
 * (IOMMU_HWPT_ALLOC_PASID), which no table is that an attach makes.
 *
 * The group's lock and the iommufd's are held.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "base/heap.h"
#include "vfio/iommufd_objects.h"

/* Return where @pasid is among those of @idev, or would be. */
static unsigned find(const struct vfio_iommufd_device *idev, uint32_t pasid)
{
	unsigned from = 0, to = idev->num_pasids, mid;

	while (from < to) {
		mid = from + (to - from) / 2;
		if (idev->pasids[mid].pasid < pasid)
			from = mid + 1;
		else
			to = mid;
	}
	return from;
}

/* Return the page table that @idev (may be NULL) uses for @pasid, or NULL. */
static struct iommufd_hwpt *hwpt_of(const struct vfio_iommufd_device *idev, uint32_t pasid)
{
	unsigned at = idev ? find(idev, pasid) : 0;

	return idev && at < idev->num_pasids && idev->pasids[at].pasid == pasid
		       ? idev->pasids[at].hwpt
		       : NULL;
}

static struct vfio_iommufd_device *member(const struct vfio_group *g, unsigned i)
{
	return g->places[i].dev ? g->places[i].dev->iommufd : NULL;
}

/* Return what somebody in @g uses for @pasid, or NULL. */
static struct iommufd_hwpt *group_hwpt(const struct vfio_group *g, uint32_t pasid)
{
	struct iommufd_hwpt *h = NULL;

	for (unsigned i = 0; i < g->n && !h; i++)
		h = hwpt_of(member(g, i), pasid);
	return h;
}

bool iommufd_group_allows(const struct vfio_group *g, const struct iommufd_hwpt *h)
{
	for (unsigned i = 0; i < g->n && !(h && h->pasids); i++)
		if (member(g, i) && member(g, i)->num_pasids)
			return false;
	return true;
}

/* May the group of @idev use @h for @pasid? 0 or -errno, in the kernel's order. */
static int check(const struct vfio_iommufd_device *idev, const struct iommufd_hwpt *h,
		 uint32_t pasid)
{
	struct vfio_group *g = idev->dev->group;
	unsigned bits = iommu_group_pasid_bits(g->iommu);

	if (!h->pasids)
		return -EINVAL;
	for (unsigned i = 0; i < g->n; i++)
		if (member(g, i) && member(g, i)->hwpt && !member(g, i)->hwpt->pasids)
			return -EINVAL;
	if (!bits || iommufd_is_noiommu(&idev->obj))
		return report_warn("pasid-hardware", idev->dev->name, -EOPNOTSUPP,
				   "attach of PASID %u: the device has none, or no IOMMU (--device "
				   "testdev has them with pasid_bits=)",
				   pasid);
	if (pasid >> bits)
		return -EINVAL;
	return iommufd_check_fault(idev, h);
}

static int attach_first(struct vfio_iommufd_device *idev, struct iommufd_hwpt *h, uint32_t pasid)
{
	struct vfio_group *g = idev->dev->group;
	struct iommufd_hwpt *other = group_hwpt(g, pasid);
	unsigned at = find(idev, pasid);
	struct iommufd_pasid *p;
	int ret = 0;

	if (other && other != h)
		return -EINVAL;
	if (!other)
		ret = check(idev, h, pasid);
	if (ret)
		return ret;
	p = heap_resize(idev->pasids, (idev->num_pasids + 1) * sizeof(*p));
	if (!p)
		return -ENOMEM;
	idev->pasids = p;
	if (!other)
		ret = iommu_group_attach_pasid(g->iommu, pasid, vfio_ioas_domain(h->space));
	if (ret)
		return ret;
	memmove(p + at + 1, p + at, (idev->num_pasids - at) * sizeof(*p));
	p[at] = (struct iommufd_pasid){ pasid, h };
	idev->num_pasids++;
	h->obj.users++;
	return 0;
}

/* Have @h replace what @idev and its neighbours use for @pasid. */
static int replace(struct vfio_iommufd_device *idev, struct iommufd_hwpt *h, uint32_t pasid)
{
	struct iommufd_hwpt *old = hwpt_of(idev, pasid);
	struct vfio_group *g = idev->dev->group;
	int ret;

	if (h == old)
		return 0;
	ret = check(idev, h, pasid);
	if (!ret)
		ret = iommu_group_attach_pasid(g->iommu, pasid, vfio_ioas_domain(h->space));
	for (unsigned i = 0; i < g->n && !ret; i++) {
		struct vfio_iommufd_device *m = member(g, i);

		if (!hwpt_of(m, pasid))
			continue;
		m->pasids[find(m, pasid)].hwpt = h;
		h->obj.users++;
		old->obj.users--;
	}
	return ret;
}

int iommufd_pasid_attach(struct vfio_iommufd_device *idev, uint32_t pt_id, uint32_t pasid)
{
	struct iommufd_object *o = iommufd_object_get(idev->ictx, pt_id, IOMMUFD_ANY);
	struct iommufd_hwpt *h;

	if (pasid > INT32_MAX)
		return -ENOSPC;
	if (!o)
		return -ENOENT;
	if (o->kind != IOMMUFD_HWPT)
		return -EINVAL;
	h = container_of_type(o, struct iommufd_hwpt, obj);
	return hwpt_of(idev, pasid) ? replace(idev, h, pasid) : attach_first(idev, h, pasid);
}

void iommufd_pasid_detach(struct vfio_iommufd_device *idev, uint32_t pasid)
{
	struct iommufd_hwpt *h = hwpt_of(idev, pasid);
	struct vfio_group *g = idev->dev->group;
	unsigned at = find(idev, pasid);

	if (!h)
		return;
	idev->num_pasids--;
	memmove(idev->pasids + at, idev->pasids + at + 1,
		(idev->num_pasids - at) * sizeof(idev->pasids[0]));
	if (!group_hwpt(g, pasid))
		iommu_group_attach_pasid(g->iommu, pasid, NULL);
	h->obj.users--;
}

void iommufd_pasid_detach_all(struct vfio_iommufd_device *idev)
{
	while (idev->num_pasids)
		iommufd_pasid_detach(idev, idev->pasids[idev->num_pasids - 1].pasid);
	heap_free(idev->pasids);
	idev->pasids = NULL;
}
