/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/iommufd_hwpt.c: the page tables of an IOAS.
 */
#include <errno.h>
#include <string.h>

#include "base/heap.h"
#include "iommu/page_request.h"
#include "vfio/iommu_hw.h"
#include "vfio/iommufd_objects.h"

int iommufd_hwpt_new(struct vfio_iommufd *ictx, struct iommufd_ioas *ioas, bool noiommu,
		     struct iommufd_hwpt **out)
{
	struct iommufd_hwpt *h = heap_alloc(sizeof(*h));
	int ret = -ENOMEM;

	if (!h)
		return -ENOMEM;
	h->space = vfio_ioas_new(ictx->sys, false);
	if (!h->space)
		goto err;
	if (noiommu)
		ioas_set_noiommu(h->space);
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
	struct iommufd_area *a;

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
	for (a = ioas->space ? NULL : iommufd_area_first(ioas, 0, UINT64_MAX); a;
	     a = iommufd_area_next(a, 0, UINT64_MAX))
		iommufd_area_left(ictx, a);
	heap_free(h);
}

/* The checks of a new one that is of an IOAS: what this IOMMU can do. */
static int check_flags(const struct iommu_hwpt_alloc *c, bool noiommu, bool outside)
{
	const uint32_t known = IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_DIRTY_TRACKING |
			       IOMMU_HWPT_FAULT_ID_VALID | IOMMU_HWPT_ALLOC_PASID;

	if (c->flags & ~known || c->data_len)
		return -EOPNOTSUPP;
	if (noiommu)
		return c->flags & ~IOMMU_HWPT_FAULT_ID_VALID ? -EOPNOTSUPP : 0;
	if (c->flags & IOMMU_HWPT_ALLOC_NEST_PARENT)
		return report_warn("hwpt-hardware", "iommufd", -EOPNOTSUPP,
				   "HWPT_ALLOC: the IOMMU has no nested translation");
	if (c->flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING && !vfio_iommu_dirty_tracking())
		return report_warn(
			"hwpt-hardware", "iommufd", -EOPNOTSUPP,
			"HWPT_ALLOC: the IOMMU has no dirty tracking (`uvfio run --iommu "
			"dirty-tracking=on`)");
	if (c->flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING && outside)
		return report_warn(
			"hwpt-hardware", "iommufd", -EOPNOTSUPP,
			"HWPT_ALLOC: no dirty tracking of a real device: its DMA goes by "
			"the host's IOMMU, which is not asked for what it wrote");
	return 0;
}

static int alloc_of(struct vfio_iommufd *ictx, const struct iommu_hwpt_alloc *c,
		    struct iommufd_object *pt, struct iommufd_object *dev, uint32_t *id)
{
	bool noiommu = iommufd_is_noiommu(dev);
	struct iommufd_object *fault;
	struct iommufd_hwpt *h;
	int ret;

	/* nested: without a parent for it, and hardware */
	if (pt->kind == IOMMUFD_HWPT)
		return noiommu || !c->data_len ||
				       c->flags &
					       ~(IOMMU_HWPT_FAULT_ID_VALID | IOMMU_HWPT_ALLOC_PASID)
			       ? -EOPNOTSUPP
			       : -EINVAL;
	if (pt->kind != IOMMUFD_IOAS)
		return -EINVAL;
	ret = check_flags(c, noiommu, iommufd_is_outside(dev));
	if (ret)
		return ret;
	ret = iommufd_hwpt_new(ictx, container_of_type(pt, struct iommufd_ioas, obj), noiommu, &h);
	if (ret)
		return ret;
	h->dirty = c->flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING;
	h->pasids = c->flags & IOMMU_HWPT_ALLOC_PASID;
	if (c->flags & IOMMU_HWPT_FAULT_ID_VALID) {
		fault = iommufd_object_get(ictx, c->fault_id, IOMMUFD_FAULT);
		if (!fault) {
			iommufd_hwpt_free(ictx, h);
			return -ENOENT;
		}
		h->fault = container_of_type(fault, struct vfio_iommufd_fault, obj);
		fault->users++;
		iommu_domain_set_faults(vfio_ioas_domain(h->space), h->fault->queue);
	}
	*id = h->obj.id;
	return 0;
}

int vfio_iommufd_hwpt_alloc(struct vfio_iommufd *ictx, const struct iommu_hwpt_alloc *c,
			    uint32_t *id)
{
	struct iommufd_object *pt, *dev;
	int ret;

	if (c->__reserved)
		return -EOPNOTSUPP;
	if ((c->data_type == IOMMU_HWPT_DATA_NONE) != !c->data_len)
		return -EINVAL;
	pthread_mutex_lock(&ictx->lock);
	pt = iommufd_object_get(ictx, c->pt_id, IOMMUFD_ANY);
	dev = iommufd_object_get(ictx, c->dev_id, IOMMUFD_DEVICE);
	if (!dev)
		ret = -ENOENT;
	else if (!pt)
		ret = -EINVAL;
	else
		ret = alloc_of(ictx, c, pt, dev, id);
	pthread_mutex_unlock(&ictx->lock);
	return ret;
}

/* Intel VT-d 4.1, 11.4.3: second-stage accessed and dirty bits */
#define ECAP_SSADS (1ull << 45)
/* what page requests take: device TLBs, scalable mode with a second stage, requests, drains */
#define ECAP_DT	  (1ull << 2)
#define ECAP_PRS  (1ull << 29)
#define ECAP_PDS  (1ull << 42)
#define ECAP_SMTS (1ull << 43)
#define ECAP_SSTS (1ull << 46)
/* and PASIDs, of 20 bits */
#define ECAP_PASID (1ull << 40 | 19ull << 35)

