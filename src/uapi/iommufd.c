/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * uapi/iommufd.c: ioctls of /dev/iommu. A struct begins with its size, as the program knows it:
 * what is missing at its end counts as zeros, and what we do not know there has to be zeros. The
 * order of checks is the kernel's (drivers/iommu/iommufd/main.c).
 */
#include <linux/capability.h>
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

/* ---- IOASes ---- */

static long iova_ranges(struct call *c)
{
	struct iommu_ioas_iova_ranges *cmd = c->cmd;
	struct iommu_iova_range r[VFIO_IOAS_RANGES];
	uint32_t room = cmd->num_iovas;
	unsigned n;
	long ret;

	if (cmd->__reserved)
		return -EOPNOTSUPP;
	ret = vfio_iommufd_ioas_ranges(c->ictx, cmd->ioas_id, r, &n, &cmd->out_iova_alignment);
	if (ret)
		return ret;
	if (uapi_put(cmd->allowed_iovas, r, (n < room ? n : room) * sizeof(r[0])))
		return -EFAULT;
	cmd->num_iovas = n;
	ret = respond(c, sizeof(*cmd));
	return !ret && n > room ? -EMSGSIZE : ret;
}

static long allow_iovas(struct call *c)
{
	const struct iommu_ioas_allow_iovas *cmd = c->cmd;
	struct vfio_iommufd_allowed list = { 0 };
	struct iommu_iova_range r;
	long ret = 0;

	if (cmd->__reserved)
		return -EOPNOTSUPP;
	if (!vfio_iommufd_has_ioas(c->ictx, cmd->ioas_id))
		return -ENOENT;
	for (uint64_t i = 0; i < cmd->num_iovas && !ret; i++) {
		ret = uapi_get(&r, cmd->allowed_iovas + i * sizeof(r), sizeof(r));
		if (!ret)
			ret = vfio_iommufd_allowed_add(&list, r.start, r.last);
	}
	if (!ret)
		ret = vfio_iommufd_ioas_allow(c->ictx, cmd->ioas_id, &list);
	vfio_iommufd_allowed_free(&list);
	return ret;
}

/* Make the checks of what all three kinds of maps have. @prot gets the rights. */
static long check_map(uint32_t flags, uint32_t reserved, const uint64_t *values, unsigned n,
		      unsigned *prot)
{
	const uint32_t rights = IOMMU_IOAS_MAP_WRITEABLE | IOMMU_IOAS_MAP_READABLE;

	if (flags & ~(rights | IOMMU_IOAS_MAP_FIXED_IOVA) || reserved)
		return -EOPNOTSUPP;
	for (unsigned i = 0; i < n; i++)
		if (values[i] == UINT64_MAX)
			return -EOVERFLOW;
	*prot = (flags & IOMMU_IOAS_MAP_READABLE ? IOMMU_READ : 0) |
		(flags & IOMMU_IOAS_MAP_WRITEABLE ? IOMMU_WRITE : 0);
	return *prot ? 0 : -EINVAL;
}

static long ioas_map(struct call *c)
{
	struct iommu_ioas_map *cmd = c->cmd;
	const uint64_t values[] = { cmd->iova, cmd->length };
	unsigned prot;
	long ret = check_map(cmd->flags, cmd->__reserved, values, 2, &prot);

	if (!ret)
		ret = vfio_iommufd_ioas_map(c->ictx, cmd->ioas_id, cmd->user_va, cmd->length, prot,
					    cmd->flags & IOMMU_IOAS_MAP_FIXED_IOVA, &cmd->iova);
	return ret ? ret : respond(c, sizeof(*cmd));
}

