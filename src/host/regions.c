/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host/regions.c: regions and interrupts of a device of the host. What they are was asked at the
 * open; accesses are reads and writes of the kernel's file, and what the kernel lets anybody map is
 * mapped of it.
 */
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "base/guard.h"
#include "base/heap.h"
#include "host/internal.h"

/* ---- what there is ---- */

/* Note the parts of a region that can be mapped: those of SPARSE_MMAP, but empty ones, or all. */
static int note_areas(struct host_device *h, struct host_region *r, const void *info, size_t size,
		      uint32_t caps)
{
	const struct vfio_region_info_cap_sparse_mmap *sparse;
	struct vfio_region_area *a;
	uint32_t n = 1;
	size_t room;

	sparse = host_info_cap(info, size, caps, VFIO_REGION_INFO_CAP_SPARSE_MMAP, sizeof(*sparse),
			       &room);
	if (sparse) {
		n = sparse->nr_areas;
		if (n > (room - sizeof(*sparse)) / sizeof(sparse->areas[0]))
			return report_err(
				"host-region", h->vdev.name, -EINVAL,
				"the kernel's list of areas that can be mapped is cut off");
	}
	a = heap_array(n ? n : 1, sizeof(*a));
	if (!a)
		return -ENOMEM;
	r->areas = a;
	for (uint32_t i = 0; i < n; i++) {
		uint64_t offset = sparse ? sparse->areas[i].offset : 0,
			 len = sparse ? sparse->areas[i].size : r->info.size;

		if (!len || !range_within(offset, len, align_up(r->info.size, PAGE_SIZE_4K)))
			continue;
		a[r->info.num_areas++] = (struct vfio_region_area){
			.offset = offset,
			.size = len,
			.kind = h->mmap == HOST_MMAP_TRAP ? VFIO_AREA_TRAPPED : VFIO_AREA_DIRECT,
			.fd = h->fd,
			.fd_offset = r->offset + offset,
		};
	}
	r->info.areas = a;
	if (!r->info.num_areas || h->mmap == HOST_MMAP_OFF)
		r->info.flags &= ~VFIO_REGION_INFO_FLAG_MMAP;
	return 0;
}

static int get_region(struct host_device *h, uint32_t index)
{
	struct vfio_region_info head = { .argsz = sizeof(head), .index = index }, *info;
	const uint32_t known = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE |
			       VFIO_REGION_INFO_FLAG_MMAP;
	const struct vfio_region_info_cap_type *type;
	struct host_region *r = &h->regions[index];
	uint32_t caps = 0;
	int size, ret = 0;
	size_t room;
	void *buf;

	size = host_info(h->env, h->fd, VFIO_DEVICE_GET_REGION_INFO, &head, sizeof(head), &buf);
	if (size == -EINVAL) /* as of VGA, of a device that is none */
		return 0;
	if (size < 0)
		return report_err("host-region", h->vdev.name, size, "GET_REGION_INFO of region %u",
				  index);
	info = buf;
	r->there = true;
	r->offset = info->offset;
	r->info.size = info->size;
	r->info.flags = info->flags & known;
	if (info->flags & VFIO_REGION_INFO_FLAG_CAPS)
		caps = info->cap_offset;
	r->info.msix_mappable =
		host_info_cap(info, (size_t)size, caps, VFIO_REGION_INFO_CAP_MSIX_MAPPABLE,
			      sizeof(struct vfio_info_cap_header), &room);
	type = host_info_cap(info, (size_t)size, caps, VFIO_REGION_INFO_CAP_TYPE, sizeof(*type),
			     &room);
	if (type) {
		r->info.type = type->type;
		r->info.subtype = type->subtype;
	}
	if (r->info.size && r->info.flags & VFIO_REGION_INFO_FLAG_MMAP)
		ret = note_areas(h, r, info, (size_t)size, caps);
	heap_free(buf);
	return ret;
}

int host_regions_get(struct host_device *h, unsigned regions, unsigned irqs)
{
	int ret = 0;

	host_regions_free(h);
	for (uint32_t i = 0; i < regions && !ret; i++)
		ret = get_region(h, i);
	for (uint32_t i = 0; i < irqs && !ret; i++) {
		struct vfio_irq_info info = { .argsz = sizeof(info), .index = i };
		int rc = h->env->ioctl(h->fd, VFIO_DEVICE_GET_IRQ_INFO, &info);

		/* -EINVAL: errors of a device without PCI Express are not reported */
		if (rc >= 0)
			h->irqs[i] = (struct vfio_irq){ info.flags, info.count };
		else if (rc != -EINVAL)
			ret = report_err("host-irq", h->vdev.name, rc, "GET_IRQ_INFO of index %u",
					 i);
	}
	return ret;
}

void host_regions_free(struct host_device *h)
{
	for (unsigned i = 0; i < HOST_REGIONS; i++)
		heap_free(h->regions[i].areas);
	memset(h->regions, 0, sizeof(h->regions));
	memset(h->irqs, 0, sizeof(h->irqs));
}