int vfio_iommufd_hw_info(struct vfio_iommufd *ictx, uint32_t dev_id,
			 struct vfio_iommufd_hw_info *out)
{
	const struct iommu_device *dev = NULL;
	struct iommufd_object *o;
	int ret = 0;

	*out = (struct vfio_iommufd_hw_info){
		/* as recorded of a VT-d without the rest: 48 bits, pages of 2 MiB and 1 GiB */
		.vtd = { .flags = 1, .cap_reg = 0x80d2008c222f0686, .ecap_reg = 0xf00f4a },
		.capabilities = IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED,
	};
	pthread_mutex_lock(&ictx->lock);
	o = iommufd_object_get(ictx, dev_id, IOMMUFD_DEVICE);
	if (!o)
		ret = -ENOENT;
	else if (iommufd_is_noiommu(o))
		ret = -EOPNOTSUPP;
	else
		dev = container_of_type(o, struct vfio_iommufd_device, obj)->dev->iommu;
	if (dev && vfio_iommu_dirty_tracking() && !iommufd_is_outside(o)) {
		out->vtd.ecap_reg |= ECAP_SSADS;
		out->capabilities |= IOMMU_HW_CAP_DIRTY_TRACKING;
	}
	if (dev && dev->pri) {
		out->vtd.ecap_reg |= ECAP_DT | ECAP_PRS | ECAP_PDS | ECAP_SMTS | ECAP_SSTS;
		out->capabilities &= ~IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED;
	}
	if (dev && dev->pasids) {
		out->vtd.ecap_reg |= ECAP_PASID | ECAP_SMTS | ECAP_SSTS;
		out->max_pasid_log2 = (uint8_t)iommu_pasid_bits(dev);
		out->capabilities |= iommu_pasid_exec(dev) ? IOMMU_HW_CAP_PCI_PASID_EXEC : 0;
	}
	pthread_mutex_unlock(&ictx->lock);
	return ret;
}

/* ---- dirty tracking ---- */

static struct iommufd_hwpt *get_hwpt(struct vfio_iommufd *ictx, uint32_t id)
{
	struct iommufd_object *o = iommufd_object_get(ictx, id, IOMMUFD_HWPT);

	return o ? container_of_type(o, struct iommufd_hwpt, obj) : NULL;
}

int vfio_iommufd_set_dirty_tracking(struct vfio_iommufd *ictx, uint32_t id, bool on)
{
	struct iommufd_hwpt *h;
	int ret = -ENOENT;

	pthread_mutex_lock(&ictx->lock);
	h = get_hwpt(ictx, id);
	if (h)
		ret = h->dirty ? 0 : -EOPNOTSUPP;
	if (!ret && on)
		ret = iommu_domain_dirty_start(vfio_ioas_domain(h->space));
	else if (!ret)
		iommu_domain_dirty_stop(vfio_ioas_domain(h->space));
	pthread_mutex_unlock(&ictx->lock);
	return ret;
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

/* Pages that are looked at together. */
#define CHUNK 16384u

/*
 * Tell @put the pages of [@iova, @last], which is mapped as a whole, that were written. They are
 * cleared only when it could take them, and told once more with those that came in between.
 */
static int put_dirty(struct iommu_domain *d, uint64_t iova, uint64_t last, bool clear,
		     vfio_iommufd_dirty_fn *put, void *arg)
{
	uint64_t bits[CHUNK / 64], size, any;
	int ret = 0;

	for (; !ret; iova += size) {
		size = last - iova + 1;
		if (size > CHUNK * PAGE_SIZE_4K)
			size = CHUNK * PAGE_SIZE_4K;
		for (unsigned pass = 0; pass < (clear ? 2 : 1) && !ret; pass++) {
			memset(bits, 0, sizeof(bits));
			ret = iommu_domain_dirty_read(d, iova, size, PAGE_SIZE_4K, pass, bits);
			any = 0;
			for (unsigned w = 0; w < ARRAY_SIZE(bits); w++)
				any |= bits[w];
			if (!any)
				break;
			if (!ret)
				ret = put(arg, iova, bits, ARRAY_SIZE(bits));
		}
		if (iova + size - 1 == last)
			break;
	}
	return ret;
}

int vfio_iommufd_get_dirty_bitmap(struct vfio_iommufd *ictx,
				  const struct iommu_hwpt_get_dirty_bitmap *c,
				  vfio_iommufd_dirty_fn *put, void *arg)
{
	uint64_t iova = c->iova, last, to;
	struct iommufd_area *a;
	struct iommufd_hwpt *h;
	int ret = -ENOENT;

	pthread_mutex_lock(&ictx->lock);
	h = get_hwpt(ictx, c->hwpt_id);
	if (!h)
		goto out;
	ret = check_dirty_range(c, h->ioas->alignment);
	if (!ret && !h->dirty)
		ret = -EOPNOTSUPP;
	if (!ret && !is_pow2(c->page_size))
		ret = -EINVAL;
	if (ret)
		goto out;
	last = c->iova + c->length - 1;
	/* from mapping to mapping, until a hole */
	for (;; iova = to + 1) {
		ret = -EINVAL;
		a = iommufd_area_first(h->ioas, iova, iova);
		if (!a)
			break;
		to = a->by_iova.last < last ? a->by_iova.last : last;
		ret = put_dirty(vfio_ioas_domain(h->space), iova, to,
				!(c->flags & IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR), put, arg);
		if (ret || to == last)
			break;
	}
out:
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