static long ioas_map_file(struct call *c)
{
	struct iommu_ioas_map_file *cmd = c->cmd;
	const uint64_t values[] = { cmd->iova, cmd->length };
	bool fixed = cmd->flags & IOMMU_IOAS_MAP_FIXED_IOVA;
	struct vfio_dmabuf *b;
	struct uapi_file *ours;
	unsigned prot;
	int err = 0;
	long ret = check_map(cmd->flags, 0, values, 2, &prot);

	if (ret)
		return ret;
	ours = c->f->fds.fget(c->f->fds.arg, cmd->fd, &err);
	b = uapi_file_dmabuf(ours);
	ret = b ? vfio_iommufd_ioas_map_dmabuf(c->ictx, cmd->ioas_id, cmd->fd, b, cmd->start,
					       cmd->length, prot, fixed, &cmd->iova)
		: vfio_iommufd_ioas_map_file(c->ictx, cmd->ioas_id, cmd->fd, ours, cmd->start,
					     cmd->length, prot, fixed, &cmd->iova);
	if (ours)
		uapi_file_put(ours);
	return ret ? ret : respond(c, sizeof(*cmd));
}

static long ioas_copy(struct call *c)
{
	struct iommu_ioas_copy *cmd = c->cmd;
	const uint64_t values[] = { cmd->length, cmd->src_iova, cmd->dst_iova };
	unsigned prot;
	long ret = check_map(cmd->flags, 0, values, 3, &prot);

	if (!ret)
		ret = vfio_iommufd_ioas_copy(c->ictx, cmd, prot, &cmd->dst_iova);
	return ret ? ret : respond(c, sizeof(*cmd));
}

static long ioas_unmap(struct call *c)
{
	struct iommu_ioas_unmap *cmd = c->cmd;
	uint64_t done;
	long ret = vfio_iommufd_ioas_unmap(c->ictx, cmd->ioas_id, cmd->iova, cmd->length, &done);

	if (ret)
		return ret;
	cmd->length = done;
	return respond(c, sizeof(*cmd));
}

static long option(struct call *c)
{
	struct iommu_option *cmd = c->cmd;
	long ret;

	if (cmd->__reserved)
		return -EOPNOTSUPP;
	ret = vfio_iommufd_option(c->ictx, cmd, &cmd->val64);
	if (ret)
		return ret;
	return uapi_put(c->arg + offsetof(struct iommu_option, val64), &cmd->val64,
			sizeof(cmd->val64));
}

static long change_process(struct call *c)
{
	const struct iommu_ioas_change_process *cmd = c->cmd;

	return cmd->__reserved ? -EOPNOTSUPP : vfio_iommufd_change_process(c->ictx);
}

static long get_pa(struct call *c)
{
	struct iommu_ioas_noiommu_get_pa *cmd = c->cmd;
	long ret;

	if (!vfio_iommufd_rawio(c->ictx))
		return -EPERM;
	if (cmd->flags || cmd->__reserved)
		return -EOPNOTSUPP;
	if (!cmd->length)
		return -EINVAL;
	if (cmd->iova == UINT64_MAX)
		return -EOVERFLOW;
	ret = vfio_iommufd_get_pa(c->ictx, cmd->ioas_id, cmd->iova, &cmd->length, &cmd->out_phys);
	return ret ? ret : respond(c, sizeof(*cmd));
}

/* Which IOAS type1's ioctls are for. */
static long vfio_ioas(struct call *c)
{
	struct iommu_vfio_ioas *cmd = c->cmd;
	long ret;

	if (cmd->__reserved)
		return -EOPNOTSUPP;
	switch (cmd->op) {
	case IOMMU_VFIO_IOAS_GET:
		ret = vfio_iommufd_compat_get(c->ictx, &cmd->ioas_id);
		return ret ? ret : respond(c, sizeof(*cmd));
	case IOMMU_VFIO_IOAS_SET:
		return vfio_iommufd_compat_set(c->ictx, cmd->ioas_id);
	case IOMMU_VFIO_IOAS_CLEAR:
		vfio_iommufd_compat_clear(c->ictx);
		return 0;
	}
	return -EOPNOTSUPP;
}

/* ---- HWPTs ---- */

static long hwpt_alloc(struct call *c)
{
	struct iommu_hwpt_alloc *cmd = c->cmd;
	long ret = vfio_iommufd_hwpt_alloc(c->ictx, cmd, &cmd->out_hwpt_id);

	if (ret)
		return ret;
	ret = respond(c, sizeof(*cmd));
	if (ret)
		vfio_iommufd_abort(c->ictx, cmd->out_hwpt_id);
	else
		vfio_iommufd_publish(c->ictx, cmd->out_hwpt_id);
	return ret;
}

