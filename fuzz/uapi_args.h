/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz/uapi_args.h: one call of the ABI with whatever arguments an input says: those of containers,
 * groups and devices here, those of an iommufd in iommufd_args.h. For uapi.c, and for threads that
 * make such calls at the same time (src/uapi/race_test.c).
 */
#ifndef FUZZ_UAPI_ARGS_H
#define FUZZ_UAPI_ARGS_H
#include "hostile.h"
#include "iommufd_args.h"
#include "machines.h"
#include "vfio/uapi_defs.h"

static const unsigned int cmds[] = {
	VFIO_GET_API_VERSION,
	VFIO_CHECK_EXTENSION,
	VFIO_SET_IOMMU,
	VFIO_GROUP_GET_STATUS,
	VFIO_GROUP_SET_CONTAINER,
	VFIO_GROUP_UNSET_CONTAINER,
	VFIO_GROUP_GET_DEVICE_FD,
	VFIO_DEVICE_GET_INFO,
	VFIO_DEVICE_GET_REGION_INFO,
	VFIO_DEVICE_GET_IRQ_INFO,
	VFIO_DEVICE_SET_IRQS,
	VFIO_DEVICE_RESET,
	VFIO_DEVICE_GET_PCI_HOT_RESET_INFO,
	VFIO_DEVICE_PCI_HOT_RESET,
	VFIO_DEVICE_IOEVENTFD,
	VFIO_DEVICE_FEATURE,
	VFIO_IOMMU_GET_INFO,
	VFIO_IOMMU_MAP_DMA,
	VFIO_IOMMU_UNMAP_DMA,
	VFIO_IOMMU_DIRTY_PAGES,
	VFIO_IOMMU_ENABLE,
	_IO(';', 118), /* BIND_IOMMUFD */
	_IO(';', 119), /* ATTACH_IOMMUFD_PT */
	_IO(';', 120), /* DETACH_IOMMUFD_PT */
	_IO(';', 121), /* MIG_GET_PRECOPY_INFO */
};

#define NUM_CMDS (sizeof(cmds) / sizeof(cmds[0]))

/* True if @cmd is one of /dev/iommu alone. */
static bool of_iommufd(unsigned int cmd)
{
	return (cmd & 0xff) >= IOMMUFD_CMD_FIRST;
}

union arg {
	uint8_t bytes[256];
	uint32_t argsz;
	struct vfio_irq_set irqs;
	struct vfio_iommu_type1_dma_map map;
	struct vfio_iommu_type1_dma_unmap unmap;
	struct vfio_iommu_type1_dirty_bitmap dirty;
	struct vfio_device_ioeventfd io;
	struct vfio_device_feature feature;
	struct vfio_pci_hot_reset hot;
	struct vfio_region_info region;
	struct vfio_irq_info irq;
	int fd;
};

/* Make the pointers in the payload of a feature harmless. */
static void feature_tame(struct in *in, union arg *a)
{
	uint64_t *data = (uint64_t *)a->feature.data;

	switch (a->feature.flags & VFIO_DEVICE_FEATURE_MASK) {
	case VFIO_DEVICE_FEATURE_DMA_LOGGING_START:
		data[2] = some_vaddr(in);
		break;
	case VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT:
		data[3] = some_vaddr(in);
		break;
	}
}

/* How a feature is used: GET, SET, or whichever the input says. */
static uint32_t feature_op(struct in *in, uint32_t nr)
{
	static const uint8_t gets[] = { VFIO_DEVICE_FEATURE_MIGRATION,
					VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT,
					VFIO_DEVICE_FEATURE_MIG_DATA_SIZE,
					VFIO_DEVICE_FEATURE_DMA_BUF };
	uint8_t how = in8(in);

	if (!(how & 3))
		return (uint32_t)(how >> 2 & 7) << 16;
	for (unsigned i = 0; i < sizeof(gets); i++)
		if (nr == gets[i])
			return VFIO_DEVICE_FEATURE_GET;
	return VFIO_DEVICE_FEATURE_SET;
}

