/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/iommufd_noiommu.c: page tables of devices that have no IOMMU: no device goes through them.
 * Memory that is mapped there is pinned, and has physical addresses (vfio/physical.h), which the
 * program asks for to tell its devices.
 */
#include <errno.h>

#include "vfio/iommufd_objects.h"

static int get_pa(const struct iommufd_ioas *ioas, const struct iommufd_area *a, uint64_t iova,
		  uint64_t *length, uint64_t *pa)
{
	uint64_t last = a->by_iova.last, n, at;

	if (!a->filled || !ioas->space->noiommu)
		return -EOPNOTSUPP;
	if (a->pages->import)
		return report_warn(
			"noiommu-dmabuf", "iommufd", -EOPNOTSUPP,
			"NOIOMMU_GET_PA of a dma-buf: a device without an IOMMU does not "
			"reach the BARs of others");
	*pa = physical_of_iova(ioas->space, iova);
	if (!*pa)
		return -ENOMEM;
	/* page by page, as long as the next one is behind it */
	n = PAGE_SIZE_4K - iova % PAGE_SIZE_4K;
	while (n < *length && n <= last - iova) {
		at = physical_of_iova(ioas->space, iova + n);
		if (at != *pa + n)
			break;
		n += PAGE_SIZE_4K;
	}
	if (n > last - iova)
		n = last - iova + 1;
	if (n < *length)
		*length = n;
	return 0;
}

int vfio_iommufd_get_pa(struct vfio_iommufd *ictx, uint32_t id, uint64_t iova, uint64_t *length,
			uint64_t *pa)
{
	struct iommufd_area *a = NULL;
	struct iommufd_ioas *ioas;
	int ret = -ENOENT;

	pthread_mutex_lock(&ictx->lock);
	ioas = iommufd_ioas_get(ictx, id);
	if (ioas)
		a = iommufd_area_first(ioas, iova, iova);
	if (a)
		ret = get_pa(ioas, a, iova, length, pa);
	pthread_mutex_unlock(&ictx->lock);
	return ret;
}
