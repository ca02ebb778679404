/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/iommufd_compat.c: an iommufd in the place of a container: one of its IOASes is the one that
 * type1's ioctls are for. The rules are those of the kernel's iommufd/vfio_compat.c, which differ
 * from type1's where iommufd's do.
 */
#include <errno.h>

#include "base/heap.h"
#include "vfio/iommufd_objects.h"

int vfio_iommufd_compat_get(struct vfio_iommufd *ictx, uint32_t *id)
{
	int ret = -ENODEV;

	pthread_mutex_lock(&ictx->lock);
	if (ictx->compat) {
		*id = ictx->compat->obj.id;
		ret = 0;
	}
	pthread_mutex_unlock(&ictx->lock);
	return ret;
}

int vfio_iommufd_compat_set(struct vfio_iommufd *ictx, uint32_t id)
{
	struct iommufd_ioas *ioas;

	pthread_mutex_lock(&ictx->lock);
	ioas = iommufd_ioas_get(ictx, id);
	if (ioas)
		ictx->compat = ioas;
	pthread_mutex_unlock(&ictx->lock);
	return ioas ? 0 : -ENOENT;
}

void vfio_iommufd_compat_clear(struct vfio_iommufd *ictx)
{
	pthread_mutex_lock(&ictx->lock);
	ictx->compat = NULL;
	pthread_mutex_unlock(&ictx->lock);
}

int vfio_iommufd_compat_create(struct vfio_iommufd *ictx)
{
	struct iommufd_ioas *ioas;
	int ret = 0;

	pthread_mutex_lock(&ictx->lock);
	if (!ictx->compat) {
		ioas = iommufd_ioas_new(ictx);
		if (ioas) {
			ioas->obj.ready = true;
			ictx->compat = ioas;
		} else {
			ret = -ENOMEM;
		}
	}
	pthread_mutex_unlock(&ictx->lock);
	return ret;
}

int vfio_iommufd_compat_set_noiommu(struct vfio_iommufd *ictx)
{
	int ret = 0;

	pthread_mutex_lock(&ictx->lock);
	if (ictx->compat)
		ret = report_warn("noiommu-ioas", "iommufd", -EINVAL,
				  "GROUP_SET_CONTAINER: the group has no IOMMU, and IOAS %u is set "
				  "(IOMMU_VFIO_IOAS)",
				  ictx->compat->obj.id);
	else
		ictx->noiommu = true;
	pthread_mutex_unlock(&ictx->lock);
	return ret;
}

bool vfio_iommufd_compat_is_noiommu(struct vfio_iommufd *ictx)
{
	bool is;

	pthread_mutex_lock(&ictx->lock);
	is = ictx->noiommu;
	pthread_mutex_unlock(&ictx->lock);
	return is;
}

int vfio_iommufd_compat_set_iommu(struct vfio_iommufd *ictx, unsigned long type)
{
	bool noiommu = vfio_iommufd_compat_is_noiommu(ictx);
	int ret = -ENODEV;

	if (noiommu && type == VFIO_NOIOMMU_IOMMU)
		return vfio_may_rawio(ictx->sys) ? 0 : -EPERM;
	if (noiommu || (type != VFIO_TYPE1_IOMMU && type != VFIO_TYPE1v2_IOMMU))
		return -EINVAL;
	pthread_mutex_lock(&ictx->lock);
	/* v1 may cut mappings, which large pages would not allow */
	if (ictx->compat)
		ret = type == VFIO_TYPE1_IOMMU ? iommufd_ioas_small_pages(ictx->compat) : 0;
	pthread_mutex_unlock(&ictx->lock);
	return ret;
}

/*
 * The IOMMU does not enforce that devices' accesses are coherent: so it is only while there is
 * none.
 */
int vfio_iommufd_compat_coherent(struct vfio_iommufd *ictx)
{
	int ret = -ENODEV;

	pthread_mutex_lock(&ictx->lock);
	if (ictx->compat)
		ret = !ictx->compat->space;
	pthread_mutex_unlock(&ictx->lock);
	return ret;
}

int vfio_iommufd_compat_map(struct vfio_iommufd *ictx, uint64_t vaddr, uint64_t iova, uint64_t size,
			    unsigned prot)
{
	int ret = -ENODEV;

	pthread_mutex_lock(&ictx->lock);
	if (ictx->compat)
		ret = iommufd_ioas_map(ictx, ictx->compat, vaddr, size, prot, true, &iova);
	pthread_mutex_unlock(&ictx->lock);
	return ret;
}

