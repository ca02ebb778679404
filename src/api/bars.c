/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * api/bars.c: BARs in the program's address space: those that are memory of a file (a real device's
 * are the kernel's file of it). Each mapping keeps that file open, so those of a device go with it.
 * A model's memory is there while the model answers, as the kernel has it with real devices: at
 * other times its mappings have no rights. And DMA of other devices does not reach it past the
 * model, but as accesses of its BAR.
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
	struct uvfio_device *dev;
	unsigned bar;
	uint64_t offset;
	void *at;
	size_t size;
	int prot;
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

/* Map the memory of @b, without rights. */
static int map_area(struct api_bar *b, const struct vfio_region_area *a)
{
	long at = sys_call(SYS_mmap, 0, (long)b->size, PROT_NONE, MAP_SHARED, SYS_PASS(a->fd),
			   (long)(a->fd_offset + (b->offset - a->offset)));

	if (sys_failed(at))
		return (int)at;
	/* a child of fork() has no business with the device */
	sys_call(SYS_madvise, at, (long)b->size, MADV_DONTFORK, 0, 0, 0);
	b->at = (void *)at;
	return 0;
}

/* Give @b its rights, or take them away. bars_lock is held. */
static int set_rights(const struct api_bar *b, bool open)
{
	long ret = sys_call(SYS_mprotect, (long)b->at, (long)b->size, open ? b->prot : PROT_NONE, 0,
			    0, 0);

	if (ret && !open)
		report_err("bar-not-closed", b->dev->plugged->addr, (int)ret,
			   "BAR%u, mapped at %p, stays mapped while the device does not answer: %m",
			   b->bar, b->at);
	return (int)ret;
}

/* The mapper of the device @arg. */
static unsigned set_open(void *arg, enum vfio_area_kind kind, bool open)
{
	struct uvfio_device *dev = arg;
	struct api_bar *b;
	unsigned n = 0;

	if (kind != VFIO_AREA_DIRECT)
		return 0;
	pthread_mutex_lock(&dev->u->bars_lock);
	cds_list_for_each_entry(b, &dev->u->bars, node)
		if (b->dev == dev)
			n += !set_rights(b, open);
	pthread_mutex_unlock(&dev->u->bars_lock);
	return n;
}

bool api_device_memory(void *arg, uint64_t vaddr, uint64_t size, struct vfio_bar *first)
{
	struct uvfio *u = arg;
	struct api_bar *b, found = { 0 };
	bool touches = false;

	pthread_mutex_lock(&u->bars_lock);
	cds_list_for_each_entry(b, &u->bars, node) {
		uint64_t at = (uintptr_t)b->at;

		/* what a real device has the IOMMU maps as the kernel does */
		if (machine_device_is_real(b->dev->plugged))
			continue;
		touches |= at < vaddr + size && vaddr < at + b->size;
		if (vaddr - at < b->size)
			found = *b;
	}
	pthread_mutex_unlock(&u->bars_lock);
	/* it begins elsewhere: not as memory, and not as a BAR */
	if (!found.dev) {
		*first = (struct vfio_bar){ .length = size };
		return touches;
	}
	/* the program keeps the device while it maps its memory */
	vaddr -= (uintptr_t)found.at;
	vfio_device_bar(&found.dev->open, found.bar, found.offset + vaddr, first);
	first->length = found.size - vaddr < size ? found.size - vaddr : size;
	first->prot = (found.prot & PROT_READ ? IOMMU_READ : 0) |
		      (found.prot & PROT_WRITE ? IOMMU_WRITE : 0);
	return true;
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
	*b = (struct api_bar){
		.dev = dev,
		.bar = bar,
		.offset = offset,
		.size = align_up(size, PAGE_SIZE_4K),
		.prot = (r.flags & VFIO_REGION_INFO_FLAG_READ ? PROT_READ : 0) |
			(r.flags & VFIO_REGION_INFO_FLAG_WRITE ? PROT_WRITE : 0),
	};
	vfio_open_set_mapper(&dev->open, set_open, dev);
	rc = map_area(b, a);
	if (rc)
		goto fail;
	/* it is in the list before it is looked whether it is open: one of both comes up here */
	pthread_mutex_lock(&dev->u->bars_lock);
	cds_list_add(&b->node, &dev->u->bars);
	rc = vfio_device_area_open(&dev->open, VFIO_AREA_DIRECT) ? set_rights(b, true) : 0;
	if (rc)
		cds_list_del(&b->node);
	pthread_mutex_unlock(&dev->u->bars_lock);
	if (rc)
		goto fail;
	*out = b->at;
	return 0;
fail:
	if (b->at)
		sys_call(SYS_munmap, (long)b->at, (long)b->size, 0, 0, 0, 0);
	free(b);
	return api_fail(dev->u, rc, "%s: BAR%u cannot be mapped: %s", dev->plugged->addr, bar,
			strerror(-rc));
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
	pthread_mutex_lock(&dev->u->bars_lock);
	cds_list_for_each_entry(b, &dev->u->bars, node)
		if (b->at == mapped && b->dev == dev)
			found = b;
	if (found)
		drop(found);
	pthread_mutex_unlock(&dev->u->bars_lock);
	if (!found)
		report_err("bar-unmap-unknown", dev->plugged->addr, 0,
			   "uvfio_bar_unmap of %p: not what uvfio_bar_map gave", (void *)mapped);
}

void api_unmap_bars(struct uvfio_device *dev)
{
	struct api_bar *b, *next;

	pthread_mutex_lock(&dev->u->bars_lock);
	cds_list_for_each_entry_safe(b, next, &dev->u->bars, node)
		if (b->dev == dev)
			drop(b);
	pthread_mutex_unlock(&dev->u->bars_lock);
}
