/* SPDX-License-Identifier: BSD-3-Clause */
/* vfio/outlast.c: see outlast.h: the provider's calls, with the lock of the migration. */
#include <errno.h>

#include "base/heap.h"
#include "vfio/outlast.h"
#include "vfio/stream.h"

enum vfio_outlast vfio_outlast_way(const struct vfio_migrate *m)
{
	return m && m->ops && m->ops->outlast ? m->ops->outlast(m->dev) : VFIO_OUTLAST_NOT;
}

size_t vfio_outlast_memory_size(struct vfio_migrate *m)
{
	return m->ops->memory_size(m->dev);
}

int vfio_outlast_memory(struct vfio_migrate *m, int fd, uint64_t offset, enum vfio_memory_how how)
{
	int ret;

	pthread_mutex_lock(&m->lock);
	ret = m->ops->memory(m->dev, fd, offset, how);
	vfio_migrate_unlock(m);
	return ret;
}

void vfio_outlast_steps(struct vfio_migrate *m, const struct vfio_steps *steps)
{
	m->ops->steps(m->dev, steps);
}

void vfio_outlast_access(struct vfio_migrate *m, uint16_t number)
{
	m->ops->access(m->dev, number);
}

/* ---- saving; m->lock held ---- */

static int save_part(struct vfio_migrate *m, enum vfio_part part, bool first, vfio_outlast_put *put,
		     void *arg)
{
	size_t len = 0;
	int ret = m->ops->save_in(m->dev, part, &m->scratch, &m->scratch_room, &len);

	return ret ? ret : put(arg, first, part, m->scratch, len);
}

/* Save all memory that is saved beforehand in a migration, and the rest. The device is halted. */
static int save_all(struct vfio_migrate *m, vfio_outlast_put *put, void *arg)
{
	bool first = true;
	int ret = 0;

	if (m->ops->track) {
		ret = m->ops->track(m->dev, true);
		for (; !ret && m->ops->dirty(m->dev); first = false)
			ret = save_part(m, VFIO_PART_MEMORY, first, put, arg);
		m->ops->track(m->dev, false);
	}
	return ret ? ret : save_part(m, VFIO_PART_STATE, first, put, arg);
}

static int save(struct vfio_migrate *m, bool halted, vfio_outlast_put *put, void *arg)
{
	if (m->state != (halted ? VFIO_DEVICE_STATE_STOP : VFIO_DEVICE_STATE_RUNNING))
		return -EBUSY;
	switch (m->ops->outlast(m->dev)) {
	case VFIO_OUTLAST_STEPS:
		return save_part(m, VFIO_PART_STATE, true, put, arg);
	case VFIO_OUTLAST_MEMORY:
		return save_part(m, VFIO_PART_OWN, true, put, arg);
	default:
		return halted ? save_all(m, put, arg) : -EBUSY;
	}
}

int vfio_outlast_describe(struct vfio_migrate *m, vfio_outlast_put *put, void *arg)
{
	int ret;

	pthread_mutex_lock(&m->lock);
	ret = save_part(m, VFIO_PART_DEVICE, true, put, arg);
	vfio_migrate_unlock(m);
	return ret;
}

int vfio_outlast_save(struct vfio_migrate *m, bool halted, vfio_outlast_put *put, void *arg)
{
	int ret;

	pthread_mutex_lock(&m->lock);
	ret = save(m, halted, put, arg);
	vfio_migrate_unlock(m);
	return ret;
}

/* ---- loading ---- */

int vfio_outlast_load(struct vfio_migrate *m, enum vfio_part part, const void *data, size_t len)
{
	int ret = -EINVAL;

	pthread_mutex_lock(&m->lock);
	switch (part) {
	case VFIO_PART_DEVICE:
		ret = m->ops->load(m->dev, part, data, len);
		break;
	case VFIO_PART_MEMORY:
	case VFIO_PART_STATE:
	case VFIO_PART_OWN:
		if (m->state == VFIO_DEVICE_STATE_STOP)
			ret = m->ops->load(m->dev, part, data, len);
		break;
	}
	vfio_migrate_unlock(m);
	return ret;
}

int vfio_outlast_loaded(struct vfio_migrate *m)
{
	int ret;

	pthread_mutex_lock(&m->lock);
	ret = m->ops->loaded(m->dev);
	vfio_migrate_unlock(m);
	return ret;
}
