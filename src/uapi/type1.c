/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * uapi/type1.c: the type1 IOMMU's ioctls: decode and copy; vfio/type1.h does the work. Sizes, order
 * of checks and the chain of capabilities are those of the kernel's
 * drivers/vfio/vfio_iommu_type1.c.
 */
#include <stdlib.h>
#include <string.h>

#include "base/heap.h"
#include "uapi/internal.h"
#include "vfio/type1.h"

/* asm/page_64_types.h, TASK_SIZE_MAX with four levels */
#define USER_END 0x7ffffffff000ull

static int add_caps(const struct vfio_ioas_limits *limits, struct uapi_caps *caps)
{
	struct vfio_iommu_type1_info_cap_migration mig = {
		.header = { .id = VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION, .version = 1 },
		.pgsize_bitmap = PAGE_SIZE_4K,
		.max_dirty_bitmap_size = VFIO_TYPE1_BITMAP_MAX,
	};
	struct vfio_iommu_type1_info_dma_avail avail = {
		.header = { .id = VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL, .version = 1 },
		.avail = limits->avail,
	};
	struct vfio_iommu_type1_info_cap_iova_range *iova;
	unsigned n = limits->num_ranges;
	size_t size = sizeof(*iova) + n * sizeof(iova->iova_ranges[0]);
	int ret;

	ret = uapi_caps_add(caps, &mig, sizeof(mig));
	if (ret)
		return ret;
	ret = uapi_caps_add(caps, &avail, sizeof(avail));
	if (ret)
		return ret;
	iova = heap_alloc(size);
	if (!iova)
		return -ENOMEM;
	iova->header.id = VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE;
	iova->header.version = 1;
	iova->nr_iovas = n;
	for (unsigned i = 0; i < n; i++)
		iova->iova_ranges[i] = limits->ranges[i];
	ret = uapi_caps_add(caps, iova, size);
	heap_free(iova);
	return ret;
}

static long get_info(struct vfio_type1 *t, unsigned long arg)
{
	struct vfio_iommu_type1_info info = { 0 };
	struct vfio_ioas_limits limits;
	struct uapi_caps caps = { 0 };
	size_t n;
	int ret;

	if (uapi_get(&info, arg, UAPI_SIZE_WITH(struct vfio_iommu_type1_info, iova_pgsizes)))
		return -EFAULT;
	if (info.argsz < UAPI_SIZE_WITH(struct vfio_iommu_type1_info, iova_pgsizes))
		return -EINVAL;
	n = info.argsz < sizeof(info) ? info.argsz : sizeof(info);
	info.flags = VFIO_IOMMU_INFO_PGSIZES;
	vfio_ioas_limits(vfio_type1_ioas(t), &limits);
	info.iova_pgsizes = limits.pgsizes;
	ret = add_caps(&limits, &caps);
	if (ret) {
		heap_free(caps.buf);
		return ret;
	}
	ret = uapi_caps_finish(&caps, arg, sizeof(info), &info.argsz, &info.flags,
			       VFIO_IOMMU_INFO_CAPS, &info.cap_offset);
	return ret ? ret : uapi_put(arg, &info, n);
}

static long map_dma(struct vfio_type1 *t, unsigned long arg)
{
	const uint32_t known =
		VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE | VFIO_DMA_MAP_FLAG_VADDR;
	struct vfio_iommu_type1_dma_map map;

	if (uapi_get(&map, arg, sizeof(map)))
		return -EFAULT;
	if (map.argsz < sizeof(map) || (map.flags & ~known))
		return -EINVAL;
	return vfio_type1_map(t, map.flags, map.vaddr, map.iova, map.size);
}

/*
 * Copy the client's bitmap in, so that bits outside of the range stay as they are. *@bytes is the
 * size that @size at @pgsize needs.
 */
static int bitmap_in(const struct vfio_bitmap *b, uint64_t size, uint64_t **out, size_t *bytes)
{
	int ret;

	/*
	 * the kernel's access_ok(): an address that no program can have is another error than one
	 * where nothing is
	 */
	if (add_overflows((uint64_t)b->data, b->size) || (uint64_t)b->data + b->size > USER_END)
		return -EINVAL;
	ret = vfio_type1_check_bitmap(size, b->pgsize, b->size, bytes);
	if (ret)
		return ret;
	*out = heap_alloc(*bytes);
	if (!*out)
		return -ENOMEM;
	if (uapi_get(*out, (unsigned long)b->data, *bytes)) {
		heap_free(*out);
		return -EFAULT;
	}
	return 0;
}