/* Fill in the payload of a feature whose number is in the flags. */
static void feature_proper(struct in *in, union arg *a)
{
	uint64_t *data = (uint64_t *)a->feature.data;
	uint32_t *words = (uint32_t *)a->feature.data;

	switch (a->feature.flags & VFIO_DEVICE_FEATURE_MASK) {
	case VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE:
		data[0] = in8(in) % 9;
		break;
	case VFIO_DEVICE_FEATURE_PCI_VF_TOKEN:
		memcpy(data, some_token, sizeof(some_token));
		break;
	case VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP:
		words[0] = (uint32_t)some_fd(in);
		break;
	case VFIO_DEVICE_FEATURE_DMA_BUF:
		words[0] = in8(in) % 9;
		words[1] = in8(in) & 1 ? O_RDWR | O_CLOEXEC : in16(in);
		words[2] = in8(in) == 1;
		words[3] = in8(in) & 15 ? 1u + in8(in) % 3u : in32(in);
		for (unsigned i = 2; i < 8; i += 2) {
			data[i] = in8(in) & 7 ? in8(in) % 4 * PAGE : in64(in);
			data[i + 1] = in8(in) & 7 ? in8(in) % 4 * PAGE : in64(in);
		}
		break;
	case VFIO_DEVICE_FEATURE_DMA_LOGGING_START:
		data[0] = in8(in) & 3 ? PAGE : in64(in);
		data[1] = in8(in) % 4;
		break;
	case VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT:
		data[0] = some_iova(in);
		data[1] = some_size(in);
		data[2] = in8(in) & 7 ? PAGE : in64(in);
		break;
	}
	feature_tame(in, a);
}

/*
 * An argument that gets past the first checks; what makes it proper in some field may still be
 * taken from it.
 */
