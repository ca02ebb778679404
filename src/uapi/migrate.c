/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * uapi/migrate.c: the features of migration, and the files by which a device's state is read and
 * written. The order of checks is the kernel's (vfio_main.c; the files are those of its drivers,
 * of which mlx5's is the one that does all that there is).
 */
#include <fcntl.h>

#include "uapi/internal.h"
#include "vfio/migrate.h"

#define LINK "anon_inode:uvfio_mig"

/* ---- the stream ---- */

static ssize_t stream_read(struct uapi_file *f, void *user, size_t count, uint64_t pos)
{
	return vfio_stream_read(f->priv, (uintptr_t)user, count);
}

static ssize_t stream_write(struct uapi_file *f, const void *user, size_t count, uint64_t pos)
{
	return vfio_stream_write(f->priv, (uintptr_t)user, count);
}

static long stream_ioctl(struct uapi_file *f, unsigned int cmd, unsigned long arg)
{
	const size_t minsz = UAPI_SIZE_WITH(struct vfio_precopy_info, dirty_bytes);
	struct vfio_precopy_info info;
	int ret;

	if (cmd != VFIO_MIG_GET_PRECOPY_INFO)
		return -ENOTTY;
	if (uapi_get(&info, arg, minsz))
		return -EFAULT;
	if (info.argsz < minsz)
		return -EINVAL;
	ret = vfio_stream_precopy(f->priv, &info);
	return ret ? ret : uapi_put(arg, &info, minsz);
}

static void stream_release(struct uapi_file *f)
{
	if (!f->priv)
		return;
	vfio_stream_on_ready(f->priv, NULL, NULL);
	vfio_stream_put(f->priv);
}

static const char *const names[] = { "MIG_GET_PRECOPY_INFO" };

static const struct uapi_file_ops saving_ops = {
	.kind = VFIO_FILE_STREAM,
	.stream = true,
	.ioctl = stream_ioctl,
	.read = stream_read,
	.release = stream_release,
	.names = { names, 21, 1 },
};

static const struct uapi_file_ops resuming_ops = {
	.kind = VFIO_FILE_STREAM,
	.stream = true,
	.write = stream_write,
	.release = stream_release,
};

static void stream_ready(void *arg, bool ready)
{
	uapi_file_set_ready(arg, ready);
}

/* ---- features ---- */

bool uapi_has_migration(const struct uapi_file *f)
{
	return vfio_device_migrate(&f->open);
}

bool uapi_has_precopy(const struct uapi_file *f)
{
	const struct vfio_migrate *m = vfio_device_migrate(&f->open);

	return m && vfio_migrate_flags(m) & VFIO_MIGRATION_PRE_COPY;
}

long uapi_migration(struct uapi_file *f, uint32_t op, unsigned long arg)
{
	struct vfio_device_feature_migration mig = {
		.flags = vfio_migrate_flags(vfio_device_migrate(&f->open)),
	};

	return uapi_put(arg, &mig, sizeof(mig));
}

/*
 * The client is told of a descriptor that it has, so its memory is tried before there is one. What
 * it makes of its memory in between is its own affair: the stream then has a descriptor that it was
 * not told of.
 */
static long give_stream(struct uapi_file *sf, unsigned long arg,
			struct vfio_device_feature_mig_state *mig)
{
	struct vfio_stream *s = sf->priv;
	bool writes = vfio_stream_resuming(s);
	int fd;

	sf->ops = writes ? &resuming_ops : &saving_ops;
	vfio_stream_on_ready(s, stream_ready, sf);
	fd = uapi_file_install(sf, O_CLOEXEC | (writes ? O_WRONLY : O_RDONLY));
	if (fd < 0)
		return fd;
	mig->data_fd = fd;
	return uapi_put(arg, mig, sizeof(*mig));
}

static long set_state(struct uapi_file *f, unsigned long arg,
		      struct vfio_device_feature_mig_state *mig)
{
	/* without memory for it there is no way back from the new state */
	struct uapi_file *sf = uapi_file_new(f->sys, &f->fds, &saving_ops, LINK);
	struct vfio_stream *s = NULL;
	int ret = -ENOMEM;

	mig->data_fd = -1;
	if (sf)
		ret = vfio_migrate_set(vfio_device_migrate(&f->open), mig->device_state, &s);
	if (uapi_put(arg, mig, sizeof(*mig)))
		ret = -EFAULT;
	if (ret || !s) {
		if (s)
			vfio_stream_put(s);
		if (sf)
			uapi_file_free(sf);
		return ret;
	}
	sf->priv = s;
	return give_stream(sf, arg, mig);
}

long uapi_mig_state(struct uapi_file *f, uint32_t op, unsigned long arg)
{
	struct vfio_device_feature_mig_state mig;

	if (uapi_get(&mig, arg, sizeof(mig)))
		return -EFAULT;
	if (op == VFIO_DEVICE_FEATURE_SET)
		return set_state(f, arg, &mig);
	mig.device_state = vfio_migrate_state(vfio_device_migrate(&f->open));
	mig.data_fd = -1;
	return uapi_put(arg, &mig, sizeof(mig));
}

long uapi_mig_data_size(struct uapi_file *f, uint32_t op, unsigned long arg)
{
	struct vfio_device_feature_mig_data_size size = {
		.stop_copy_length = vfio_migrate_size(vfio_device_migrate(&f->open)),
	};

	return uapi_put(arg, &size, sizeof(size));
}

long uapi_precopy_v2(struct uapi_file *f, uint32_t op, unsigned long arg)
{
	vfio_migrate_precopy_v2(vfio_device_migrate(&f->open));
	return 0;
}
