/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/device.c: what is the same for every provider: counted opens, and the checks of SET_IRQS
 * that come before the driver.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/log.h"
#include "vfio/device.h"

void vfio_device_init(struct vfio_device *dev, const struct vfio_device_ops *ops, const char *name,
		      struct iommu_device *iommu)
{
	*dev = (struct vfio_device){ .ops = ops, .name = name, .iommu = iommu };
	pthread_mutex_init(&dev->lock, NULL);
}

void vfio_device_fini(struct vfio_device *dev)
{
	pthread_mutex_destroy(&dev->lock);
}

int vfio_device_open(struct vfio_device *dev)
{
	int ret = 0;

	pthread_mutex_lock(&dev->lock);
	if (!dev->open_count)
		ret = dev->ops->open(dev);
	if (!ret)
		dev->open_count++;
	pthread_mutex_unlock(&dev->lock);
	if (ret)
		log_err(dev->name, "open: %s", strerror(-ret));
	return ret;
}

void vfio_device_close(struct vfio_device *dev)
{
	pthread_mutex_lock(&dev->lock);
	if (!--dev->open_count)
		dev->ops->close(dev);
	pthread_mutex_unlock(&dev->lock);
}

int vfio_device_check_token(struct vfio_device *dev, const uint8_t *uuid)
{
	if (dev->ops->check_token)
		return dev->ops->check_token(dev, uuid);
	if (!uuid)
		return 0;
	log_warn(dev->name, "VF token given, but the device is neither a PF nor a VF: EINVAL");
	return -EINVAL;
}

/* linux/vfio.h: argsz counts what comes before data[] */
#define IRQ_SET_SIZE (offsetof(struct vfio_irq_set, count) + sizeof(uint32_t))

int vfio_device_check_irqs(struct vfio_device *dev, uint32_t argsz, uint32_t flags, uint32_t index,
			   uint32_t start, uint32_t count, size_t *data_size)
{
	const uint32_t known = VFIO_IRQ_SET_DATA_TYPE_MASK | VFIO_IRQ_SET_ACTION_TYPE_MASK;
	struct vfio_irq irq = { 0 };
	uint64_t unit;

	*data_size = 0;
	if (argsz < IRQ_SET_SIZE || index >= dev->num_irqs || count >= UINT32_MAX - start ||
	    (flags & ~known))
		return -EINVAL;
	if (dev->ops->irq(dev, index, &irq))
		return -EINVAL;
	/* also for count 0: on an index that has no vectors there is nothing to disable */
	if (start >= irq.count || count > irq.count - start)
		return -EINVAL;
	switch (flags & VFIO_IRQ_SET_DATA_TYPE_MASK) {
	case VFIO_IRQ_SET_DATA_NONE:
		unit = 0;
		break;
	case VFIO_IRQ_SET_DATA_BOOL:
		unit = sizeof(uint8_t);
		break;
	case VFIO_IRQ_SET_DATA_EVENTFD:
		unit = sizeof(int32_t);
		break;
	default: /* none or several */
		return -EINVAL;
	}
	if (argsz - IRQ_SET_SIZE < count * unit)
		return -EINVAL;
	*data_size = count * unit;
	return 0;
}

int vfio_device_set_irqs(struct vfio_device *dev, const struct vfio_irq_set_args *a)
{
	size_t size;
	/* the size of a->data is the caller's word: what it must be follows from the rest */
	int ret = vfio_device_check_irqs(dev, UINT32_MAX, a->flags, a->index, a->start, a->count,
					 &size);

	if (ret)
		return ret;
	if (size && !a->data)
		return -EINVAL;
	return dev->ops->set_irqs(dev, a);
}
