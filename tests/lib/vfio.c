/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/lib/vfio.c: see vfio.h. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lib/vfio.h"

int vfio_group_path(const char *address, char *path, size_t size)
{
	char link[256];
	ssize_t n;

	snprintf(path, size, "/sys/bus/pci/devices/%s/iommu_group", address);
	n = readlink(path, link, sizeof(link) - 1);
	if (n <= 0)
		return -1;
	link[n] = '\0';
	snprintf(path, size, "/dev/vfio/%.32s", strrchr(link, '/') + 1);
	return 0;
}

int vfio_open_group(const char *address)
{
	char path[128];

	return vfio_group_path(address, path, sizeof(path)) ? -1 : open(path, O_RDWR);
}

int vfio_set_up(struct vfio *v, const char *group, unsigned int type)
{
	*v = (struct vfio){ -1, -1, -1, "/dev/vfio/vfio" };
	v->container = open("/dev/vfio/vfio", O_RDWR);
	if (v->container < 0)
		return -1;
	v->failed = group;
	v->group = open(group, O_RDWR);
	if (v->group < 0)
		return -1;
	v->failed = "VFIO_GROUP_SET_CONTAINER";
	if (ioctl(v->group, VFIO_GROUP_SET_CONTAINER, &v->container))
		return -1;
	v->failed = "VFIO_SET_IOMMU";
	if (ioctl(v->container, VFIO_SET_IOMMU, type))
		return -1;
	v->failed = NULL;
	return 0;
}

int vfio_get_device(struct vfio *v, const char *name)
{
	v->device = ioctl(v->group, VFIO_GROUP_GET_DEVICE_FD, name);
	v->failed = v->device < 0 ? "VFIO_GROUP_GET_DEVICE_FD" : NULL;
	return v->device < 0 ? -1 : 0;
}

int vfio_open_device(struct vfio *v, const char *group, const char *name)
{
	if (vfio_set_up(v, group, VFIO_TYPE1v2_IOMMU))
		return -1;
	return vfio_get_device(v, name);
}

void vfio_close(struct vfio *v)
{
	int e = errno;

	if (v->device >= 0)
		close(v->device);
	if (v->group >= 0)
		close(v->group);
	if (v->container >= 0)
		close(v->container);
	errno = e;
}

int vfio_dma_map(int container, void *p, uint64_t iova, uint64_t size, uint32_t flags)
{
	struct vfio_iommu_type1_dma_map m = { .argsz = sizeof(m),
					      .flags = flags,
					      .vaddr = (uintptr_t)p,
					      .iova = iova,
					      .size = size };

	return ioctl(container, VFIO_IOMMU_MAP_DMA, &m);
}

long vfio_dma_unmap(int container, uint64_t iova, uint64_t size, uint32_t flags)
{
	struct vfio_iommu_type1_dma_unmap u = {
		.argsz = sizeof(u), .flags = flags, .iova = iova, .size = size
	};

	return ioctl(container, VFIO_IOMMU_UNMAP_DMA, &u) ? -1 : (long)u.size;
}

int vfio_set_irqs(int device, uint32_t flags, uint32_t index, uint32_t start, uint32_t count,
		  const void *data)
{
	char buf[sizeof(struct vfio_irq_set) + 4 * 64] __attribute__((aligned(8)));
	struct vfio_irq_set *set = (void *)buf;
	size_t len = 0;

	if (flags & VFIO_IRQ_SET_DATA_EVENTFD)
		len = 4 * (size_t)count;
	else if (flags & VFIO_IRQ_SET_DATA_BOOL)
		len = count;
	if (len > sizeof(buf) - sizeof(*set)) {
		errno = E2BIG;
		return -1;
	}
	*set = (struct vfio_irq_set){ .argsz = (uint32_t)(sizeof(*set) + len),
				      .flags = flags,
				      .index = index,
				      .start = start,
				      .count = count };
	if (len)
		memcpy(set->data, data, len);
	return ioctl(device, VFIO_DEVICE_SET_IRQS, set);
}

uint64_t eventfd_wait(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t n = 0;

	if (poll(&p, 1, ms) == 1 && read(fd, &n, sizeof(n)) == sizeof(n))
		return n;
	return 0;
}