/* Write zeros to the program's [@to, @to + @n). */
static long put_zeros(unsigned long to, size_t n)
{
	static const uint8_t zeros[256];
	size_t part;

	for (; n; n -= part, to += part) {
		part = n < sizeof(zeros) ? n : sizeof(zeros);
		if (uapi_put(to, zeros, part))
			return -EFAULT;
	}
	return 0;
}

static long get_hw_info(struct call *c)
{
	struct iommu_hw_info *cmd = c->cmd;
	struct vfio_iommufd_hw_info info;
	size_t n;
	long ret;

	if (cmd->flags & ~IOMMU_HW_INFO_FLAG_INPUT_TYPE || cmd->__reserved[0] ||
	    cmd->__reserved[1] || cmd->__reserved[2])
		return -EOPNOTSUPP;
	if (!(cmd->flags & IOMMU_HW_INFO_FLAG_INPUT_TYPE))
		cmd->data_type = IOMMU_HW_INFO_TYPE_DEFAULT;
	ret = vfio_iommufd_hw_info(c->ictx, cmd->dev_id, &info);
	if (ret)
		return ret;
	if (cmd->data_type != IOMMU_HW_INFO_TYPE_DEFAULT &&
	    cmd->data_type != IOMMU_HW_INFO_TYPE_INTEL_VTD)
		return -EOPNOTSUPP;
	n = cmd->data_len < sizeof(info.vtd) ? cmd->data_len : sizeof(info.vtd);
	if (uapi_put(cmd->data_uptr, &info.vtd, n) ||
	    put_zeros(cmd->data_uptr + n, cmd->data_len - n))
		return -EFAULT;
	cmd->data_type = IOMMU_HW_INFO_TYPE_INTEL_VTD;
	cmd->data_len = sizeof(info.vtd);
	cmd->out_capabilities = info.capabilities;
	cmd->out_max_pasid_log2 = info.max_pasid_log2;
	return respond(c, sizeof(*cmd));
}

static long set_dirty_tracking(struct call *c)
{
	const struct iommu_hwpt_set_dirty_tracking *cmd = c->cmd;

	if (cmd->flags & ~IOMMU_HWPT_DIRTY_TRACKING_ENABLE)
		return -EOPNOTSUPP;
	return vfio_iommufd_set_dirty_tracking(c->ictx, cmd->hwpt_id, cmd->flags);
}

/* The program's bitmap, of which one word is here. */
struct bitmap {
	const struct iommu_hwpt_get_dirty_bitmap *cmd;
	uint64_t at, word; /* which one, and its new bits */
};

/* OR the word's bits into the program's. */
static int flush(struct bitmap *b)
{
	unsigned long to = b->cmd->data + b->at * sizeof(b->word);
	uint64_t old;

	if (!b->word)
		return 0;
	if (uapi_get(&old, to, sizeof(old)))
		return -EFAULT;
	old |= b->word;
	b->word = 0;
	return uapi_put(to, &old, sizeof(old));
}

/* A page is a bit, a part of one, or several. */
static int put_page(struct bitmap *b, uint64_t iova)
{
	uint64_t bit = (iova - b->cmd->iova) / b->cmd->page_size,
		 n = b->cmd->page_size < PAGE_SIZE_4K ? PAGE_SIZE_4K / b->cmd->page_size : 1;
	int ret = 0;

	for (; n-- && !ret; bit++) {
		if (bit / 64 != b->at)
			ret = flush(b);
		b->at = bit / 64;
		b->word |= 1ull << bit % 64;
	}
	return ret;
}

static int put_dirty(void *arg, uint64_t iova, const uint64_t *bits, unsigned words)
{
	int ret = 0;

	for (unsigned w = 0; w < words && !ret; w++)
		for (uint64_t left = bits[w]; left && !ret; left &= left - 1)
			ret = put_page(arg, iova + (w * 64ull + (unsigned)__builtin_ctzll(left)) *
							    PAGE_SIZE_4K);
	return ret ? ret : flush(arg);
}

