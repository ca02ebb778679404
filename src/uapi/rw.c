/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * uapi/rw.c: read, write and mmap of a device file at region index << 40. The client's memory is
 * copied in pieces of at most a page, aligned to pages of the region, so that the provider splits a
 * piece just as it would split the whole.
 */
#include <sys/mman.h>

#include "uapi/internal.h"

#define CHUNK 4096u

/*
 * @user is the program's pointer, whatever it is: a number to reckon with until guard_copy has it.
 */
static ssize_t transfer(struct uapi_file *f, uintptr_t user, size_t count, uint64_t pos, bool write)
{
	struct vfio_device *dev = f->dev;
	uint32_t index = VFIO_REGION_INDEX(pos);
	uint64_t at = VFIO_REGION_POS(pos);
	struct vfio_region r;
	uint8_t buf[CHUNK] __attribute__((aligned(8)));
	size_t done = 0, n;
	ssize_t ret;

	if (!count)
		return 0; /* even where there is no region */
	if (pos >> VFIO_REGION_SHIFT >= dev->num_regions)
		return -EINVAL;
	/*
	 * config space does nothing at all when an access runs over its end, so that is seen before
	 * the first piece
	 */
	if (index == VFIO_PCI_CONFIG_REGION_INDEX) {
		ret = dev->ops->region(dev, index, &r);
		if (ret)
			return ret;
		if (!range_within(at, count, r.size))
			return -EFAULT;
	}
	while (done < count) {
		n = CHUNK - (size_t)(at % CHUNK);
		if (n > count - done)
			n = count - done;
		if (write && guard_copy(buf, (const void *)(user + done), n))
			return -EFAULT;
		ret = dev->ops->rw(dev, index, at, buf, n, write);
		if (ret < 0)
			/* the end of a BAR after some bytes is a short result */
			return done && ret == -EINVAL ? (ssize_t)done : ret;
		if (!write && ret && guard_copy((void *)(user + done), buf, (size_t)ret))
			return -EFAULT;
		done += (size_t)ret;
		at += (uint64_t)ret;
		if ((size_t)ret < n)
			break;
	}
	return (ssize_t)done;
}

static ssize_t file_rw(struct uapi_file *f, void *user, size_t count, uint64_t pos, bool write)
{
	if (f->kind != UAPI_DEVICE) {
		log_warn(f->link, "%s on a file that has none: EINVAL", write ? "write" : "read");
		return -EINVAL;
	}
	if ((int64_t)pos < 0)
		return -EINVAL;
	return transfer(f, (uintptr_t)user, count, pos, write);
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
	uint32_t index = VFIO_REGION_INDEX(pos);
	struct vfio_region r = { 0 };
	int type = flags & MAP_TYPE, ret;
	uint64_t end;

	if (f->kind != UAPI_DEVICE) {
		log_warn(f->link, "mmap on a file that has none: ENODEV");
		return -ENODEV;
	}
	/* the kernel's vfio_pci_core_mmap: shared, a BAR, inside of the BAR rounded up to pages */
	if (index >= f->dev->num_regions || (type != MAP_SHARED && type != MAP_SHARED_VALIDATE) ||
	    pos % PAGE_SIZE_4K)
		return -EINVAL;
	ret = f->dev->ops->region(f->dev, index, &r);
	if (ret)
		return ret;
	if (!(r.flags & VFIO_REGION_INFO_FLAG_MMAP) || !f->dev->ops->mmio) {
		log_warn(f->dev->name,
			 "mmap of region %u: it has no VFIO_REGION_INFO_FLAG_MMAP, use pread and "
			 "pwrite: EINVAL",
			 index);
		return -EINVAL;
	}
	end = align_up(r.size, PAGE_SIZE_4K);
	if (!len || len > end ||
	    !range_within(VFIO_REGION_POS(pos), align_up(len, PAGE_SIZE_4K), end))
		return -EINVAL;
	for (unsigned i = 0; i < r.num_sparse; i++)
		if (VFIO_REGION_POS(pos) >= r.sparse[i].offset &&
		    range_within(VFIO_REGION_POS(pos) - r.sparse[i].offset,
				 align_up(len, PAGE_SIZE_4K),
				 align_up(r.sparse[i].size, PAGE_SIZE_4K)))
			return 0;
	if (r.num_sparse)
		log_warn(f->dev->name,
			 "mmap of region %u at 0x%llx: not all of it is in an area of its "
			 "sparse-mmap capability: EINVAL",
			 index, (unsigned long long)VFIO_REGION_POS(pos));
	return r.num_sparse ? -EINVAL : 0;
}

bool uapi_mmap_polled(struct uapi_file *f, uint64_t pos, struct vfio_polled_area *out)
{
	return f->dev->ops->polled &&
	       f->dev->ops->polled(f->dev, VFIO_REGION_INDEX(pos), VFIO_REGION_POS(pos), out);
}

bool uapi_mmap_open(struct uapi_file *f)
{
	return f->dev->ops->polled_open && f->dev->ops->polled_open(f->dev);
}

int uapi_mmio(struct uapi_file *f, uint64_t pos, unsigned size, uint64_t *value, bool write)
{
	return f->dev->ops->mmio(f->dev, VFIO_REGION_INDEX(pos), VFIO_REGION_POS(pos), size, value,
				 write);
}
