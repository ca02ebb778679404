/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * uapi/iommufd.c: ioctls of /dev/iommu. A struct begins with its size, as the program knows it: what
 * is missing at its end counts as zeros, and what we do not know there has to be zeros. The order of
 * checks is the kernel's (drivers/iommu/iommufd/main.c).
 */
#include <string.h>
#include <sys/mman.h>

#include "uapi/internal.h"

/* One ioctl: its struct in our memory, and the program's. */
struct call {
	struct uapi_file *f;
	struct vfio_iommufd *ictx;
	void *cmd;
	unsigned long arg;
	uint32_t user_size;
};

/* Give the struct back, as much of it as the program has room for. */
static long respond(const struct call *c, size_t size)
{
	return uapi_put(c->arg, c->cmd, c->user_size < size ? c->user_size : size);
}

static long destroy(struct call *c)
{
	const struct iommu_destroy *cmd = c->cmd;

	return vfio_iommufd_destroy(c->ictx, cmd->id);
}

static long ioas_alloc(struct call *c)
{
	struct iommu_ioas_alloc *cmd = c->cmd;
	long ret;

	if (cmd->flags)
		return -EOPNOTSUPP;
	ret = vfio_iommufd_ioas_alloc(c->ictx, &cmd->out_ioas_id);
	if (ret)
		return ret;
	ret = respond(c, sizeof(*cmd));
	if (ret)
		vfio_iommufd_abort(c->ictx, cmd->out_ioas_id);
	else
		vfio_iommufd_publish(c->ictx, cmd->out_ioas_id);
	return ret;
}

/* ---- which there are ---- */

struct ioctl {
	const char *name;
	long (*call)(struct call *c);
	uint32_t size, least;
};
#define IOCTL(nr, fn, type, last)                                           \
	[(nr & 0xff) - IOMMUFD_CMD_FIRST] = { #nr, fn, sizeof(struct type), \
					      UAPI_SIZE_WITH(struct type, last) }

static const struct ioctl ioctls[] = {
	IOCTL(IOMMU_DESTROY, destroy, iommu_destroy, id),
	IOCTL(IOMMU_IOAS_ALLOC, ioas_alloc, iommu_ioas_alloc, out_ioas_id),
};

#define SIZE_MAX_CMD sizeof(struct iommu_hwpt_alloc)

long uapi_get_struct(void *dst, size_t size, unsigned long arg, size_t user_size)
{
	static const uint8_t zeros[256];
	uint8_t buf[256];
	size_t n, want;

	for (size_t at = size; at < user_size; at += want) {
		want = user_size - at < sizeof(buf) ? user_size - at : sizeof(buf);
		n = guard_copy_part(buf, (const void *)(arg + at), want);
		if (memcmp(buf, zeros, n))
			return -E2BIG;
		if (n < want)
			return -EFAULT;
	}
	memset(dst, 0, size);
	return uapi_get(dst, arg, user_size < size ? user_size : size);
}

static long iommufd_ioctl(struct uapi_file *f, unsigned int cmd, unsigned long arg)
{
	uint64_t buf[SIZE_MAX_CMD / 8];
	struct call c = { .f = f, .ictx = f->iommufd, .cmd = buf, .arg = arg };
	unsigned nr = (cmd & 0xff) - IOMMUFD_CMD_FIRST;
	const struct ioctl *op;
	long ret;

	if (nr > IOMMUFD_CMD_LAST - IOMMUFD_CMD_FIRST)
		return -ENOTTY;
	if (uapi_get(&c.user_size, arg, sizeof(c.user_size)))
		return -EFAULT;
	op = nr < ARRAY_SIZE(ioctls) ? &ioctls[nr] : NULL;
	if (!op || !op->call || cmd != IOMMUFD_CMD(nr + IOMMUFD_CMD_FIRST))
		return report_warn("ioctl-unknown", f->link, -ENOTTY,
				   "ioctl 0x%x is not one of an iommufd", cmd);
	if (c.user_size < op->least)
		return -EINVAL;
	ret = uapi_get_struct(buf, op->size, arg, c.user_size);
	return ret ? ret : op->call(&c);
}

/* What could be mapped are queues of hardware that is not there. */
static int iommufd_mmap_check(struct uapi_file *f, size_t len, int prot, int flags, uint64_t pos)
{
	int type = flags & MAP_TYPE;

	if (type != MAP_SHARED && type != MAP_SHARED_VALIDATE)
		return -EINVAL;
	return prot & PROT_EXEC ? -EPERM : -ENXIO;
}

static void iommufd_release(struct uapi_file *f)
{
	vfio_iommufd_put(f->iommufd);
}

static const char *const names[] = {
	[0] = "GET_API_VERSION",
	"CHECK_EXTENSION",
	"SET_IOMMU",
	[12] = "IOMMU_GET_INFO",
	"IOMMU_MAP_DMA",
	"IOMMU_UNMAP_DMA",
	[28] = "IOMMU_DESTROY",
	"IOMMU_IOAS_ALLOC",
	"IOMMU_IOAS_ALLOW_IOVAS",
	"IOMMU_IOAS_COPY",
	"IOMMU_IOAS_IOVA_RANGES",
	"IOMMU_IOAS_MAP",
	"IOMMU_IOAS_UNMAP",
	"IOMMU_OPTION",
	"IOMMU_VFIO_IOAS",
	"IOMMU_HWPT_ALLOC",
	"IOMMU_GET_HW_INFO",
	"IOMMU_HWPT_SET_DIRTY_TRACKING",
	"IOMMU_HWPT_GET_DIRTY_BITMAP",
	"IOMMU_HWPT_INVALIDATE",
	"IOMMU_FAULT_QUEUE_ALLOC",
	"IOMMU_IOAS_MAP_FILE",
	"IOMMU_VIOMMU_ALLOC",
	"IOMMU_VDEVICE_ALLOC",
	"IOMMU_IOAS_CHANGE_PROCESS",
	"IOMMU_VEVENTQ_ALLOC",
	"IOMMU_HW_QUEUE_ALLOC",
	"IOMMU_IOAS_NOIOMMU_GET_PA",
};

const struct uapi_file_ops uapi_iommufd_ops = {
	.kind = VFIO_FILE_IOMMUFD,
	.ioctl = iommufd_ioctl,
	.mmap_check = iommufd_mmap_check,
	.release = iommufd_release,
	.names = { names, VFIO_BASE, ARRAY_SIZE(names) },
};

int uapi_iommufd_open(struct vfio_system *sys, const struct uapi_fds *fds, struct uapi_file **out)
{
	char link[VFIO_NODE_NAME];
	struct uapi_file *f;

	vfio_node_name(vfio_node_of(VFIO_FILE_IOMMUFD), 0, link);
	f = uapi_file_new(sys, fds, &uapi_iommufd_ops, link);
	if (!f)
		return -ENOMEM;
	f->iommufd = vfio_iommufd_new(sys);
	if (!f->iommufd) {
		uapi_file_free(f);
		return -ENOMEM;
	}
	*out = f;
	return 0;
}
