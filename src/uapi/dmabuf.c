/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * uapi/dmabuf.c: VFIO_DEVICE_FEATURE_DMA_BUF, and the file that it makes. The order of checks is
 * the kernel's (vfio_pci_dmabuf.c).
 */
#include <fcntl.h>

#include "base/heap.h"
#include "uapi/internal.h"
#include "vfio/dmabuf.h"

/* what the kernel allocates at once at most */
#define RANGES_MAX ((uint32_t)(INT32_MAX / sizeof(struct vfio_dma_range)))

/* dma-buf.c: a buffer that its exporter cannot map is -EINVAL */
static int dmabuf_mmap_check(struct uapi_file *f, size_t len, int prot, int flags, uint64_t pos)
{
	return -EINVAL;
}

static void dmabuf_release(struct uapi_file *f)
{
	vfio_dmabuf_put(f->priv);
}

static const struct uapi_file_ops dmabuf_ops = {
	.kind = VFIO_FILE_DMABUF,
	.mmap_check = dmabuf_mmap_check,
	.release = dmabuf_release,
};

struct vfio_dmabuf *uapi_file_dmabuf(const struct uapi_file *f)
{
	return f && f->ops == &dmabuf_ops ? f->priv : NULL;
}

bool uapi_has_dmabuf(const struct uapi_file *f)
{
	return vfio_device_has_dmabuf(&f->open);
}

long uapi_dmabuf(struct uapi_file *f, uint32_t op, unsigned long arg)
{
	struct vfio_device_feature_dma_buf req;
	struct vfio_dma_range *ranges;
	struct vfio_dmabuf *b = NULL;
	struct uapi_file *bf;
	long ret;

	if (uapi_get(&req, arg, sizeof(req)))
		return -EFAULT;
	if (!req.nr_ranges || req.flags)
		return -EINVAL;
	ret = vfio_dmabuf_check(&f->open, req.region_index);
	if (ret)
		return ret;
	ranges = req.nr_ranges <= RANGES_MAX ? heap_array(req.nr_ranges, sizeof(*ranges)) : NULL;
	if (!ranges)
		return -ENOMEM;
	if (uapi_get(ranges, arg + sizeof(req), req.nr_ranges * sizeof(*ranges)))
		ret = -EFAULT;
	else
		ret = vfio_dmabuf_new(&f->open, req.region_index, ranges, req.nr_ranges, &b);
	heap_free(ranges);
	if (ret)
		return ret;
	bf = uapi_file_new(f->sys, &f->fds, &dmabuf_ops, "/dmabuf:");
	if (!bf) {
		vfio_dmabuf_put(b);
		return -ENOMEM;
	}
	bf->priv = b;
	return uapi_file_install(bf, (int)(req.open_flags & (O_ACCMODE | O_CLOEXEC)));
}
