/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz/iommufd_args.h: arguments of the ioctls of /dev/iommu, and of those that bring a device to
 * it (uapi.c).
 */
#ifndef FUZZ_IOMMUFD_ARGS_H
#define FUZZ_IOMMUFD_ARGS_H
#include "hostile.h"
#include "vfio/iommufd_defs.h"

#define IOMMUFD_CMDS (IOMMUFD_CMD_LAST - IOMMUFD_CMD_FIRST + 1)

/* Ids are used again at once, so that low ones are those of something. */
static uint32_t some_id(struct in *in)
{
	uint8_t v = in8(in);

	return v < 0xf0 ? v % 12 : v < 0xf8 ? v : -(uint32_t)(v & 7);
}

/* A descriptor that can be mapped, or cannot: among ours are dma-bufs. */
static int some_file(struct in *in)
{
	uint8_t v = in8(in);

	return v & 1 ? file_fd : v & 2 ? FIRST_FD + (v >> 2) % NUM_FDS : null_fd;
}

/* Whatever the structure holds: pointers lead to the pool, or to nothing. */
static void iommufd_tame(struct in *in, unsigned nr, void *arg)
{
	struct iommu_ioas_map *map = arg;
	struct iommu_ioas_iova_ranges *ranges = arg;
	struct iommu_ioas_allow_iovas *allow = arg;
	struct iommu_hwpt_alloc *hwpt = arg;
	struct iommu_hw_info *info = arg;
	struct iommu_hwpt_get_dirty_bitmap *dirty = arg;
	struct iommu_hwpt_invalidate *inval = arg;
	struct iommu_viommu_alloc *viommu = arg;

	switch (IOMMUFD_CMD(nr)) {
	case IOMMU_IOAS_MAP:
		map->user_va = some_vaddr(in);
		break;
	case IOMMU_IOAS_IOVA_RANGES:
		ranges->allowed_iovas = some_vaddr(in);
		break;
	case IOMMU_IOAS_ALLOW_IOVAS:
		allow->allowed_iovas = some_vaddr(in);
		break;
	case IOMMU_HWPT_ALLOC:
		hwpt->data_uptr = some_vaddr(in);
		break;
	case IOMMU_GET_HW_INFO:
		info->data_uptr = some_vaddr(in);
		break;
	case IOMMU_HWPT_GET_DIRTY_BITMAP:
		dirty->data = some_vaddr(in);
		break;
	case IOMMU_HWPT_INVALIDATE:
		inval->data_uptr = some_vaddr(in);
		break;
	case IOMMU_VIOMMU_ALLOC:
		viommu->data_uptr = some_vaddr(in);
		break;
	}
}