static long get_dirty_bitmap(struct call *c)
{
	const struct iommu_hwpt_get_dirty_bitmap *cmd = c->cmd;
	struct bitmap b = { .cmd = cmd };

	if (cmd->flags & ~IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR || cmd->__reserved)
		return -EOPNOTSUPP;
	return vfio_iommufd_get_dirty_bitmap(c->ictx, cmd, put_dirty, &b);
}

/* iommufd/hw_pagetable.c, IOMMU_HWPT_INVALIDATE_ENTRY_NUM_MAX */
#define INVALIDATE_MAX (1u << 19)

/* It says how many entries were done, whatever the error. */
static long invalidate(struct call *c)
{
	struct iommu_hwpt_invalidate *cmd = c->cmd;
	long ret;

	if (cmd->__reserved)
		ret = -EOPNOTSUPP;
	else if (cmd->entry_num &&
		 (!cmd->data_uptr || !cmd->entry_len || cmd->entry_len > PAGE_SIZE_4K ||
		  cmd->entry_num > INVALIDATE_MAX))
		ret = -EINVAL;
	else
		ret = vfio_iommufd_invalidate(c->ictx, cmd->hwpt_id);
	cmd->entry_num = 0;
	return respond(c, sizeof(*cmd)) ? -EFAULT : ret;
}

static long fault_queue_alloc(struct call *c)
{
	struct iommu_fault_alloc *cmd = c->cmd;
	long ret;

	if (cmd->flags)
		return -EOPNOTSUPP;
	/*
	 * a descriptor that was given cannot be taken back: so it is seen before whether it can be
	 * told
	 */
	ret = respond(c, sizeof(*cmd));
	if (ret)
		return ret;
	ret = uapi_fault_open(c->f, &cmd->out_fault_id);
	if (ret < 0)
		return ret;
	cmd->out_fault_fd = (uint32_t)ret;
	return respond(c, sizeof(*cmd));
}

/* ---- objects of IOMMUs that guests see, of which this hardware has none ---- */

static long viommu_alloc(struct call *c)
{
	const struct iommu_viommu_alloc *cmd = c->cmd;

	if (cmd->flags || cmd->type == IOMMU_VIOMMU_TYPE_DEFAULT)
		return -EOPNOTSUPP;
	return vfio_iommufd_has_device(c->ictx, cmd->dev_id) ? -EOPNOTSUPP : -ENOENT;
}

static long vdevice_alloc(struct call *c)
{
	return -ENOENT; /* no number is one of a vIOMMU */
}

/* iommufd/eventq.c, VEVENTQ_MAX_DEPTH */
#define VEVENTQ_MAX (1u << 19)

static long veventq_alloc(struct call *c)
{
	const struct iommu_veventq_alloc *cmd = c->cmd;

	if (cmd->flags || cmd->__reserved || cmd->type == IOMMU_VEVENTQ_TYPE_DEFAULT)
		return -EOPNOTSUPP;
	if (!cmd->veventq_depth || cmd->veventq_depth > VEVENTQ_MAX)
		return -EINVAL;
	return -ENOENT;
}

static long hw_queue_alloc(struct call *c)
{
	const struct iommu_hw_queue_alloc *cmd = c->cmd;

	if (cmd->flags || cmd->type == IOMMU_HW_QUEUE_TYPE_DEFAULT)
		return -EOPNOTSUPP;
	if (!cmd->length)
		return -EINVAL;
	return add_overflows(cmd->nesting_parent_iova, cmd->length - 1) ? -EOVERFLOW : -ENOENT;
}

/* ---- which there are ---- */

struct ioctl {
	long (*call)(struct call *c);
	uint32_t nr, size, least;
};
/* @last is the last member that the first version of the struct had */
#define IOCTL(number, fn, type, last)                                              \
	[_IOC_NR(number) - IOMMUFD_CMD_FIRST] = { fn, number, sizeof(struct type), \
						  UAPI_SIZE_WITH(struct type, last) }

