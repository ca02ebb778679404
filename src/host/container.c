/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host/container.c: a container of the kernel's with a type1 IOMMU, in which each mapping of an
 * address space is made once more, at the program's address: the kernel pins these pages, and real
 * devices reach them.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "base/heap.h"
#include "host/internal.h"
#include "iommu/domain.h"

static struct kernel_container *of(struct vfio_ioas_listener *l)
{
	return container_of_type(l, struct kernel_container, listener);
}

/* ---- what it can map ---- */

/* Fill in what the kernel says of the IOMMU. What it does not say has no limit. */
static int get_limits(struct kernel_container *c, struct vfio_ioas_limits *out)
{
	struct vfio_iommu_type1_info head = { .argsz = sizeof(head) }, *info;
	const struct vfio_iommu_type1_info_cap_iova_range *iova;
	const struct vfio_iommu_type1_info_dma_avail *avail;
	uint32_t caps = 0;
	size_t room;
	void *buf;
	int size;

	*out = (struct vfio_ioas_limits){
		.num_ranges = 1,
		.ranges = { { 0, UINT64_MAX } },
		.pgsizes = -PAGE_SIZE_4K,
		.avail = UINT32_MAX,
	};
	size = host_info(c->env, c->fd, VFIO_IOMMU_GET_INFO, &head, sizeof(head), &buf);
	if (size < 0)
		return size;
	info = buf;
	if (info->flags & VFIO_IOMMU_INFO_PGSIZES)
		out->pgsizes = info->iova_pgsizes;
	if (info->flags & VFIO_IOMMU_INFO_CAPS)
		caps = info->cap_offset;
	iova = host_info_cap(info, (size_t)size, caps, VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE,
			     sizeof(*iova), &room);
	if (iova) {
		out->num_ranges = 0;
		for (uint32_t i = 0; i < iova->nr_iovas && i < VFIO_IOAS_RANGES &&
				     (i + 1) * sizeof(iova->iova_ranges[0]) <= room - sizeof(*iova);
		     i++)
			out->ranges[out->num_ranges++] = iova->iova_ranges[i];
	}
	avail = host_info_cap(info, (size_t)size, caps, VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL,
			      sizeof(*avail), &room);
	if (avail)
		out->avail = avail->avail;
	heap_free(buf);
	return 0;
}

static void limits(struct vfio_ioas_listener *l, struct vfio_ioas_limits *out)
{
	int ret = get_limits(of(l), out);

	if (ret)
		report_warn("host-iommu-info", of(l)->who, 0,
			    "the kernel does not tell the limits of its IOMMU (%s)",
			    strerrorname_np(-ret));
}

/* ---- mapping ---- */

/* Say why the kernel refused @r, and what can be done; return @err. */
static int say_refused(struct kernel_container *c, const struct vfio_ioas_range *r, int err)
{
	struct rlimit rl = { 0 };
	struct vfio_ioas_limits l;
	char ranges[160];

	switch (err) {
	case -ENOMEM:
		sys_call(SYS_prlimit64, 0, RLIMIT_MEMLOCK, 0, (long)&rl, 0, 0);
		return report_err(
			REPORT_HINT("host-dma-memlock", ". Raise `ulimit -l`"), c->who, err,
			"MAP_DMA of %" PRIu64 " bytes at IOVA 0x%" PRIx64
			": the kernel pins them, which needs a RLIMIT_MEMLOCK of at least %" PRIu64
			" bytes (%" PRIu64 " are mapped); it is %llu",
			r->size, r->iova, c->bytes + r->size, c->bytes,
			(unsigned long long)rl.rlim_cur);
	case -ENOSPC:
		return report_err("host-dma-entries", c->who, err,
				  "MAP_DMA at IOVA 0x%" PRIx64
				  ": the kernel's container has as many mappings as it may have "
				  "(dma_entry_limit of vfio_iommu_type1)",
				  r->iova);
	case -EINVAL:
		get_limits(c, &l);
		vfio_ioas_limits_print(&l, ranges, sizeof(ranges));
		return report_err("host-dma-iova", c->who, err,
				  "MAP_DMA of 0x%" PRIx64 " bytes at IOVA 0x%" PRIx64
				  ": the kernel's IOMMU does not map that. Its ranges are %s, its "
				  "page sizes 0x%" PRIx64,
				  r->size, r->iova, ranges, l.pgsizes);
	case -EFAULT:
		return report_err("host-dma-memory", c->who, err,
				  "MAP_DMA of 0x%" PRIx64 " bytes at 0x%" PRIx64
				  ": the kernel cannot pin this memory",
				  r->size, r->vaddr);
	default:
		return report_err("host-dma-map", c->who, err,
				  "MAP_DMA of 0x%" PRIx64 " bytes at IOVA 0x%" PRIx64, r->size,
				  r->iova);
	}
}

