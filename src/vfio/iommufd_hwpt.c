/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/iommufd_hwpt.c: the page tables of an IOAS.
 */
#include <errno.h>

#include "base/heap.h"
#include "vfio/iommufd_objects.h"

int iommufd_hwpt_new(struct vfio_iommufd *ictx, struct iommufd_ioas *ioas,
		     struct iommufd_hwpt **out)
{
	struct iommufd_hwpt *h = heap_alloc(sizeof(*h));
	int ret = -ENOMEM;

	if (!h)
		return -ENOMEM;
	h->space = vfio_ioas_new(ictx->sys, false);
	if (!h->space)
		goto err;
	ret = iommufd_object_add(ictx, &h->obj, IOMMUFD_HWPT);
	if (ret)
		goto err;
	ret = iommufd_ioas_check_hwpt(ioas);
	if (!ret)
		ret = iommufd_areas_fill(ictx, ioas, h->space);
	if (ret) {
		iommufd_object_remove(ictx, &h->obj);
		goto err;
	}
	if (!ioas->space)
		ioas->space = h->space;
	h->ioas = ioas;
	ioas->obj.users++;
	cds_list_add_tail(&h->in_ioas, &ioas->hwpts);
	iommufd_ioas_align(ioas);
	*out = h;
	return 0;
err:
	vfio_ioas_put(h->space);
	heap_free(h);
	return ret;
}

void iommufd_hwpt_free(struct vfio_iommufd *ictx, struct iommufd_hwpt *h)
{
	struct iommufd_ioas *ioas = h->ioas;

	iommufd_object_remove(ictx, &h->obj);
	cds_list_del(&h->in_ioas);
	if (ioas->space == h->space)
		ioas->space =
			cds_list_empty(&ioas->hwpts)
				? NULL
				: cds_list_first_entry(&ioas->hwpts, struct iommufd_hwpt, in_ioas)
					  ->space;
	if (!ioas->space)
		iommufd_areas_unpin(ictx, ioas);
	iommufd_ioas_align(ioas);
	ioas->obj.users--;
	if (h->fault)
		h->fault->obj.users--;
	vfio_ioas_put(h->space);
	heap_free(h);
}

/* The checks of a new one that is of an IOAS: what this IOMMU can do. */
static int check_flags(const struct iommu_hwpt_alloc *c)
{
	const uint32_t known = IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_DIRTY_TRACKING |
			       IOMMU_HWPT_FAULT_ID_VALID | IOMMU_HWPT_ALLOC_PASID;

	if (c->flags & ~known || c->data_len)
		return -EOPNOTSUPP;
	if (c->flags & (IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_DIRTY_TRACKING))
		return report_warn("hwpt-hardware", "iommufd", -EOPNOTSUPP,
				   "HWPT_ALLOC flags 0x%x: the IOMMU has no %s", c->flags,
				   c->flags & IOMMU_HWPT_ALLOC_NEST_PARENT ? "nested translation"
									   : "dirty tracking");
	return 0;
}

static int alloc_of(struct vfio_iommufd *ictx, const struct iommu_hwpt_alloc *c,
		    struct iommufd_object *pt, uint32_t *id)
{
	struct iommufd_object *fault;
	struct iommufd_hwpt *h;
	int ret;

	/* nested: without a parent for it, and hardware */
	if (pt->kind == IOMMUFD_HWPT)
		return !c->data_len || c->flags &
					       ~(IOMMU_HWPT_FAULT_ID_VALID | IOMMU_HWPT_ALLOC_PASID)
			       ? -EOPNOTSUPP
			       : -EINVAL;
	if (pt->kind != IOMMUFD_IOAS)
		return -EINVAL;
	ret = check_flags(c);
	if (ret)
		return ret;
	ret = iommufd_hwpt_new(ictx, container_of_type(pt, struct iommufd_ioas, obj), &h);
	if (ret)
		return ret;
	h->pasids = c->flags & IOMMU_HWPT_ALLOC_PASID;
	if (c->flags & IOMMU_HWPT_FAULT_ID_VALID) {
		fault = iommufd_object_get(ictx, c->fault_id, IOMMUFD_FAULT);
		if (!fault) {
			iommufd_hwpt_free(ictx, h);
			return -ENOENT;
		}
		h->fault = container_of_type(fault, struct vfio_iommufd_fault, obj);
		fault->users++;
	}
	*id = h->obj.id;
	return 0;
}

