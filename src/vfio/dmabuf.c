/* SPDX-License-Identifier: BSD-3-Clause */
/* vfio/dmabuf.c: dma-bufs of BARs: what they are of, who has them mapped, and when that ends. */
#include <errno.h>

#include "base/heap.h"
#include "base/rcu.h"
#include "iommu/peer.h"
#include "vfio/dmabuf.h"
#include "vfio/internal.h"

struct vfio_dmabuf {
	struct vfio_system *sys;
	struct vfio_device *dev; /* NULL: it was closed. Under the system's dmabuf_lock. */
	struct cds_list_head in_sys;
	uint64_t size;
	uint32_t ranges, index;
	uint64_t offset; /* of the first range */
};

struct vfio_dmabuf_import {
	struct vfio_system *sys;
	struct vfio_device *dev; /* NULL: revoked. Under the system's imports_lock. */
	struct cds_list_head in_sys;
	struct iommu_window *window;
	uint64_t address;
};

bool vfio_device_has_dmabuf(const struct vfio_open *o)
{
	return atomic_load(&o->bound) && o->dev->ops->check_dmabuf && o->dev->group;
}

int vfio_dmabuf_check(struct vfio_open *o, uint32_t index)
{
	struct vfio_region r;

	return index > VFIO_PCI_BAR5_REGION_INDEX || vfio_device_region(o, index, &r) || !r.size
		       ? -ENODEV
		       : 0;
}

/* Add the lengths of whole pages. */
static int add_up(const struct vfio_dma_range *ranges, uint32_t n, uint64_t *size)
{
	*size = 0;
	for (uint32_t i = 0; i < n; i++) {
		uint64_t len = ranges[i].length;

		if (!len || ranges[i].offset % PAGE_SIZE_4K || len % PAGE_SIZE_4K ||
		    add_overflows(*size, len))
			return -EINVAL;
		*size += len;
	}
	/* the kernel needs the top bit for itself */
	return *size >> 63 ? -EINVAL : 0;
}

int vfio_dmabuf_new(struct vfio_open *o, uint32_t index, const struct vfio_dma_range *ranges,
		    uint32_t n, struct vfio_dmabuf **out)
{
	struct vfio_device *dev = o->dev;
	struct vfio_dmabuf *b;
	struct vfio_region r;
	uint64_t size;
	int ret;

	ret = add_up(ranges, n, &size);
	if (ret)
		return ret;
	ret = vfio_device_region(o, index, &r);
	if (ret)
		return ret;
	ret = dev->ops->check_dmabuf(dev, index);
	if (ret)
		return ret;
	for (uint32_t i = 0; i < n; i++) {
		if (add_overflows(ranges[i].offset, ranges[i].length))
			return -EOVERFLOW;
		if (!range_within(ranges[i].offset, ranges[i].length, r.size))
			return -EINVAL;
	}
	b = heap_alloc(sizeof(*b));
	if (!b)
		return -ENOMEM;
	*b = (struct vfio_dmabuf){
		.sys = dev->group->system,
		.dev = dev,
		.size = size,
		.ranges = n,
		.index = index,
		.offset = ranges[0].offset,
	};
	pthread_mutex_lock(&b->sys->dmabuf_lock);
	cds_list_add_tail(&b->in_sys, &b->sys->dmabufs);
	pthread_mutex_unlock(&b->sys->dmabuf_lock);
	*out = b;
	return 0;
}

void vfio_dmabuf_put(struct vfio_dmabuf *b)
{
	if (!b)
		return;
	pthread_mutex_lock(&b->sys->dmabuf_lock);
	cds_list_del(&b->in_sys);
	pthread_mutex_unlock(&b->sys->dmabuf_lock);
	heap_free(b);
}

/* ---- imports ---- */

/* Let nobody through @i any more. With imports_lock. */
static void cut(struct vfio_dmabuf_import *i)
{
	iommu_window_revoke(i->window);
	i->dev = NULL;
}

/*
 * Put @i into the list, where a revocation finds it, then look whether it came too late. With
 * dmabuf_lock.
 */
static int join(struct vfio_dmabuf_import *i, struct vfio_dmabuf *b)
{
	if (!b->dev)
		return -ENODEV;
	i->dev = b->dev;
	pthread_mutex_lock(&b->sys->imports_lock);
	cds_list_add_tail(&i->in_sys, &b->sys->imports);
	pthread_mutex_unlock(&b->sys->imports_lock);
	if (!b->dev->ops->memory_answers(b->dev))
		return -ENODEV;
	return b->ranges == 1 ? 0 : -EOPNOTSUPP;
}

int vfio_dmabuf_import(struct vfio_dmabuf *b, uint64_t start, uint64_t length,
		       struct vfio_dmabuf_import **out)
{
	struct iommu_target *t = NULL;
	struct vfio_dmabuf_import *i;
	int ret;

	if (!range_within(start, length, b->size))
		return -EINVAL;
	i = heap_alloc(sizeof(*i));
	if (!i)
		return -ENOMEM;
	i->sys = b->sys;
	CDS_INIT_LIST_HEAD(&i->in_sys);
	pthread_mutex_lock(&b->sys->dmabuf_lock);
	if (b->dev && b->dev->ops->target)
		t = b->dev->ops->target(b->dev);
	i->window = iommu_window_new(t, b->index);
	ret = i->window ? join(i, b) : -ENOMEM;
	pthread_mutex_unlock(&b->sys->dmabuf_lock);
	if (ret) {
		vfio_dmabuf_import_free(i);
		return ret;
	}
	i->address = iommu_window_address(i->window, b->offset + align_down(start, PAGE_SIZE_4K));
	*out = i;
	return 0;
}

uint64_t vfio_dmabuf_import_address(const struct vfio_dmabuf_import *i)
{
	return i->address;
}

void vfio_dmabuf_import_free(struct vfio_dmabuf_import *i)
{
	if (!i)
		return;
	pthread_mutex_lock(&i->sys->imports_lock);
	cds_list_del(&i->in_sys);
	pthread_mutex_unlock(&i->sys->imports_lock);
	iommu_window_free(i->window);
	heap_free(i);
}

/* ---- revocation ---- */

void vfio_dmabufs_cut(struct vfio_device *dev)
{
	struct vfio_system *s = dev->group ? dev->group->system : NULL;
	struct vfio_dmabuf_import *i;
	bool any = false;

	if (!s)
		return;
	pthread_mutex_lock(&s->imports_lock);
	cds_list_for_each_entry(i, &s->imports, in_sys) {
		if (i->dev != dev)
			continue;
		cut(i);
		any = true;
	}
	pthread_mutex_unlock(&s->imports_lock);
	if (any)
		rcu_sync_all();
}

void vfio_dmabufs_revoke(struct vfio_device *dev)
{
	struct vfio_system *s = dev->group ? dev->group->system : NULL;
	struct vfio_dmabuf *b;

	if (!s)
		return;
	pthread_mutex_lock(&s->dmabuf_lock);
	cds_list_for_each_entry(b, &s->dmabufs, in_sys)
		if (b->dev == dev)
			b->dev = NULL;
	pthread_mutex_unlock(&s->dmabuf_lock);
	vfio_dmabufs_cut(dev);
}