/* An argument that gets past the first checks: its bytes. Pointers are for iommufd_tame(). */
static size_t iommufd_proper(struct in *in, unsigned nr, void *arg)
{
	struct iommu_ioas_iova_ranges *ranges = arg;
	struct iommu_ioas_map *map = arg;
	struct iommu_ioas_map_file *file = arg;
	struct iommu_ioas_copy *copy = arg;
	struct iommu_ioas_unmap *unmap = arg;
	struct iommu_option *option = arg;
	struct iommu_vfio_ioas *vfio = arg;
	struct iommu_hwpt_alloc *hwpt = arg;
	struct iommu_hw_info *info = arg;
	struct iommu_hwpt_set_dirty_tracking *track = arg;
	struct iommu_hwpt_get_dirty_bitmap *dirty = arg;
	struct iommu_ioas_noiommu_get_pa *pa = arg;
	uint32_t *words = arg;

	switch (IOMMUFD_CMD(nr)) {
	case IOMMU_DESTROY:
		words[0] = 8;
		words[1] = some_id(in);
		return 8;
	case IOMMU_IOAS_ALLOC:
		words[0] = 12;
		return 12;
	case IOMMU_IOAS_IOVA_RANGES:
	case IOMMU_IOAS_ALLOW_IOVAS:
		ranges->size = IOMMU_IOAS_IOVA_RANGES == IOMMUFD_CMD(nr) ? 32 : 24;
		ranges->ioas_id = some_id(in);
		ranges->num_iovas = in8(in) & 0x80 ? in32(in) : in8(in) % 5;
		/* what ALLOW_IOVAS finds there */
		for (unsigned i = 0; i < 4; i++) {
			struct iommu_iova_range r = { some_iova(in), 0 };

			r.last = r.start + some_size(in);
			memcpy(pool + i * sizeof(r), &r, sizeof(r));
		}
		return ranges->size;
	case IOMMU_IOAS_MAP:
		map->size = sizeof(*map);
		map->flags = in8(in) & 7;
		map->ioas_id = some_id(in);
		map->length = some_size(in);
		map->iova = some_iova(in);
		return map->size;
	case IOMMU_IOAS_MAP_FILE:
		file->size = sizeof(*file);
		file->flags = in8(in) & 7;
		file->ioas_id = some_id(in);
		file->fd = some_file(in);
		file->start = some_size(in);
		file->length = some_size(in);
		file->iova = some_iova(in);
		return file->size;
	case IOMMU_IOAS_COPY:
		copy->size = sizeof(*copy);
		copy->flags = in8(in) & 7;
		copy->dst_ioas_id = some_id(in);
		copy->src_ioas_id = some_id(in);
		copy->length = some_size(in);
		copy->dst_iova = some_iova(in);
		copy->src_iova = some_iova(in);
		return copy->size;
	case IOMMU_IOAS_UNMAP:
		unmap->size = sizeof(*unmap);
		unmap->ioas_id = some_id(in);
		unmap->iova = some_iova(in);
		unmap->length = some_size(in);
		if (!(in8(in) & 7)) {
			unmap->iova = 0;
			unmap->length = UINT64_MAX;
		}
		return unmap->size;
	case IOMMU_OPTION:
		option->size = sizeof(*option);
		option->option_id = in8(in) % 3;
		option->op = in8(in) % 3;
		option->object_id = some_id(in);
		option->val64 = in8(in) % 3;
		return option->size;
	case IOMMU_VFIO_IOAS:
		vfio->size = sizeof(*vfio);
		vfio->ioas_id = some_id(in);
		vfio->op = in8(in) % 4;
		return vfio->size;
	case IOMMU_HWPT_ALLOC:
		hwpt->size = sizeof(*hwpt);
		hwpt->flags = in8(in) & 15;
		hwpt->dev_id = some_id(in);
		hwpt->pt_id = some_id(in);
		hwpt->fault_id = some_id(in);
		return hwpt->size;
	case IOMMU_GET_HW_INFO:
		info->size = sizeof(*info);
		info->flags = in8(in) & 1;
		info->dev_id = some_id(in);
		info->data_len = in8(in);
		info->data_type = in8(in) % 3;
		return info->size;
	case IOMMU_HWPT_SET_DIRTY_TRACKING:
		track->size = sizeof(*track);
		track->flags = in8(in) & 1;
		track->hwpt_id = some_id(in);
		return track->size;
	case IOMMU_HWPT_GET_DIRTY_BITMAP:
		dirty->size = sizeof(*dirty);
		dirty->hwpt_id = some_id(in);
		dirty->flags = in8(in) & 1;
		dirty->iova = some_iova(in);
		dirty->length = some_size(in);
		dirty->page_size = in8(in) & 7 ? PAGE << in8(in) % 10 : in64(in);
		return dirty->size;
	case IOMMU_FAULT_QUEUE_ALLOC:
		words[0] = 16;
		return 16;
	case IOMMU_IOAS_NOIOMMU_GET_PA:
		pa->size = sizeof(*pa);
		pa->ioas_id = some_id(in);
		pa->iova = some_iova(in);
		pa->length = some_size(in);
		return pa->size;
	default: /* ids and small numbers where they may be */
		words[0] = 8 + in8(in) % 48;
		for (unsigned i = 1; i < 14; i++)
			words[i] = in8(in) & 1 ? 0 : some_id(in);
		return words[0];
	}
}

/* vfio.h of Linux 6.6: BIND_IOMMUFD, ATTACH_IOMMUFD_PT, DETACH_IOMMUFD_PT */
static size_t cdev_proper(struct in *in, unsigned int cmd, uint32_t *words)
{
	uint8_t how = in8(in);

	words[1] = how & 1;
	if (cmd == _IO(';', 118)) {
		words[0] = how & 1 ? 24 : 16;
		words[2] = FIRST_FD + in8(in) % NUM_FDS;
		*(uint64_t *)(words + 4) = how & 6 ? (uintptr_t)some_token : some_vaddr(in);
		return words[0];
	}
	words[0] = 16;
	words[2] = cmd == _IO(';', 119) ? some_id(in) : in8(in) % 3;
	words[3] = in8(in) % 3;
	return words[0];
}
#endif
