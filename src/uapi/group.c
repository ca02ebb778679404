/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * uapi/group.c: ioctls of /dev/vfio/N, and the device files that GROUP_GET_DEVICE_FD makes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/heap.h"
#include "uapi/internal.h"

static long get_status(struct uapi_file *f, unsigned long arg)
{
	struct vfio_group_status st;

	if (uapi_get(&st, arg, sizeof(st)))
		return -EFAULT;
	if (st.argsz < sizeof(st))
		return -EINVAL;
	st.flags = vfio_group_status(f->group);
	return uapi_put(arg, &st, sizeof(st));
}

static long set_container(struct uapi_file *f, unsigned long arg)
{
	struct uapi_file *c;
	int fd, err;
	long ret;

	if (uapi_get(&fd, arg, sizeof(fd)))
		return -EFAULT;
	c = f->fds.fget(f->fds.arg, fd, &err);
	if (!c && err)
		return err;
	if (vfio_group_status(f->group) & VFIO_GROUP_FLAGS_CONTAINER_SET)
		ret = -EINVAL;
	else if (!c || c->kind != UAPI_CONTAINER)
		ret = -EBADFD;
	else
		ret = vfio_group_set_container(f->group, c->container);
	if (c)
		uapi_file_put(c);
	return ret;
}

static long get_device_fd(struct uapi_file *f, unsigned long arg)
{
	char text[PAGE_SIZE_4K]; /* strndup_user(arg, PAGE_SIZE) */
	struct uapi_file *df = NULL;
	long n = guard_strncpy(text, (const char *)arg, sizeof(text));
	int err, fd;

	if (n == -ENAMETOOLONG)
		return -EINVAL;
	if (n < 0)
		return n;
	df = uapi_file_new(f->sys, &f->fds, UAPI_DEVICE);
	if (!df)
		return -ENOMEM;
	err = vfio_group_open_device(f->group, text, &df->dev);
	if (err) {
		pthread_mutex_destroy(&df->pos_lock);
		heap_free(df);
		return err;
	}
	df->group_file = f;
	uapi_file_get(f);
	snprintf(df->link, sizeof(df->link), "anon_inode:[vfio-device]");
	fd = f->fds.install(f->fds.arg, df);
	if (fd < 0)
		uapi_file_put(df);
	return fd;
}

long uapi_group_ioctl(struct uapi_file *f, unsigned int cmd, unsigned long arg)
{
	switch (cmd) {
	case VFIO_GROUP_GET_STATUS:
		return get_status(f, arg);
	case VFIO_GROUP_SET_CONTAINER:
		return set_container(f, arg);
	case VFIO_GROUP_UNSET_CONTAINER:
		return vfio_group_unset_container(f->group);
	case VFIO_GROUP_GET_DEVICE_FD:
		return get_device_fd(f, arg);
	}
	log_warn(f->link, "ioctl 0x%x is not one of a VFIO group: ENOTTY", cmd);
	return -ENOTTY;
}
