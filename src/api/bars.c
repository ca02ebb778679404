/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * api/bars.c: BARs in the program's address space: those that are memory of a file (a real device's
 * are the kernel's file of it). Each mapping keeps that file open, so those of a device go with it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "api/internal.h"
#include "base/report.h"
#include "base/util.h"

/* Find the memory that all of [@offset, @offset + @size) of @r is of. NULL: it is none. */
static const struct vfio_region_area *find_area(const struct vfio_region *r, uint64_t offset,
						size_t size)
{
	if (!(r->flags & VFIO_REGION_INFO_FLAG_MMAP))
		return NULL;
	for (unsigned i = 0; i < r->num_areas; i++) {
		const struct vfio_region_area *a = &r->areas[i];

		if (a->kind == VFIO_AREA_DIRECT && offset >= a->offset &&
		    range_within(offset - a->offset, size, a->size))
			return a;
	}
	return NULL;
}

bool api_device_memory(void *arg, uint64_t vaddr, uint64_t size, struct vfio_bar *first)
{
	return vfio_bar_maps_find(&((struct uvfio *)arg)->bars, vaddr, size, first);
}

int uvfio_bar_map(struct uvfio_device *dev, unsigned bar, uint64_t offset, size_t size,
		  volatile void **out)
{
	API_CALL();
	const struct vfio_region_area *a;
	struct vfio_region r = { 0 };
	struct vfio_bar_map *b;
	int rc;

	if (bar < UVFIO_REGION_ROM)
		vfio_device_region(&dev->open, bar, &r);
	if (!size || offset % PAGE_SIZE_4K || !range_within(offset, size, r.size))
		return api_fail(dev->u, -EINVAL,
				"%s: %zu bytes at 0x%" PRIx64 " are not whole pages of a BAR %u",
				dev->plugged->addr, size, offset, bar);
	a = find_area(&r, offset, size);
	if (!a)
		return api_fail(dev->u, -ENOTSUP,
				"%s: %zu bytes at 0x%" PRIx64 " of BAR%u are no plain memory: they "
				"can be read and written by calls alone",
				dev->plugged->addr, size, offset, bar);
	b = calloc(1, sizeof(*b));
	if (!b)
		return api_fail(dev->u, -ENOMEM, "%s: out of memory", dev->plugged->addr);
	*b = (struct vfio_bar_map){
		.open = &dev->open,
		.index = bar,
		.offset = offset,
		.size = align_up(size, PAGE_SIZE_4K),
		.prot = (r.flags & VFIO_REGION_INFO_FLAG_READ ? PROT_READ : 0) |
			(r.flags & VFIO_REGION_INFO_FLAG_WRITE ? PROT_WRITE : 0),
	};
	rc = vfio_bar_maps_map(&dev->u->bars, b, a->fd, a->fd_offset + (offset - a->offset));
	if (rc) {
		free(b);
		return api_fail(dev->u, rc, "%s: BAR%u cannot be mapped: %s", dev->plugged->addr,
				bar, strerror(-rc));
	}
	*out = b->at;
	return 0;
}

void uvfio_bar_unmap(struct uvfio_device *dev, volatile void *mapped)
{
	API_CALL();
	struct vfio_bar_map *b;

	if (!mapped)
		return;
	b = vfio_bar_maps_unmap(&dev->u->bars, &dev->open, mapped);
	if (!b)
		report_err("bar-unmap-unknown", dev->plugged->addr, 0,
			   "uvfio_bar_unmap of %p: not what uvfio_bar_map gave", (void *)mapped);
	free(b);
}

void api_unmap_bars(struct uvfio_device *dev)
{
	struct vfio_bar_map *b;

	while ((b = vfio_bar_maps_unmap(&dev->u->bars, &dev->open, NULL)))
		free(b);
}
