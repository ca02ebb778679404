/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/iommufd_fault.c: fault queues: where page requests of devices come that are attached to a
 * HWPT with a queue (iommu/page_request.h), in the kernel's form.
 */
#include <errno.h>

#include "base/heap.h"
#include "iommu/page_request.h"
#include "vfio/iommufd_objects.h"

int vfio_iommufd_fault_alloc(struct vfio_iommufd *ictx, uint32_t *id,
			     struct vfio_iommufd_fault **out)
{
	struct vfio_iommufd_fault *f = heap_alloc(sizeof(*f));
	int ret = -ENOMEM;

	if (!f)
		return -ENOMEM;
	f->queue = iommu_fault_queue_new();
	if (f->queue) {
		pthread_mutex_lock(&ictx->lock);
		ret = iommufd_object_add(ictx, &f->obj, IOMMUFD_FAULT);
		pthread_mutex_unlock(&ictx->lock);
	}
	if (ret) {
		iommu_fault_queue_put(f->queue);
		heap_free(f);
		return ret;
	}
	f->ictx = ictx;
	f->obj.users = 1;
	vfio_iommufd_get(ictx);
	*id = f->obj.id;
	*out = f;
	return 0;
}

void vfio_iommufd_fault_release(struct vfio_iommufd_fault *f)
{
	struct vfio_iommufd *ictx = f->ictx;

	pthread_mutex_lock(&ictx->lock);
	f->obj.users--;
	pthread_mutex_unlock(&ictx->lock);
	vfio_iommufd_put(ictx);
}

void iommufd_fault_free(struct vfio_iommufd *ictx, struct vfio_iommufd_fault *f)
{
	iommufd_object_remove(ictx, &f->obj);
	iommu_fault_queue_put(f->queue);
	heap_free(f);
}

void vfio_iommufd_fault_on_ready(struct vfio_iommufd_fault *f, void (*fn)(void *arg, bool ready),
				 void *arg)
{
	iommu_fault_queue_on_ready(f->queue, fn, arg);
}

/* ---- reading and answering ---- */

struct reader {
	vfio_iommufd_fault_fn *put;
	void *arg;
};

static int put_record(void *arg, size_t i, const struct iommu_page_record *rec)
{
	const struct reader *to = arg;
	const struct iommu_hwpt_pgfault f = {
		.flags = (rec->r.pasid == IOMMU_NO_PASID ? 0 : IOMMU_PGFAULT_FLAGS_PASID_VALID) |
			 (rec->r.last ? IOMMU_PGFAULT_FLAGS_LAST_PAGE : 0),
		.dev_id = rec->device,
		.pasid = rec->r.pasid,
		.grpid = rec->r.group,
		.perm = rec->r.perm,
		.addr = rec->r.addr,
		.cookie = rec->cookie,
	};

	return to->put(to->arg, i, &f);
}

long vfio_iommufd_fault_read(struct vfio_iommufd_fault *f, size_t room, vfio_iommufd_fault_fn *put,
			     void *arg)
{
	struct reader to = { put, arg };

	return iommu_fault_queue_read(f->queue, room, put_record, &to);
}

int vfio_iommufd_fault_respond(struct vfio_iommufd_fault *f,
			       const struct iommu_hwpt_page_response *r)
{
	return iommu_fault_queue_answer(f->queue, r->cookie, r->code);
}
