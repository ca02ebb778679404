/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * uapi/iommufd_compat.c: a container's ioctls on an iommufd: decode and copy. Order of checks and
 * chain of capabilities are those of the kernel's iommufd/vfio_compat.c.
 */
#include "uapi/internal.h"

static long check_extension(struct vfio_iommufd *ictx, unsigned long ext)
{
	switch (ext) {
	case VFIO_TYPE1_IOMMU:
	case VFIO_TYPE1v2_IOMMU:
	case VFIO_UNMAP_ALL:
		return !vfio_iommufd_compat_is_noiommu(ictx);
	case VFIO_NOIOMMU_IOMMU: /* the kernel is built with it */
		return 1;
	case VFIO_DMA_CC_IOMMU:
		return vfio_iommufd_compat_coherent(ictx);
	}
	return 0;
}

static long map_dma(struct vfio_iommufd *ictx, unsigned long arg)
{
	struct vfio_iommu_type1_dma_map map;
	unsigned prot = 0;

	if (uapi_get(&map, arg, sizeof(map)))
		return -EFAULT;
	if (map.argsz < sizeof(map) ||
	    map.flags & ~(VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE))
		return -EINVAL;
	if (map.flags & VFIO_DMA_MAP_FLAG_READ)
		prot |= IOMMU_READ;
	if (map.flags & VFIO_DMA_MAP_FLAG_WRITE)
		prot |= IOMMU_WRITE;
	return vfio_iommufd_compat_map(ictx, map.vaddr, map.iova, map.size, prot);
}

static long unmap_dma(struct vfio_iommufd *ictx, unsigned long arg)
{
	const size_t minsz = UAPI_SIZE_WITH(struct vfio_iommu_type1_dma_unmap, size);
	struct vfio_iommu_type1_dma_unmap unmap;
	uint64_t done;
	bool tell;
	long ret;

	if (uapi_get(&unmap, arg, minsz))
		return -EFAULT;
	if (unmap.argsz < minsz || unmap.flags & ~VFIO_DMA_UNMAP_FLAG_ALL)
		return -EINVAL;
	ret = vfio_iommufd_compat_unmap(ictx, unmap.flags & VFIO_DMA_UNMAP_FLAG_ALL, unmap.iova,
					unmap.size, &done, &tell);
	if (!tell)
		return ret;
	/* what was unmapped is told with an error, too */
	unmap.size = done;
	return uapi_put(arg, &unmap, minsz) ? -EFAULT : ret;
}

/*
 * The capabilities are written as far as there is room for each of them, and the offset of the
 * first only if there is room for all.
 */
static long put_caps(unsigned long arg, uint32_t argsz, const struct iommu_iova_range *r,
		     unsigned n, size_t *total)
{
	const size_t avail_at = sizeof(struct vfio_iommu_type1_info);
	struct vfio_iommu_type1_info_dma_avail avail = {
		.header = { .id = VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL, .version = 1 },
		.avail = UINT32_MAX,
	};
	struct vfio_iommu_type1_info_cap_iova_range iova = {
		.header = { .id = VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE, .version = 1 },
		.nr_iovas = n,
	};
	size_t iova_at = align_up(avail_at + sizeof(avail), 8);

	*total = iova_at + sizeof(iova) + n * sizeof(r[0]);
	if (argsz >= iova_at)
		avail.header.next = (uint32_t)iova_at;
	if (argsz >= avail_at + sizeof(avail) && uapi_put(arg + avail_at, &avail, sizeof(avail)))
		return -EFAULT;
	for (unsigned i = 0; i < n; i++) {
		size_t at = iova_at + sizeof(iova) + i * sizeof(r[0]);

		if (argsz >= at + sizeof(r[0]) && uapi_put(arg + at, &r[i], sizeof(r[0])))
			return -EFAULT;
	}
	if (argsz >= *total && uapi_put(arg + iova_at, &iova, sizeof(iova)))
		return -EFAULT;
	return 0;
}

static long get_info(struct vfio_iommufd *ictx, unsigned long arg)
{
	const size_t minsz = UAPI_SIZE_WITH(struct vfio_iommu_type1_info, iova_pgsizes);
	struct vfio_iommu_type1_info info = { 0 };
	struct iommu_iova_range r[VFIO_IOAS_RANGES];
	uint64_t pgsizes;
	size_t total, n;
	unsigned num;
	long ret;

	if (uapi_get(&info, arg, minsz))
		return -EFAULT;
	if (info.argsz < minsz)
		return -EINVAL;
	n = info.argsz < sizeof(info) ? info.argsz : sizeof(info);
	ret = vfio_iommufd_compat_info(ictx, &pgsizes, r, &num);
	if (!ret)
		ret = put_caps(arg, info.argsz, r, num, &total);
	if (ret)
		return ret;
	info.flags = VFIO_IOMMU_INFO_PGSIZES | VFIO_IOMMU_INFO_CAPS;
	info.iova_pgsizes = pgsizes;
	info.cap_offset = info.argsz >= total ? sizeof(info) : 0;
	info.argsz = (uint32_t)total;
	return uapi_put(arg, &info, n);
}

long uapi_iommufd_compat_ioctl(struct uapi_file *f, unsigned int cmd, unsigned long arg)
{
	struct vfio_iommufd *ictx = f->iommufd;

	switch (cmd) {
	case VFIO_GET_API_VERSION:
		return VFIO_API_VERSION;
	case VFIO_CHECK_EXTENSION:
		return check_extension(ictx, arg);
	case VFIO_SET_IOMMU:
		return vfio_iommufd_compat_set_iommu(ictx, arg);
	case VFIO_IOMMU_GET_INFO:
		return get_info(ictx, arg);
	case VFIO_IOMMU_MAP_DMA:
		return map_dma(ictx, arg);
	case VFIO_IOMMU_UNMAP_DMA:
		return unmap_dma(ictx, arg);
	}
	return report_warn("ioctl-unknown", f->link, -ENOTTY, "ioctl 0x%x is not one of an iommufd",
			   cmd);
}