static long unmap_dma(struct vfio_type1 *t, unsigned long arg)
{
	const size_t minsz = UAPI_SIZE_WITH(struct vfio_iommu_type1_dma_unmap, size);
	const uint32_t known = VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP | VFIO_DMA_UNMAP_FLAG_ALL |
			       VFIO_DMA_UNMAP_FLAG_VADDR;
	struct vfio_iommu_type1_dma_unmap unmap;
	struct vfio_bitmap b = { 0 };
	uint64_t *bits = NULL, done = 0;
	size_t bytes = 0;
	long ret;

	if (uapi_get(&unmap, arg, minsz))
		return -EFAULT;
	if (unmap.argsz < minsz || (unmap.flags & ~known))
		return -EINVAL;
	if (unmap.flags & VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP) {
		if ((unmap.flags & (VFIO_DMA_UNMAP_FLAG_ALL | VFIO_DMA_UNMAP_FLAG_VADDR)) ||
		    unmap.argsz < minsz + sizeof(b))
			return -EINVAL;
		if (uapi_get(&b, arg + minsz, sizeof(b)))
			return -EFAULT;
		ret = bitmap_in(&b, unmap.size, &bits, &bytes);
		if (ret)
			return ret;
	}
	ret = vfio_type1_unmap(t, unmap.flags, unmap.iova, unmap.size, &done, b.pgsize, bytes,
			       bits);
	if (!ret && bits)
		ret = uapi_put((unsigned long)b.data, bits, bytes);
	heap_free(bits);
	if (ret)
		return ret;
	unmap.size = done;
	return uapi_put(arg, &unmap, minsz);
}

static long dirty_get(struct vfio_type1 *t, const struct vfio_iommu_type1_dirty_bitmap *d,
		      unsigned long arg)
{
	struct vfio_iommu_type1_dirty_bitmap_get range;
	uint64_t *bits;
	size_t bytes;
	long ret;

	if (d->argsz - sizeof(*d) < sizeof(range))
		return -EINVAL;
	if (uapi_get(&range, arg + sizeof(*d), sizeof(range)))
		return -EFAULT;
	if (!range.size)
		return -EINVAL;
	if (add_overflows(range.iova, range.size - 1))
		return -EOVERFLOW;
	ret = bitmap_in(&range.bitmap, range.size, &bits, &bytes);
	if (ret)
		return ret;
	ret = vfio_type1_dirty_get(t, range.iova, range.size, range.bitmap.pgsize, bytes, bits);
	if (!ret)
		ret = uapi_put((unsigned long)range.bitmap.data, bits, bytes);
	heap_free(bits);
	return ret;
}

static long dirty_pages(struct vfio_type1 *t, unsigned long arg)
{
	const uint32_t known = VFIO_IOMMU_DIRTY_PAGES_FLAG_START |
			       VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP |
			       VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP;
	struct vfio_iommu_type1_dirty_bitmap d;

	if (!vfio_type1_is_v2(t))
		return -EACCES;
	if (uapi_get(&d, arg, sizeof(d)))
		return -EFAULT;
	if (d.argsz < sizeof(d) || (d.flags & ~known) || !is_pow2(d.flags))
		return -EINVAL;
	if (d.flags & VFIO_IOMMU_DIRTY_PAGES_FLAG_START)
		return vfio_type1_dirty_start(t);
	if (d.flags & VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP)
		return vfio_type1_dirty_stop(t);
	return dirty_get(t, &d, arg);
}

static long type1_ioctl(struct vfio_type1 *t, unsigned int cmd, unsigned long arg)
{
	switch (cmd) {
	case VFIO_IOMMU_GET_INFO:
		return get_info(t, arg);
	case VFIO_IOMMU_MAP_DMA:
		return map_dma(t, arg);
	case VFIO_IOMMU_UNMAP_DMA:
		return unmap_dma(t, arg);
	case VFIO_IOMMU_DIRTY_PAGES:
		return dirty_pages(t, arg);
	}
	return -ENOTTY;
}

long uapi_type1_ioctl(struct vfio_type1 *t, unsigned int cmd, unsigned long arg)
{
	long ret = type1_ioctl(t, cmd, arg);

	return ret == -EOVERFLOW && !vfio_kernel_has(VFIO_KERNEL_WRAP_EOVERFLOW) ? -EINVAL : ret;
}