static int map(struct vfio_ioas_listener *l, const struct vfio_ioas_range *r)
{
	struct kernel_container *c = of(l);
	struct vfio_iommu_type1_dma_map arg = {
		.argsz = sizeof(arg),
		.vaddr = r->vaddr,
		.iova = r->iova,
		.size = r->size,
	};
	int ret;

	if (r->device && !r->vaddr)
		return report_err("host-dma-bar", c->who, -EFAULT,
				  "MAP_DMA at IOVA 0x%" PRIx64
				  ": %s has no memory that a real device could reach",
				  r->iova,
				  r->foreign
					  ? "another process's memory that messages or a file reach"
					  : "a BAR of a device that is not the kernel's");
	if (r->moved)
		return report_err("host-dma-moved", c->who, -EFAULT,
				  "the mapping at IOVA 0x%" PRIx64
				  " has memory that the program took away since: the kernel cannot "
				  "pin it any more",
				  r->iova);
	if (r->prot & IOMMU_READ)
		arg.flags |= VFIO_DMA_MAP_FLAG_READ;
	if (r->prot & IOMMU_WRITE)
		arg.flags |= VFIO_DMA_MAP_FLAG_WRITE;
	ret = c->env->ioctl(c->fd, VFIO_IOMMU_MAP_DMA, &arg);
	if (ret < 0)
		return say_refused(c, r, ret);
	c->bytes += r->size;
	return 0;
}

static void unmap(struct vfio_ioas_listener *l, const struct vfio_ioas_range *r)
{
	struct kernel_container *c = of(l);
	struct vfio_iommu_type1_dma_unmap arg = {
		.argsz = sizeof(arg),
		.iova = r->iova,
		.size = r->size,
	};
	int ret = c->env->ioctl(c->fd, VFIO_IOMMU_UNMAP_DMA, &arg);

	/* nothing could be done about it: whoever gives the memory to others should know */
	if (ret < 0 || arg.size != r->size)
		report_err("host-dma-unmap", c->who, ret < 0 ? ret : 0,
			   "UNMAP_DMA of 0x%" PRIx64 " bytes at IOVA 0x%" PRIx64
			   ": the kernel unmapped 0x%llx: devices may still reach the rest",
			   r->size, r->iova, ret < 0 ? 0ull : (unsigned long long)arg.size);
	c->bytes -= r->size;
}

/* ---- its life ---- */

int host_container_new(const struct host_env *env, const char *who, struct kernel_container **out)
{
	struct kernel_container *c = heap_alloc(sizeof(*c));
	char path[HOST_PATH];
	int fd, ret;

	if (!c)
		return -ENOMEM;
	c->env = env;
	c->listener = (struct vfio_ioas_listener){ .map = map, .unmap = unmap, .limits = limits };
	snprintf(c->who, sizeof(c->who), "%s", who);
	snprintf(path, sizeof(path), "%s/vfio/vfio", env->dev);
	fd = env->open(path, O_RDWR | O_CLOEXEC, 0);
	if (fd < 0) {
		ret = report_err("host-container", who, fd, "%s cannot be opened: %m%s", path,
				 fd == -ENOENT || fd == -ENODEV
					 ? ". Is the kernel's module vfio loaded?"
					 : "");
		goto free;
	}
	ret = env->ioctl(fd, VFIO_GET_API_VERSION, NULL);
	if (ret != VFIO_API_VERSION) {
		ret = report_err("host-container", who, ret < 0 ? ret : -EOPNOTSUPP,
				 "the kernel's VFIO has version %d, and not %d", ret,
				 VFIO_API_VERSION);
		goto close;
	}
	c->v2 = env->ioctl(fd, VFIO_CHECK_EXTENSION, (void *)VFIO_TYPE1v2_IOMMU) > 0;
	if (!c->v2 && env->ioctl(fd, VFIO_CHECK_EXTENSION, (void *)VFIO_TYPE1_IOMMU) <= 0) {
		ret = report_err("host-container", who, -EOPNOTSUPP,
				 "the kernel's VFIO has no type1 IOMMU (vfio_iommu_type1)");
		goto close;
	}
	ret = fd_make_private(fd);
	if (ret < 0)
		goto close;
	c->fd = ret;
	*out = c;
	return 0;
close:
	sys_close(fd);
free:
	heap_free(c);
	return ret;
}

void host_container_free(struct kernel_container *c)
{
	fd_close_private(c->fd);
	heap_free(c);
}

int host_container_set_iommu(struct kernel_container *c)
{
	long type = c->v2 ? VFIO_TYPE1v2_IOMMU : VFIO_TYPE1_IOMMU;
	int ret = c->env->ioctl(c->fd, VFIO_SET_IOMMU, (void *)type);

	return ret < 0 ? report_err("host-container", c->who, ret, "SET_IOMMU %ld", type) : 0;
}

int host_container_attach(struct kernel_container *c, struct vfio_ioas *io, const char *who)
{
	int ret = 0;

	if (c->io && c->io != io)
		return report_err("host-attach", who, -EBUSY,
				  "its group in the host has another address space");
	if (!c->io) {
		c->io = io;
		ret = vfio_ioas_listen(io, &c->listener);
		if (ret)
			c->io = NULL;
	}
	c->attached += !ret;
	return ret;
}

void host_container_detach(struct kernel_container *c)
{
	if (--c->attached)
		return;
	vfio_ioas_unlisten(c->io, &c->listener);
	c->io = NULL;
}
