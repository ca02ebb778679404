/* SPDX-License-Identifier: BSD-3-Clause */
/* vfio/dmabuf.c: dma-bufs of BARs: what they are of, and whether they can be mapped now. */
#include <errno.h>

#include "base/heap.h"
#include "vfio/dmabuf.h"
#include "vfio/internal.h"

struct vfio_dmabuf {
	struct vfio_system *sys;
	struct vfio_device *dev; /* NULL: it was closed. Under the system's dmabuf_lock. */
	struct cds_list_head in_sys;
	uint64_t size;
	uint32_t ranges;
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
		.sys = dev->group->system, .dev = dev, .size = size, .ranges = n
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

int vfio_dmabuf_can_map(struct vfio_dmabuf *b, uint64_t start, uint64_t length)
{
	bool answers;

	if (!range_within(start, length, b->size))
		return -EINVAL;
	pthread_mutex_lock(&b->sys->dmabuf_lock);
	answers = b->dev && b->dev->ops->memory_answers(b->dev);
	pthread_mutex_unlock(&b->sys->dmabuf_lock);
	if (!answers)
		return -ENODEV;
	return b->ranges == 1 ? 0 : -EOPNOTSUPP;
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
}