int vfio_iommufd_hwpt_alloc(struct vfio_iommufd *ictx, const struct iommu_hwpt_alloc *c,
			    uint32_t *id)
{
	struct iommufd_object *pt;
	int ret;

	if (c->__reserved)
		return -EOPNOTSUPP;
	if ((c->data_type == IOMMU_HWPT_DATA_NONE) != !c->data_len)
		return -EINVAL;
	pthread_mutex_lock(&ictx->lock);
	pt = iommufd_object_get(ictx, c->pt_id, IOMMUFD_ANY);
	if (!iommufd_object_get(ictx, c->dev_id, IOMMUFD_DEVICE))
		ret = -ENOENT;
	else if (!pt)
		ret = -EINVAL;
	else
		ret = alloc_of(ictx, c, pt, id);
	pthread_mutex_unlock(&ictx->lock);
	return ret;
}

int vfio_iommufd_hw_info(struct vfio_iommufd *ictx, uint32_t dev_id,
			 struct vfio_iommufd_hw_info *out)
{
	bool has;

	*out = (struct vfio_iommufd_hw_info){
		/* as recorded of a VT-d without the rest: 48 bits, pages of 2 MiB and 1 GiB */
		.vtd = { .flags = 1, .cap_reg = 0x80d2008c222f0686, .ecap_reg = 0xf00f4a },
		.capabilities = IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED,
	};
	pthread_mutex_lock(&ictx->lock);
	has = iommufd_object_get(ictx, dev_id, IOMMUFD_DEVICE);
	pthread_mutex_unlock(&ictx->lock);
	return has ? 0 : -ENOENT;
}

/* ---- dirty tracking ---- */

static bool has_hwpt(struct vfio_iommufd *ictx, uint32_t id, uint64_t *alignment)
{
	struct iommufd_object *o = iommufd_object_get(ictx, id, IOMMUFD_HWPT);

	if (o)
		*alignment = container_of_type(o, struct iommufd_hwpt, obj)->ioas->alignment;
	return o;
}

int vfio_iommufd_set_dirty_tracking(struct vfio_iommufd *ictx, uint32_t id, bool on)
{
	uint64_t alignment;
	bool has;

	pthread_mutex_lock(&ictx->lock);
	has = has_hwpt(ictx, id, &alignment);
	pthread_mutex_unlock(&ictx->lock);
	return has ? -EOPNOTSUPP : -ENOENT;
}

static int check_dirty_range(const struct iommu_hwpt_get_dirty_bitmap *c, uint64_t alignment)
{
	uint64_t last;

	if (!c->length)
		return -EINVAL;
	if (add_overflows(c->iova, c->length - 1))
		return -EOVERFLOW;
	last = c->iova + c->length - 1;
	if (c->iova & (alignment - 1) || (last + 1) & (alignment - 1) || !c->page_size ||
	    c->iova & (c->page_size - 1) || (last + 1) & (c->page_size - 1))
		return -EINVAL;
	return 0;
}

int vfio_iommufd_get_dirty_bitmap(struct vfio_iommufd *ictx,
				  const struct iommu_hwpt_get_dirty_bitmap *c)
{
	uint64_t alignment;
	int ret = -ENOENT;

	pthread_mutex_lock(&ictx->lock);
	if (has_hwpt(ictx, c->hwpt_id, &alignment)) {
		ret = check_dirty_range(c, alignment);
		if (!ret)
			ret = -EOPNOTSUPP;
	}
	pthread_mutex_unlock(&ictx->lock);
	return ret;
}

int vfio_iommufd_invalidate(struct vfio_iommufd *ictx, uint32_t id)
{
	bool has;

	pthread_mutex_lock(&ictx->lock);
	has = iommufd_object_get(ictx, id, IOMMUFD_ANY);
	pthread_mutex_unlock(&ictx->lock);
	/* no object there is has a cache of the program's tables */
	return has ? -EINVAL : -ENOENT;
}

bool vfio_iommufd_has_device(struct vfio_iommufd *ictx, uint32_t id)
{
	bool has;

	pthread_mutex_lock(&ictx->lock);
	has = iommufd_object_get(ictx, id, IOMMUFD_DEVICE);
	pthread_mutex_unlock(&ictx->lock);
	return has;
}
