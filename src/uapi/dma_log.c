/* SPDX-License-Identifier: BSD-3-Clause */
/* uapi/dma_log.c: the features of DMA logging: decode, copy; checks in vfio_main.c's order. */
#include "base/heap.h"
#include "uapi/internal.h"
#include "vfio/dma_log.h"

long uapi_dma_log_start(struct uapi_file *f, uint32_t op, unsigned long arg)
{
	struct vfio_device_feature_dma_logging_control control;
	struct vfio_device_feature_dma_logging_range *ranges;
	uint64_t page_size;
	long ret;

	if (uapi_get(&control, arg, sizeof(control)))
		return -EFAULT;
	if (!control.num_ranges)
		return -EINVAL;
	if (control.num_ranges > VFIO_DMA_LOG_RANGES)
		return -E2BIG;
	ranges = heap_array(control.num_ranges, sizeof(*ranges));
	if (!ranges)
		return -ENOMEM;
	page_size = control.page_size;
	ret = -EFAULT;
	if (!uapi_get(ranges, control.ranges, control.num_ranges * sizeof(*ranges)))
		ret = vfio_dma_log_start(&f->open, ranges, control.num_ranges, &page_size);
	heap_free(ranges);
	control.page_size = page_size;
	if (!ret && uapi_put(arg, &control, sizeof(control))) {
		vfio_dma_log_stop(&f->open);
		ret = -EFAULT;
	}
	return ret;
}

long uapi_dma_log_stop(struct uapi_file *f, uint32_t op, unsigned long arg)
{
	vfio_dma_log_stop(&f->open);
	return 0;
}

long uapi_dma_log_report(struct uapi_file *f, uint32_t op, unsigned long arg)
{
	struct vfio_device_feature_dma_logging_report r;

	if (uapi_get(&r, arg, sizeof(r)))
		return -EFAULT;
	return vfio_dma_log_report(&f->open, r.iova, r.length, r.page_size, (uintptr_t)r.bitmap);
}