static size_t proper(struct in *in, unsigned int cmd, union arg *a)
{
	/*
	 * numbers are shared between kinds of file: both structures, one after the other, by what
	 * the stream says
	 */
	bool other = in8(in) & 1;

	if (of_iommufd(cmd)) {
		size_t n = iommufd_proper(in, cmd & 0xff, a);

		iommufd_tame(in, cmd & 0xff, a);
		return n;
	}
	if (cmd >= _IO(';', 118) && cmd <= _IO(';', 120))
		return cdev_proper(in, cmd, (uint32_t *)a);
	if (cmd == VFIO_IOMMU_MAP_DMA && other) {
		a->map = (struct vfio_iommu_type1_dma_map){ .argsz = sizeof(a->map),
							    .flags = in8(in) & 7,
							    .vaddr = some_vaddr(in),
							    .iova = some_iova(in),
							    .size = some_size(in) };
		return sizeof(a->map);
	}
	if (cmd == VFIO_IOMMU_MAP_DMA) {
		a->hot.argsz = sizeof(a->hot) + 8;
		a->hot.flags = 0;
		a->hot.count = in8(in) % 3;
		for (unsigned i = 0; i < 2; i++)
			a->hot.group_fds[i] = some_file_of_ours(in);
		return sizeof(a->hot) + 8;
	}
	if (cmd == VFIO_IOMMU_UNMAP_DMA) {
		struct vfio_bitmap *b = (struct vfio_bitmap *)a->unmap.data;

		a->unmap =
			(struct vfio_iommu_type1_dma_unmap){ .argsz = sizeof(a->unmap) + sizeof(*b),
							     .flags = in8(in) & 7,
							     .iova = some_iova(in),
							     .size = some_size(in) };
		if ((a->unmap.flags & 2) && in8(in) & 1)
			a->unmap.iova = a->unmap.size = 0;
		b->pgsize = in8(in) & 7 ? PAGE : in64(in);
		b->size = in16(in);
		b->data = (void *)some_vaddr(in);
		return sizeof(a->unmap) + sizeof(*b);
	}
	if (cmd == VFIO_IOMMU_DIRTY_PAGES && other) {
		struct vfio_iommu_type1_dirty_bitmap_get *g =
			(struct vfio_iommu_type1_dirty_bitmap_get *)a->dirty.data;

		a->dirty.argsz = sizeof(a->dirty) + sizeof(*g);
		a->dirty.flags = 1u << in8(in) % 3;
		g->iova = some_iova(in);
		g->size = some_size(in);
		g->bitmap.pgsize = in8(in) & 7 ? PAGE : in64(in);
		g->bitmap.size = in16(in);
		g->bitmap.data = (void *)some_vaddr(in);
		return sizeof(a->dirty) + sizeof(*g);
	}
	switch (cmd) {
	case VFIO_GROUP_SET_CONTAINER:
		a->fd = in8(in) & 1 ? some_fd(in) : FIRST_FD + in8(in) % NUM_FDS;
		return sizeof(int);
	case VFIO_GROUP_GET_DEVICE_FD: {
		static const char *const tokens[] = {
			"", "", (" vf_token=" TOKEN_TEXT),
			" vf_token=00000000-0000-0000-0000-00000000000g"
		};
		const char *name = some_name(in);

		return 1 + (size_t)snprintf((char *)a->bytes, sizeof(a->bytes), "%s%s", name,
					    tokens[in8(in) & 3]);
	}
	case VFIO_DEVICE_SET_IRQS: {
		int32_t *data = (int32_t *)a->irqs.data;

		a->irqs = (struct vfio_irq_set){ .argsz = sizeof(a->irqs) + 128,
						 .index = in8(in) % 6,
						 .start = in8(in) % 70,
						 .count = in8(in) % 33 };
		a->irqs.flags = 1u << in8(in) % 3 | 8u << in8(in) % 3;
		/* mostly what is there: INTx, ERR and REQ are one, MSI and MSI-X some */
		if (in8(in) & 7) {
			bool one = a->irqs.index != VFIO_PCI_MSI_IRQ_INDEX &&
				   a->irqs.index != VFIO_PCI_MSIX_IRQ_INDEX;

			a->irqs.start %= one ? 1 : 8;
			a->irqs.count %= one ? 2 : 6;
		}
		if (a->irqs.flags & VFIO_IRQ_SET_DATA_EVENTFD) {
			for (unsigned i = 0; i < 32; i++)
				data[i] = events[i % 4];
			data[in8(in) % 32] = some_fd(in);
		} else {
			in_bytes(in, data, 32);
		}
		return sizeof(a->irqs) + 128;
	}
	case VFIO_DEVICE_IOEVENTFD:
		a->io = (struct vfio_device_ioeventfd){ .argsz = sizeof(a->io),
							.flags = 1u << in8(in) % 4,
							.data = in8(in),
							.fd = some_fd(in) };
		a->io.offset = (uint64_t)(in8(in) % 8) << 40 | (in16(in) & ~7u);
		return sizeof(a->io);
	case VFIO_DEVICE_FEATURE:
		a->feature.argsz = sizeof(a->feature) + 64;
		a->feature.flags = in8(in) % 16;
		a->feature.flags |= feature_op(in, a->feature.flags);
		feature_proper(in, a);
		return a->feature.argsz;
	case VFIO_DEVICE_GET_REGION_INFO:
		a->region.argsz = in8(in);
		a->region.index = in8(in) % 10;
		return sizeof(a->region);
	case VFIO_DEVICE_GET_IRQ_INFO:
		a->irq.argsz = sizeof(a->irq);
		a->irq.index = in8(in) % 6;
		return sizeof(a->irq);
	default:
		a->argsz = in8(in) * 2u;
		return a->argsz < 4 ? 4 : a->argsz < sizeof(*a) ? a->argsz : sizeof(*a);
	}
}