static const struct ioctl ioctls[] = {
	IOCTL(IOMMU_DESTROY, destroy, iommu_destroy, id),
	IOCTL(IOMMU_IOAS_ALLOC, ioas_alloc, iommu_ioas_alloc, out_ioas_id),
	IOCTL(IOMMU_IOAS_ALLOW_IOVAS, allow_iovas, iommu_ioas_allow_iovas, allowed_iovas),
	IOCTL(IOMMU_IOAS_COPY, ioas_copy, iommu_ioas_copy, src_iova),
	IOCTL(IOMMU_IOAS_IOVA_RANGES, iova_ranges, iommu_ioas_iova_ranges, out_iova_alignment),
	IOCTL(IOMMU_IOAS_MAP, ioas_map, iommu_ioas_map, iova),
	IOCTL(IOMMU_IOAS_UNMAP, ioas_unmap, iommu_ioas_unmap, length),
	IOCTL(IOMMU_OPTION, option, iommu_option, val64),
	IOCTL(IOMMU_VFIO_IOAS, vfio_ioas, iommu_vfio_ioas, __reserved),
	IOCTL(IOMMU_HWPT_ALLOC, hwpt_alloc, iommu_hwpt_alloc, __reserved),
	IOCTL(IOMMU_GET_HW_INFO, get_hw_info, iommu_hw_info, __reserved),
	IOCTL(IOMMU_HWPT_SET_DIRTY_TRACKING, set_dirty_tracking, iommu_hwpt_set_dirty_tracking,
	      __reserved),
	IOCTL(IOMMU_HWPT_GET_DIRTY_BITMAP, get_dirty_bitmap, iommu_hwpt_get_dirty_bitmap, data),
	IOCTL(IOMMU_HWPT_INVALIDATE, invalidate, iommu_hwpt_invalidate, __reserved),
	IOCTL(IOMMU_FAULT_QUEUE_ALLOC, fault_queue_alloc, iommu_fault_alloc, out_fault_fd),
	IOCTL(IOMMU_IOAS_MAP_FILE, ioas_map_file, iommu_ioas_map_file, iova),
	IOCTL(IOMMU_VIOMMU_ALLOC, viommu_alloc, iommu_viommu_alloc, out_viommu_id),
	IOCTL(IOMMU_VDEVICE_ALLOC, vdevice_alloc, iommu_vdevice_alloc, virt_id),
	IOCTL(IOMMU_IOAS_CHANGE_PROCESS, change_process, iommu_ioas_change_process, __reserved),
	IOCTL(IOMMU_VEVENTQ_ALLOC, veventq_alloc, iommu_veventq_alloc, out_veventq_fd),
	IOCTL(IOMMU_HW_QUEUE_ALLOC, hw_queue_alloc, iommu_hw_queue_alloc, length),
	IOCTL(IOMMU_IOAS_NOIOMMU_GET_PA, get_pa, iommu_ioas_noiommu_get_pa, out_phys),
};

/* of the largest */
#define CMD_SIZE sizeof(struct iommu_hwpt_alloc)

long uapi_get_struct(void *dst, size_t size, unsigned long arg, size_t user_size)
{
	static const uint8_t zeros[256];
	uint8_t buf[256];
	size_t n, want;

	for (size_t at = size; at < user_size; at += want) {
		want = user_size - at < sizeof(buf) ? user_size - at : sizeof(buf);
		n = client_get_part(buf, arg + at, want);
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
	uint64_t buf[CMD_SIZE / 8];
	struct call c = { .f = f, .ictx = f->iommufd, .cmd = buf, .arg = arg };
	unsigned nr = _IOC_NR(cmd) - IOMMUFD_CMD_FIRST;
	const struct ioctl *op;
	long ret;

	if (nr >= ARRAY_SIZE(ioctls))
		return uapi_iommufd_compat_ioctl(f, cmd, arg);
	if (uapi_get(&c.user_size, arg, sizeof(c.user_size)))
		return -EFAULT;
	op = &ioctls[nr];
	if (!op->call || op->nr != cmd)
		return report_warn("ioctl-unknown", f->link, -ENOTTY,
				   "ioctl 0x%x is not one of an iommufd", cmd);
	if (c.user_size < op->least)
		return -EINVAL;
	ret = uapi_get_struct(buf, op->size, arg, c.user_size);
	return ret ? ret : op->call(&c);
}

/* Only queues of hardware that is not there could be mapped. */
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