/* Have an area end at @last, and another begin behind it. 0, also if there is none. */
static int split(struct iommufd_ioas *ioas, uint64_t last)
{
	struct iommufd_area *a = iommufd_area_first(ioas, last, last), *b;
	struct iommufd_hwpt *h;
	uint64_t head;
	int ret = 0;

	/* the kernel takes one byte for no cut, too */
	if (!a || last == area_iova(a) || last == a->by_iova.last)
		return 0;
	if (a->pages->import)
		return -EOPNOTSUPP;
	head = last - area_iova(a) + 1;
	if ((last + 1) & (ioas->alignment - 1) || (a->start + head) & (ioas->alignment - 1))
		return -EINVAL;
	b = heap_alloc(sizeof(*b));
	if (!b)
		return -ENOMEM;
	/* where it is cut in vain nobody sees it */
	cds_list_for_each_entry(h, &ioas->hwpts, in_ioas) {
		if (!ret)
			ret = ioas_split(h->space, last);
	}
	if (ret) {
		heap_free(b);
		return ret;
	}
	*b = (struct iommufd_area){ .ioas = ioas,
				    .pages = a->pages,
				    .start = a->start + head,
				    .prot = a->prot,
				    .filled = a->filled };
	b->pages->refs++;
	b->by_iova.start = last + 1;
	b->by_iova.last = a->by_iova.last;
	b->by_page.start = b->start / PAGE_SIZE_4K;
	b->by_page.last = a->by_page.last;
	itree_remove(&ioas->areas, &a->by_iova);
	if (a->filled)
		itree_remove(&a->pages->pinned, &a->by_page);
	a->by_iova.last = last;
	a->by_page.last = b->by_page.start - 1;
	itree_insert(&ioas->areas, &a->by_iova);
	itree_insert(&ioas->areas, &b->by_iova);
	if (a->filled) {
		itree_insert(&a->pages->pinned, &a->by_page);
		itree_insert(&b->pages->pinned, &b->by_page);
	}
	return 0;
}

/* Unmap a range; v1's IOAS is cut at its ends. */
static int unmap(struct vfio_iommufd *ictx, uint64_t iova, uint64_t size, uint64_t *unmapped,
		 bool *tell)
{
	struct iommufd_ioas *ioas = ictx->compat;
	int ret = 0;

	if (ioas->small_pages) {
		ret = split(ioas, iova + size - 1);
		if (!ret && iova)
			ret = split(ioas, iova - 1);
		if (ret) {
			*tell = false;
			return ret;
		}
	}
	if (!size)
		return -EINVAL;
	if (add_overflows(iova, size - 1))
		return -EOVERFLOW;
	return iommufd_ioas_unmap(ictx, ioas, iova, iova + size - 1, unmapped);
}

int vfio_iommufd_compat_unmap(struct vfio_iommufd *ictx, bool all, uint64_t iova, uint64_t size,
			      uint64_t *unmapped, bool *tell)
{
	int ret = -ENODEV;

	*unmapped = 0;
	*tell = false;
	pthread_mutex_lock(&ictx->lock);
	if (!ictx->compat)
		goto out;
	ret = -EINVAL;
	if (all && (iova || size))
		goto out;
	*tell = true;
	if (all)
		ret = iommufd_ioas_unmap(ictx, ictx->compat, 0, UINT64_MAX, unmapped);
	else
		ret = unmap(ictx, iova, size, unmapped, tell);
out:
	pthread_mutex_unlock(&ictx->lock);
	return ret;
}

int vfio_iommufd_compat_info(struct vfio_iommufd *ictx, uint64_t *pgsizes,
			     struct iommu_iova_range out[VFIO_IOAS_RANGES], unsigned *n)
{
	struct vfio_ioas_limits limits;
	uint64_t alignment;
	uint32_t id;
	int ret = vfio_iommufd_compat_get(ictx, &id);

	if (!ret)
		ret = vfio_iommufd_ioas_ranges(ictx, id, out, n, &alignment);
	if (ret)
		return -ENODEV;
	pthread_mutex_lock(&ictx->lock);
	/* without a page table any size of whole pages will do */
	*pgsizes = -PAGE_SIZE_4K;
	if (ictx->compat && ictx->compat->space) {
		vfio_ioas_limits(ictx->compat->space, &limits);
		*pgsizes = limits.pgsizes;
	}
	pthread_mutex_unlock(&ictx->lock);
	return 0;
}
