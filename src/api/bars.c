/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * api/bars.c: BARs in the program's address space: those that are memory of a file (a real device's
 * are the kernel's file of it). Each mapping keeps that file open, so a device has a list of its
 * own, which goes with it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "api/internal.h"
#include "base/report.h"
#include "base/sys.h"
#include "base/util.h"

struct api_bar {
	struct cds_list_head node;
	void *at;
	size_t size;
};

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

static int map_area(const struct vfio_region *r, const struct vfio_region_area *a, uint64_t offset,
		    size_t size, void **out)
{
	int prot = (r->flags & VFIO_REGION_INFO_FLAG_READ ? PROT_READ : 0) |
		   (r->flags & VFIO_REGION_INFO_FLAG_WRITE ? PROT_WRITE : 0);
	long at = sys_call(SYS_mmap, 0, (long)size, prot, MAP_SHARED, SYS_PASS(a->fd),
			   (long)(a->fd_offset + (offset - a->offset)));

	if (sys_failed(at))
		return (int)at;
	/* a child of fork() has no business with the device */
	sys_call(SYS_madvise, at, (long)size, MADV_DONTFORK, 0, 0, 0);
	*out = (void *)at;
	return 0;
}

int uvfio_bar_map(struct uvfio_device *dev, unsigned bar, uint64_t offset, size_t size,
		  volatile void **out)
{
	API_CALL();
	const struct vfio_region_area *a;
	struct vfio_region r = { 0 };
	struct api_bar *b;
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
	b->size = align_up(size, PAGE_SIZE_4K);
	rc = map_area(&r, a, offset, b->size, &b->at);
	if (rc) {
		free(b);
		return api_fail(dev->u, rc, "%s: BAR%u cannot be mapped: %s", dev->plugged->addr,
				bar, strerror(-rc));
	}
	pthread_mutex_lock(&dev->bars_lock);
	cds_list_add(&b->node, &dev->bars);
	pthread_mutex_unlock(&dev->bars_lock);
	*out = b->at;
	return 0;
}

static void drop(struct api_bar *b)
{
	sys_call(SYS_munmap, (long)b->at, (long)b->size, 0, 0, 0, 0);
	cds_list_del(&b->node);
	free(b);
}

void uvfio_bar_unmap(struct uvfio_device *dev, volatile void *mapped)
{
	API_CALL();
	struct api_bar *b, *found = NULL;

	if (!mapped)
		return;
	pthread_mutex_lock(&dev->bars_lock);
	cds_list_for_each_entry(b, &dev->bars, node)
		if (b->at == mapped)
			found = b;
	if (found)
		drop(found);
	pthread_mutex_unlock(&dev->bars_lock);
	if (!found)
		report_err("bar-unmap-unknown", dev->plugged->addr, 0,
			   "uvfio_bar_unmap of %p: not what uvfio_bar_map gave", (void *)mapped);
}

void api_unmap_bars(struct uvfio_device *dev)
{
	while (!cds_list_empty(&dev->bars))
		drop(cds_list_first_entry(&dev->bars, struct api_bar, node));
}