/*
 * A raw structure may hold what the core takes for a pointer or a descriptor of ours: those are
 * made harmless.
 */
static void tame(struct in *in, unsigned int cmd, union arg *a)
{
	if (of_iommufd(cmd))
		iommufd_tame(in, cmd & 0xff, a);
	if (cmd == _IO(';', 118))
		*(uint64_t *)(a->bytes + 16) = some_vaddr(in);
	if (cmd == VFIO_DEVICE_FEATURE)
		feature_tame(in, a);
	if (cmd == VFIO_IOMMU_MAP_DMA)
		a->map.vaddr = some_vaddr(in);
	if (cmd == VFIO_IOMMU_UNMAP_DMA)
		((struct vfio_bitmap *)a->unmap.data)->data = (void *)some_vaddr(in);
	if (cmd == VFIO_IOMMU_DIRTY_PAGES)
		((struct vfio_iommu_type1_dirty_bitmap_get *)a->dirty.data)->bitmap.data =
			(void *)some_vaddr(in);
}
/* Make some ioctl on @f. */
static long call(struct in *in, struct uapi_file *f)
{
	unsigned int cmd = in8(in), raw = in8(in) % 8;
	unsigned long p;
	union arg a;
	size_t n;

	cmd %= NUM_CMDS + IOMMUFD_CMDS;
	cmd = cmd < NUM_CMDS ? cmds[cmd] : IOMMUFD_CMD(IOMMUFD_CMD_FIRST + cmd - NUM_CMDS);
	memset(&a, 0, sizeof(a));
	if (cmd == VFIO_CHECK_EXTENSION || cmd == VFIO_SET_IOMMU)
		return uapi_ioctl(f, cmd, raw ? raw : in64(in));
	if (raw == 7 && in8(in) == 7) {
		/* a number that is none of ours; its argument is not looked at */
		return uapi_ioctl(f, IOMMUFD_CMD(IOMMUFD_CMD_LAST) + 1 + in8(in), 0);
	}
	if (raw >= 2) {
		n = proper(in, cmd, &a);
		/* one bit wrong */
		if (raw == 2) {
			a.bytes[in8(in) % n] ^= (uint8_t)(1u << in8(in) % 8);
			tame(in, cmd, &a);
		}
	} else {
		n = in8(in);
		in_bytes(in, &a, n);
		tame(in, cmd, &a);
	}
	p = (unsigned long)place(in, &a, n);
	return uapi_ioctl(f, cmd, p);
}

/* Read or write somewhere in @f: without an IOMMU nothing that would have a device make DMA. */
static long region(struct in *in, struct uapi_file *f)
{
	uint8_t data[2 * PAGE];
	uint8_t how = in8(in);
	uint64_t pos = (uint64_t)(in8(in) % 11) << 40;
	size_t n;
	void *p;

	switch (how & 3) {
	case 0:
		pos += in16(in);
		n = in8(in);
		break;
	case 1: /* a register */
		n = 1ul << (how >> 6);
		pos += (uint64_t)in8(in) * 4 & ~(n - 1);
		break;
	case 2: /* one of testdev's registers in its own width */
		pos = 2ul << 40 | (in8(in) % 0x30) * 4u;
		n = how & 8 ? 8 : 4;
		break;
	default:
		pos = in8(in) & 1 ? in64(in) : pos + in32(in);
		n = in16(in) % sizeof(data);
	}
	in_bytes(in, data, n < 16 ? n : 16);
	p = place(in, data, n);
	if (uapi_file_can(f) & UAPI_IS_STREAM && how & 0x10)
		return how & 4 ? uapi_read(f, p, n) : uapi_write(f, p, n);
	if (how & 4 || (no_iommu && pos >> 40 != VFIO_PCI_CONFIG_REGION_INDEX))
		return uapi_pread(f, p, n, pos);
	return uapi_pwrite(f, p, n, pos);
}
#endif
