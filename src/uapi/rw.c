/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * uapi/rw.c: read, write and mmap of a device file at region index << 40.
 */
#include <sys/mman.h>

#include "uapi/internal.h"

static ssize_t file_rw(struct uapi_file *f, void *user, size_t count, uint64_t pos, bool write)
{
	if (f->kind != VFIO_FILE_DEVICE)
		return report_warn("no-file-operation", f->link, -EINVAL,
				   "%s on a file that has none", write ? "write" : "read");
	if ((int64_t)pos < 0)
		return -EINVAL;
	if (!count)
		return 0; /* even where there is no region */
	return vfio_device_rw_client(&f->open, VFIO_REGION_INDEX(pos), VFIO_REGION_POS(pos),
				     (uintptr_t)user, count, write);
}

ssize_t uapi_pread(struct uapi_file *f, void *buf, size_t count, uint64_t pos)
{
	return file_rw(f, buf, count, pos, false);
}

ssize_t uapi_pwrite(struct uapi_file *f, const void *buf, size_t count, uint64_t pos)
{
	return file_rw(f, (void *)buf, count, pos, true);
}

static ssize_t seq_rw(struct uapi_file *f, void *user, size_t count, bool write)
{
	ssize_t ret;

	pthread_mutex_lock(&f->pos_lock);
	ret = file_rw(f, user, count, f->pos, write);
	if (ret > 0)
		f->pos += (uint64_t)ret;
	pthread_mutex_unlock(&f->pos_lock);
	return ret;
}

ssize_t uapi_read(struct uapi_file *f, void *buf, size_t count)
{
	return seq_rw(f, buf, count, false);
}

ssize_t uapi_write(struct uapi_file *f, const void *buf, size_t count)
{
	return seq_rw(f, (void *)buf, count, true);
}

int uapi_mmap_check(struct uapi_file *f, size_t len, int prot, int flags, uint64_t pos)
{
	int type = flags & MAP_TYPE;

	if (f->kind != VFIO_FILE_DEVICE)
		return report_warn("no-file-operation", f->link, -ENODEV,
				   "mmap on a file that has none");
	/* the kernel's vfio_pci_core_mmap: shared, of a BAR */
	if ((type != MAP_SHARED && type != MAP_SHARED_VALIDATE) || pos % PAGE_SIZE_4K)
		return -EINVAL;
	return vfio_device_check_map(&f->open, VFIO_REGION_INDEX(pos), VFIO_REGION_POS(pos), len);
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

bool uapi_mmap_open(struct uapi_file *f)
{
	return vfio_device_polled_open(&f->open);
}

int uapi_mmio(struct uapi_file *f, uint64_t pos, unsigned size, uint64_t *value, bool write)
{
	return vfio_device_mmio(&f->open, VFIO_REGION_INDEX(pos), VFIO_REGION_POS(pos), size, value,
				write);
}
