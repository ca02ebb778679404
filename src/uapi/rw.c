/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * uapi/rw.c: read, write and mmap: of a device at region index << 40, and of any file.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "uapi/internal.h"

static ssize_t device_rw(struct uapi_file *f, void *user, size_t count, uint64_t pos, bool write)
{
	struct vfio_device *dev = uapi_file_device(f);
	ssize_t ret;

	if (!dev)
		return -EINVAL;
	if (!count)
		return 0; /* even where there is no region */
	vfio_device_use(dev);
	ret = vfio_device_rw_client(&f->open, VFIO_REGION_INDEX(pos), VFIO_REGION_POS(pos),
				    (uintptr_t)user, count, write);
	vfio_device_unuse(dev);
	return ret;
}

ssize_t uapi_device_read(struct uapi_file *f, void *user, size_t count, uint64_t pos)
{
	return device_rw(f, user, count, pos, false);
}

ssize_t uapi_device_write(struct uapi_file *f, const void *user, size_t count, uint64_t pos)
{
	return device_rw(f, (void *)(uintptr_t)user, count, pos, true);
}

/* The kernel's vfio_pci_core_mmap: shared, of a BAR. */
int uapi_device_mmap_check(struct uapi_file *f, size_t len, int prot, int flags, uint64_t pos)
{
	int type = flags & MAP_TYPE;

	if ((type != MAP_SHARED && type != MAP_SHARED_VALIDATE) || pos % PAGE_SIZE_4K)
		return -EINVAL;
	return vfio_device_check_map(&f->open, VFIO_REGION_INDEX(pos), VFIO_REGION_POS(pos), len);
}

/* ---- of any file ---- */

static ssize_t missing(struct uapi_file *f, const char *what)
{
	return report_warn("no-file-operation", f->link, -EINVAL, "%s on a file that has none",
			   what);
}

ssize_t uapi_pread(struct uapi_file *f, void *buf, size_t count, uint64_t pos)
{
	if (f->ops->stream)
		return -ESPIPE;
	if (!f->ops->read)
		return missing(f, "read");
	return (int64_t)pos < 0 ? -EINVAL : f->ops->read(f, buf, count, pos);
}

ssize_t uapi_pwrite(struct uapi_file *f, const void *buf, size_t count, uint64_t pos)
{
	if (f->ops->stream)
		return -ESPIPE;
	if (!f->ops->write)
		return missing(f, "write");
	return (int64_t)pos < 0 ? -EINVAL : f->ops->write(f, buf, count, pos);
}

ssize_t uapi_read(struct uapi_file *f, void *buf, size_t count)
{
	ssize_t ret;

	if (f->far)
		return uapi_far_transfer(f, buf, count, false);
	if (f->ops->stream && f->ops->read)
		return f->ops->read(f, buf, count, 0);
	pthread_mutex_lock(&f->pos_lock);
	ret = f->ops->stream ? missing(f, "read") : uapi_pread(f, buf, count, f->pos);
	if (ret > 0)
		f->pos += (uint64_t)ret;
	pthread_mutex_unlock(&f->pos_lock);
	return ret;
}

ssize_t uapi_write(struct uapi_file *f, const void *buf, size_t count)
{
	ssize_t ret;

	if (f->far)
		return uapi_far_transfer(f, (void *)(uintptr_t)buf, count, true);
	if (f->ops->stream && f->ops->write)
		return f->ops->write(f, buf, count, 0);
	pthread_mutex_lock(&f->pos_lock);
	ret = f->ops->stream ? missing(f, "write") : uapi_pwrite(f, buf, count, f->pos);
	if (ret > 0)
		f->pos += (uint64_t)ret;
	pthread_mutex_unlock(&f->pos_lock);
	return ret;
}

/* The kernel's default_llseek() of 2010: an end is 0, of a file without a size. */
int64_t uapi_lseek(struct uapi_file *f, int64_t offset, int whence)
{
	int64_t pos = -EINVAL;

	if (f->far)
		return uapi_far_seek(f, offset, whence);
	if (!f->ops->seeks)
		return -ESPIPE;
	pthread_mutex_lock(&f->pos_lock);
	if (whence == SEEK_CUR && !__builtin_add_overflow(offset, (int64_t)f->pos, &offset))
		whence = SEEK_SET;
	if ((whence == SEEK_SET || whence == SEEK_END) && offset >= 0)
		f->pos = (uint64_t)(pos = offset);
	pthread_mutex_unlock(&f->pos_lock);
	return pos;
}

uint64_t uapi_mmap_pos(const struct uapi_file *f, uint64_t pos)
{
	return f->ops->kind == VFIO_FILE_V3_DEVICE ? uapi_v3_region_pos(f, pos) : pos;
}

int uapi_mmap_check(struct uapi_file *f, size_t len, int prot, int flags, uint64_t pos)
{
	if (!f->ops->mmap_check)
		return report_warn("no-file-operation", f->link, -ENODEV,
				   "mmap on a file that has none");
	return f->ops->mmap_check(f, len, prot, flags, pos);
}

bool uapi_mmap_may_write(const struct uapi_file *f, uint64_t pos, uint64_t len)
{
	return f->ops->kind != VFIO_FILE_V3_DEVICE ||
	       v3_may_write(&f->v3, VFIO_REGION_INDEX(pos), (uint32_t)VFIO_REGION_POS(pos), len);
}

unsigned uapi_mmap_areas(struct uapi_file *f, uint64_t pos, const struct vfio_region_area **out)
{
	struct vfio_region r;

	if (vfio_device_region(&f->open, VFIO_REGION_INDEX(pos), &r))
		return 0;
	*out = r.areas;
	return r.num_areas;
}

void uapi_mmap_tell(struct uapi_file *f, vfio_mapper_fn *mapper)
{
	vfio_open_set_mapper(&f->open, mapper, f);
}

bool uapi_mmap_open(struct uapi_file *f, enum vfio_area_kind kind)
{
	return vfio_device_area_open(&f->open, kind);
}

void uapi_mmap_bar(struct uapi_file *f, uint64_t pos, struct vfio_bar *out)
{
	vfio_device_bar(&f->open, VFIO_REGION_INDEX(pos), VFIO_REGION_POS(pos), out);
}

int uapi_mmio(struct uapi_file *f, uint64_t pos, unsigned size, uint64_t *value, bool write)
{
	return vfio_device_mmio(&f->open, VFIO_REGION_INDEX(pos), VFIO_REGION_POS(pos), size, value,
				write);
}
