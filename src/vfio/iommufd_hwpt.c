/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/iommufd_hwpt.c: the page tables of an IOAS.
 */
#include <errno.h>

#include "base/heap.h"
#include "vfio/iommufd_objects.h"

int iommufd_hwpt_new(struct vfio_iommufd *ictx, struct iommufd_ioas *ioas,
		     struct iommufd_hwpt **out)
{
	struct iommufd_hwpt *h = heap_alloc(sizeof(*h));
	int ret = -ENOMEM;

	if (!h)
		return -ENOMEM;
	h->space = vfio_ioas_new(ictx->sys, false);
	if (!h->space)
		goto err;
	ret = iommufd_object_add(ictx, &h->obj, IOMMUFD_HWPT);
	if (ret)
		goto err;
	h->ioas = ioas;
	ioas->obj.users++;
	cds_list_add_tail(&h->in_ioas, &ioas->hwpts);
	*out = h;
	return 0;
err:
	vfio_ioas_put(h->space);
	heap_free(h);
	return ret;
}

void iommufd_hwpt_free(struct vfio_iommufd *ictx, struct iommufd_hwpt *h)
{
	iommufd_object_remove(ictx, &h->obj);
	cds_list_del(&h->in_ioas);
	h->ioas->obj.users--;
	vfio_ioas_put(h->space);
	heap_free(h);
}
