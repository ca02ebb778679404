/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/iommufd.c: an iommufd, and the table of its objects. Numbers are the lowest that are free,
 * from 1, as the kernel's xarray gives them: one that was destroyed is used again at once.
 */
#include <errno.h>
#include <limits.h>

#include "base/heap.h"
#include "vfio/iommufd_objects.h"

struct vfio_iommufd *vfio_iommufd_new(struct vfio_system *s)
{
	struct vfio_iommufd *ictx = heap_alloc(sizeof(*ictx));

	if (!ictx)
		return NULL;
	ref_init(&ictx->ref);
	ictx->sys = s;
	ictx->free_from = 1;
	pthread_mutex_init(&ictx->lock, NULL);
	return ictx;
}

void vfio_iommufd_get(struct vfio_iommufd *ictx)
{
	ref_get(&ictx->ref);
}

static void object_free(struct vfio_iommufd *ictx, struct iommufd_object *o)
{
	switch (o->kind) {
	case IOMMUFD_IOAS:
		iommufd_ioas_free(ictx, container_of_type(o, struct iommufd_ioas, obj));
		break;
	case IOMMUFD_HWPT:
		iommufd_hwpt_free(ictx, container_of_type(o, struct iommufd_hwpt, obj));
		break;
	case IOMMUFD_FAULT:
		iommufd_fault_free(ictx, container_of_type(o, struct vfio_iommufd_fault, obj));
		break;
	case IOMMUFD_DEVICE: /* while there is one its binding uses it */
	case IOMMUFD_ANY:
		break;
	}
}

/* Nobody else has it: what is left are IOASes, HWPTs that use them, and fault queues. */
void vfio_iommufd_put(struct vfio_iommufd *ictx)
{
	if (!ref_put(&ictx->ref))
		return;
	while (ictx->count)
		for (uint32_t id = 1; id < ictx->room; id++)
			if (ictx->objects[id] && !ictx->objects[id]->users)
				object_free(ictx, ictx->objects[id]);
	heap_free(ictx->objects);
	pthread_mutex_destroy(&ictx->lock);
	heap_free(ictx);
}

bool iommufd_capable(struct vfio_iommufd *ictx, unsigned cap)
{
	const struct vfio_env *env = ictx->sys->env;

	return !env->capable || env->capable(ictx->sys->env_arg, cap);
}

bool vfio_iommufd_rawio(struct vfio_iommufd *ictx)
{
	return vfio_may_rawio(ictx->sys);
}

/* ---- numbers ---- */

int iommufd_object_add(struct vfio_iommufd *ictx, struct iommufd_object *o, enum iommufd_kind kind)
{
	struct iommufd_object **objects;
	uint32_t id = ictx->free_from, room;

	while (id < ictx->room && ictx->objects[id])
		id++;
	if (id >= ictx->room) {
		if (id >= INT32_MAX / 2) /* the kernel's numbers have 31 bits */
			return -ENOMEM;
		room = ictx->room ? ictx->room * 2 : 16;
		objects = heap_resize(ictx->objects, room * sizeof(objects[0]));
		if (!objects)
			return -ENOMEM;
		ictx->objects = objects;
		ictx->room = room;
	}
	o->kind = kind;
	o->id = id;
	ictx->objects[id] = o;
	ictx->free_from = id + 1;
	ictx->count++;
	return 0;
}

void iommufd_object_remove(struct vfio_iommufd *ictx, struct iommufd_object *o)
{
	ictx->objects[o->id] = NULL;
	if (o->id < ictx->free_from)
		ictx->free_from = o->id;
	ictx->count--;
}

struct iommufd_object *iommufd_object_get(struct vfio_iommufd *ictx, uint32_t id,
					  enum iommufd_kind kind)
{
	struct iommufd_object *o = id < ictx->room ? ictx->objects[id] : NULL;

	return o && o->ready && (kind == IOMMUFD_ANY || o->kind == kind) ? o : NULL;
}

void vfio_iommufd_publish(struct vfio_iommufd *ictx, uint32_t id)
{
	pthread_mutex_lock(&ictx->lock);
	ictx->objects[id]->ready = true;
	pthread_mutex_unlock(&ictx->lock);
}

void vfio_iommufd_abort(struct vfio_iommufd *ictx, uint32_t id)
{
	pthread_mutex_lock(&ictx->lock);
	object_free(ictx, ictx->objects[id]);
	pthread_mutex_unlock(&ictx->lock);
}

int vfio_iommufd_destroy(struct vfio_iommufd *ictx, uint32_t id)
{
	struct iommufd_object *o;
	int ret = 0;

	pthread_mutex_lock(&ictx->lock);
	o = iommufd_object_get(ictx, id, IOMMUFD_ANY);
	if (!o)
		ret = -ENOENT;
	else if (o->users)
		ret = -EBUSY;
	else
		object_free(ictx, o);
	pthread_mutex_unlock(&ictx->lock);
	return ret;
}
