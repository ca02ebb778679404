/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/device.c: what is the same for every provider's device: counted opens, and who may open it.
 */
#include <errno.h>
#include <string.h>

#include "base/report.h"
#include "iommu/log.h"
#include "vfio/internal.h"
#include "vfio/migrate.h"
#include "vfio/open.h"

void vfio_device_init(struct vfio_device *dev, const struct vfio_device_ops *ops, const char *name,
		      struct iommu_device *iommu)
{
	*dev = (struct vfio_device){ .ops = ops, .name = name, .iommu = iommu };
	pthread_mutex_init(&dev->lock, NULL);
	pthread_mutex_init(&dev->mappers_lock, NULL);
	CDS_INIT_LIST_HEAD(&dev->mappers);
}

void vfio_device_fini(struct vfio_device *dev)
{
	pthread_mutex_destroy(&dev->mappers_lock);
	pthread_mutex_destroy(&dev->lock);
}

int vfio_device_open_for(struct vfio_device *dev, struct vfio_ioas *io)
{
	int ret = 0;

	pthread_mutex_lock(&dev->lock);
	if (atomic_load(&dev->leaving)) {
		pthread_mutex_unlock(&dev->lock);
		return -ENODEV;
	}
	dev->opens_for = io;
	if (!dev->open_count)
		ret = dev->ops->open(dev);
	dev->opens_for = NULL;
	if (!ret)
		dev->open_count++;
	pthread_mutex_unlock(&dev->lock);
	if (ret)
		report_err("device-open", dev->name, ret, "open: %m");
	return ret;
}

int vfio_device_open(struct vfio_device *dev)
{
	return vfio_device_open_for(dev, NULL);
}

void vfio_device_close(struct vfio_device *dev)
{
	struct vfio_system *s = dev->group ? dev->group->system : NULL;
	bool released = false;

	pthread_mutex_lock(&dev->lock);
	if (!--dev->open_count) {
		vfio_dmabufs_revoke(dev);
		vfio_migrate_closing(dev);
		dev->ops->close(dev);
		vfio_migrate_closed(dev);
		if (dev->migrate)
			iommu_log_stop(dev->iommu);
		released = atomic_load(&dev->leaving);
	}
	pthread_mutex_unlock(&dev->lock);
	if (released && s && s->env->released)
		s->env->released(s->env_arg);
}

unsigned vfio_device_leave(struct vfio_device *dev, bool leaving)
{
	unsigned n;

	pthread_mutex_lock(&dev->lock);
	atomic_store(&dev->leaving, leaving);
	n = dev->open_count;
	pthread_mutex_unlock(&dev->lock);
	return n;
}

unsigned vfio_device_opens(struct vfio_device *dev)
{
	unsigned n;

	pthread_mutex_lock(&dev->lock);
	n = dev->open_count;
	pthread_mutex_unlock(&dev->lock);
	return n;
}

unsigned vfio_device_reset_methods(struct vfio_device *dev,
				   enum vfio_reset_method out[VFIO_RESET_METHODS])
{
	/* Linux's order */
	static const enum vfio_reset_method all[] = { VFIO_RESET_BY_FLR, VFIO_RESET_BY_AF_FLR,
						      VFIO_RESET_BY_PM, VFIO_RESET_BY_BUS };
	struct vfio_system *s = dev->group ? dev->group->system : NULL;
	int n = s && s->env->reset_methods ? s->env->reset_methods(s->env_arg, &dev->address, out)
					   : -1;

	if (n >= 0)
		return (unsigned)n;
	memcpy(out, all, sizeof(all));
	return ARRAY_SIZE(all);
}

int vfio_device_host_reset(struct vfio_device *dev)
{
	int ret;

	if (!dev->ops->host_reset)
		return -ENOTTY;
	vfio_device_use(dev);
	pthread_mutex_lock(&dev->lock);
	ret = dev->ops->host_reset(dev);
	pthread_mutex_unlock(&dev->lock);
	vfio_device_unuse(dev);
	return ret;
}

int vfio_device_check_token(struct vfio_device *dev, const uint8_t *uuid)
{
	if (dev->ops->check_token)
		return dev->ops->check_token(dev, uuid);
	if (!uuid)
		return 0;
	return report_warn("token-unexpected", dev->name, -EINVAL,
			   "VF token given, but the device is neither a PF nor a VF");
}
