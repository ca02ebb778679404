/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/iommufd_fault.c: fault queues: where page requests of devices that are attached to a HWPT
 * with a queue would come. No device here raises any, as the IOMMU has no page request interface
 * (PRI), and none can be attached to such a HWPT: so a queue is empty, and no answer is one to a
 * request.
 */
#include <errno.h>

#include "base/heap.h"
#include "vfio/iommufd_objects.h"

int vfio_iommufd_fault_alloc(struct vfio_iommufd *ictx, uint32_t *id,
			     struct vfio_iommufd_fault **out)
{
	struct vfio_iommufd_fault *q = heap_alloc(sizeof(*q));
	int ret;

	if (!q)
		return -ENOMEM;
	pthread_mutex_lock(&ictx->lock);
	ret = iommufd_object_add(ictx, &q->obj, IOMMUFD_FAULT);
	pthread_mutex_unlock(&ictx->lock);
	if (ret) {
		heap_free(q);
		return ret;
	}
	q->ictx = ictx;
	q->obj.users = 1;
	vfio_iommufd_get(ictx);
	*id = q->obj.id;
	*out = q;
	return 0;
}

void vfio_iommufd_fault_release(struct vfio_iommufd_fault *q)
{
	struct vfio_iommufd *ictx = q->ictx;

	pthread_mutex_lock(&ictx->lock);
	q->obj.users--;
	pthread_mutex_unlock(&ictx->lock);
	vfio_iommufd_put(ictx);
}

void iommufd_fault_free(struct vfio_iommufd *ictx, struct vfio_iommufd_fault *q)
{
	iommufd_object_remove(ictx, &q->obj);
	heap_free(q);
}

int vfio_iommufd_fault_respond(struct vfio_iommufd_fault *q,
			       const struct iommu_hwpt_page_response *r)
{
	return -EINVAL;
}
