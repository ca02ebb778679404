/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/iommufd_ioas.c: I/O address spaces of an iommufd.
 */
#include <errno.h>

#include "base/heap.h"
#include "vfio/iommufd_objects.h"

int vfio_iommufd_ioas_alloc(struct vfio_iommufd *ictx, uint32_t *id)
{
	struct iommufd_ioas *ioas = heap_alloc(sizeof(*ioas));
	int ret;

	if (!ioas)
		return -ENOMEM;
	CDS_INIT_LIST_HEAD(&ioas->hwpts);
	pthread_mutex_lock(&ictx->lock);
	ret = iommufd_object_add(ictx, &ioas->obj, IOMMUFD_IOAS);
	pthread_mutex_unlock(&ictx->lock);
	if (ret)
		heap_free(ioas);
	else
		*id = ioas->obj.id;
	return ret;
}

void iommufd_ioas_free(struct vfio_iommufd *ictx, struct iommufd_ioas *ioas)
{
	iommufd_object_remove(ictx, &ioas->obj);
	heap_free(ioas);
}