/* Return region @index, or NULL: there is none. */
static const struct host_region *find(struct vfio_device *dev, uint32_t index)
{
	const struct host_device *h = to_host(dev);

	return index < HOST_REGIONS && h->regions[index].there ? &h->regions[index] : NULL;
}

int host_get_region(struct vfio_device *dev, uint32_t index, struct vfio_region *out)
{
	const struct host_region *r = find(dev, index);

	if (!r)
		return -EINVAL;
	*out = r->info;
	return 0;
}

int host_get_irq(struct vfio_device *dev, uint32_t index, struct vfio_irq *out)
{
	const struct host_device *h = to_host(dev);

	if (index >= HOST_IRQS || (!h->irqs[index].flags && !h->irqs[index].count))
		return -EINVAL;
	*out = h->irqs[index];
	return 0;
}

/* ---- access ---- */

ssize_t host_rw(struct vfio_device *dev, uint32_t index, uint64_t pos, void *buf, size_t count,
		bool write)
{
	const struct host_region *r = find(dev, index);
	struct host_device *h = to_host(dev);

	/* a position behind the region may be one of the next in the file */
	if (!r || pos >= r->info.size)
		return -EINVAL;
	if (count > r->info.size - pos)
		count = (size_t)(r->info.size - pos);
	return write ? sys_pwrite(h->fd, buf, count, (off_t)(r->offset + pos))
		     : sys_pread(h->fd, buf, count, (off_t)(r->offset + pos));
}

/* Find the part that can be mapped in which [@pos, @pos + @size) is, or on its last page. */
static const struct vfio_region_area *find_area(const struct host_region *r, uint64_t pos,
						unsigned size)
{
	for (unsigned i = 0; i < r->info.num_areas; i++) {
		const struct vfio_region_area *a = &r->areas[i];

		if (pos >= a->offset &&
		    range_within(pos - a->offset, size, align_up(a->size, PAGE_SIZE_4K)))
			return a;
	}
	return NULL;
}

/*
 * In a mapping for the moment, since that is what it is instead of: the kernel's read and write
 * keep the MSI-X table from users, and answer for it also while memory decoding is off.
 */
int host_mmio(struct vfio_device *dev, uint32_t index, uint64_t pos, unsigned size, uint64_t *value,
	      bool write)
{
	const struct host_region *r = find(dev, index);
	const struct vfio_region_area *a = r ? find_area(r, pos, size) : NULL;
	uint64_t page = pos & ~(PAGE_SIZE_4K - 1);
	size_t len = align_up(pos - page + size, PAGE_SIZE_4K);
	int prot = write ? PROT_READ | PROT_WRITE : PROT_READ, rc;
	uint8_t *reg;
	long at;

	if (!a)
		return -EIO;
	at = sys_call(SYS_mmap, 0, (long)len, prot, MAP_SHARED, SYS_PASS(a->fd),
		      (long)(a->fd_offset + page - a->offset));
	if (sys_failed(at))
		return -EIO;
	reg = (uint8_t *)at + (pos - page);
	rc = write ? guard_copy(reg, value, size) : guard_copy(value, reg, size);
	sys_call(SYS_munmap, at, (long)len, 0, 0, 0, 0);
	return rc ? -EIO : 0;
}

int host_ioeventfd(struct vfio_device *dev, uint32_t flags, uint64_t offset, uint64_t data, int fd)
{
	const struct host_region *r = find(dev, VFIO_REGION_INDEX(offset));
	struct vfio_device_ioeventfd arg = {
		.argsz = sizeof(arg),
		.flags = flags,
		.data = data,
		.fd = fd,
	};
	struct host_device *h = to_host(dev);

	if (!r)
		return -EINVAL;
	arg.offset = r->offset + VFIO_REGION_POS(offset);
	return h->env->ioctl(h->fd, VFIO_DEVICE_IOEVENTFD, &arg);
}

/* ---- interrupts ---- */

int host_set_irqs(struct vfio_device *dev, const struct vfio_irq_set_args *a)
{
	size_t unit = a->flags & VFIO_IRQ_SET_DATA_EVENTFD ? sizeof(int32_t)
		      : a->flags & VFIO_IRQ_SET_DATA_BOOL  ? sizeof(uint8_t)
							   : 0,
	       size = sizeof(struct vfio_irq_set) + a->count * unit;
	uint64_t small[8]; /* INTx, MSI: no need for memory */
	struct host_device *h = to_host(dev);
	struct vfio_irq_set *set = size <= sizeof(small) ? (void *)small : heap_alloc(size);
	int ret;

	if (!set)
		return -ENOMEM;
	*set = (struct vfio_irq_set){
		.argsz = (uint32_t)size,
		.flags = a->flags,
		.index = a->index,
		.start = a->start,
		.count = a->count,
	};
	if (unit && a->count)
		memcpy(set->data, a->data, a->count * unit);
	ret = h->env->ioctl(h->fd, VFIO_DEVICE_SET_IRQS, set);
	if (set != (void *)small)
		heap_free(set);
	return ret;
}
