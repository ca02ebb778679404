/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * drivers/vfio.c: see vfio.h. The calls and their order are those of the kernel's
 * Documentation/driver-api/vfio.rst.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "vfio.h"

void die(const char *fmt, ...)
{
	int err = errno;
	va_list ap;

	fflush(stdout);
	va_start(ap, fmt);
	fprintf(stderr, "%s: ", program_invocation_short_name);
	vfprintf(stderr, fmt, ap);
	fprintf(stderr, " (errno: %s)\n", strerror(err));
	va_end(ap);
	exit(1);
}

void saw(const char *name, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	printf("%s: ", name);
	vprintf(fmt, ap);
	putchar('\n');
	va_end(ap);
	fflush(stdout);
}

uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void open_group(struct vfio *v)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	char path[96], link[256], text[32] = "";
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/class", v->address);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		die("%s cannot be read", path);
	close(fd);
	v->class = strtoull(text, NULL, 0);
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group", v->address);
	n = readlink(path, link, sizeof(link) - 1);
	if (n <= 0)
		die("%s is no link", path);
	link[n] = '\0';
	snprintf(path, sizeof(path), "/dev/vfio/%.32s", strrchr(link, '/') + 1);
	v->group = open(path, O_RDWR | O_CLOEXEC);
	if (v->group < 0)
		die("%s cannot be opened", path);
	if (ioctl(v->group, VFIO_GROUP_GET_STATUS, &status) ||
	    !(status.flags & VFIO_GROUP_FLAGS_VIABLE))
		die("%s is not viable", path);
}

static void get_ranges(struct vfio *v)
{
	struct vfio_iommu_type1_info first = { .argsz = sizeof(first) }, *info;
	struct vfio_info_cap_header *cap;
	uint32_t size, at;

	/*
	 * what holds where the kernel does not tell (before 5.6): all but the interrupts' addresses
	 */
	v->range[0] = (struct vfio_iova_range){ 0, 0xfedfffff };
	v->num_ranges = 1;
	if (ioctl(v->container, VFIO_IOMMU_GET_INFO, &first))
		die("VFIO_IOMMU_GET_INFO");
	size = first.argsz;
	if (!(first.flags & VFIO_IOMMU_INFO_CAPS) || size <= sizeof(first))
		return;
	info = calloc(1, size);
	if (!info)
		die("calloc");
	info->argsz = size;
	if (ioctl(v->container, VFIO_IOMMU_GET_INFO, info))
		die("VFIO_IOMMU_GET_INFO of %u bytes", size);
	for (at = info->cap_offset; at && at <= size - sizeof(*cap); at = cap->next) {
		struct vfio_iommu_type1_info_cap_iova_range *r;

		cap = (void *)((char *)info + at);
		if (cap->id != VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE)
			continue;
		r = (void *)cap;
		for (v->num_ranges = 0; v->num_ranges < r->nr_iovas && v->num_ranges < 16;
		     v->num_ranges++)
			v->range[v->num_ranges] = r->iova_ranges[v->num_ranges];
	}
	free(info);
}

void vfio_open(struct vfio *v, const char *address)
{
	uint32_t command;

	memset(v, 0, sizeof(*v));
	snprintf(v->address, sizeof(v->address), "%s", address);
	v->next_iova = 16 << 20; /* a null pointer is no address */
	open_group(v);
	v->container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	if (v->container < 0)
		die("/dev/vfio/vfio");
	if (ioctl(v->container, VFIO_GET_API_VERSION) != VFIO_API_VERSION)
		die("VFIO_GET_API_VERSION");
	if (ioctl(v->container, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU) != 1)
		die("no VFIO_TYPE1v2_IOMMU");
	if (ioctl(v->group, VFIO_GROUP_SET_CONTAINER, &v->container))
		die("VFIO_GROUP_SET_CONTAINER");
	if (ioctl(v->container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))
		die("VFIO_SET_IOMMU");
	get_ranges(v);
	v->device = ioctl(v->group, VFIO_GROUP_GET_DEVICE_FD, v->address);
	if (v->device < 0)
		die("VFIO_GROUP_GET_DEVICE_FD of %s", v->address);
	v->info.argsz = sizeof(v->info);
	if (ioctl(v->device, VFIO_DEVICE_GET_INFO, &v->info) ||
	    !(v->info.flags & VFIO_DEVICE_FLAGS_PCI))
		die("VFIO_DEVICE_GET_INFO");
	for (unsigned i = 0; i <= VFIO_PCI_CONFIG_REGION_INDEX; i++) {
		struct vfio_region_info r = { .argsz = sizeof(r), .index = i };

		if (ioctl(v->device, VFIO_DEVICE_GET_REGION_INFO, &r))
			die("VFIO_DEVICE_GET_REGION_INFO of region %u", i);
		v->region[i].offset = r.offset;
		v->region[i].size = r.size;
		v->region[i].flags = r.flags;
	}
	for (unsigned i = 0; i < VFIO_PCI_NUM_IRQS; i++) {
		v->irq[i] = (struct vfio_irq_info){ .argsz = sizeof(v->irq[i]), .index = i };
		if (i <= VFIO_PCI_MSIX_IRQ_INDEX &&
		    ioctl(v->device, VFIO_DEVICE_GET_IRQ_INFO, &v->irq[i]))
			die("VFIO_DEVICE_GET_IRQ_INFO of %u", i);
	}
	command = vfio_config_read(v, PCI_COMMAND, 2);
	vfio_config_write(v, PCI_COMMAND, 2, command | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

void vfio_close(struct vfio *v)
{
	close(v->device);
	close(v->group);
	close(v->container);
}

volatile void *vfio_map_bar(struct vfio *v, unsigned bar, uint64_t size, uint64_t offset, int prot)
{
	void *p;

	if (!(v->region[bar].flags & VFIO_REGION_INFO_FLAG_MMAP))
		die("BAR%u cannot be mapped", bar);
	if (offset >= v->region[bar].size)
		die("BAR%u has %#llx bytes only", bar, (unsigned long long)v->region[bar].size);
	if (size > v->region[bar].size - offset)
		size = v->region[bar].size - offset;
	p = mmap(NULL, size, prot, MAP_SHARED, v->device, (off_t)(v->region[bar].offset + offset));
	if (p == MAP_FAILED)
		die("mmap of BAR%u at %#llx", bar, (unsigned long long)offset);
	return p;
}

static uint64_t take_iova(struct vfio *v, uint64_t size)
{
	for (unsigned i = 0; i < v->num_ranges; i++) {
		const struct vfio_iova_range *r = &v->range[i];
		uint64_t at = v->next_iova > r->start ? v->next_iova : r->start;

		if (at <= r->end && r->end - at >= size - 1) {
			v->next_iova = at + size;
			return at;
		}
	}
	die("no IOVA is left for %#llx bytes", (unsigned long long)size);
}

void *vfio_dma_alloc(struct vfio *v, size_t size, uint64_t *iova)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map), .flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE
	};
	void *p;

	size = (size + 4095) & ~(size_t)4095;
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1,
		 0);
	if (p == MAP_FAILED)
		die("mmap of %zu bytes", size);
	map.vaddr = (uintptr_t)p;
	map.size = size;
	map.iova = take_iova(v, size);
	if (ioctl(v->container, VFIO_IOMMU_MAP_DMA, &map))
		die("VFIO_IOMMU_MAP_DMA of %zu bytes at %#llx", size, (unsigned long long)map.iova);
	*iova = map.iova;
	return p;
}

void vfio_dma_free(struct vfio *v, void *p, size_t size, uint64_t iova)
{
	struct vfio_iommu_type1_dma_unmap unmap = { .argsz = sizeof(unmap), .iova = iova };

	unmap.size = size = (size + 4095) & ~(size_t)4095;
	if (ioctl(v->container, VFIO_IOMMU_UNMAP_DMA, &unmap) || unmap.size != size)
		die("VFIO_IOMMU_UNMAP_DMA of %zu bytes at %#llx", size, (unsigned long long)iova);
	munmap(p, size);
}

uint32_t vfio_config_read(const struct vfio *v, unsigned offset, unsigned size)
{
	uint32_t value = 0; /* little endian as config space is */

	if (pread(v->device, &value, size,
		  (off_t)(v->region[VFIO_PCI_CONFIG_REGION_INDEX].offset + offset)) !=
	    (ssize_t)size)
		die("config space at %#x", offset);
	return value;
}

void vfio_config_write(const struct vfio *v, unsigned offset, unsigned size, uint32_t value)
{
	if (pwrite(v->device, &value, size,
		   (off_t)(v->region[VFIO_PCI_CONFIG_REGION_INDEX].offset + offset)) !=
	    (ssize_t)size)
		die("config space at %#x", offset);
}

int vfio_set_eventfds(const struct vfio *v, unsigned index, unsigned start, unsigned count,
		      const int *fds)
{
	char buf[sizeof(struct vfio_irq_set) + 64 * sizeof(int)] __attribute__((aligned(8)));
	struct vfio_irq_set *set = (void *)buf;

	if (count > 64)
		die("%u eventfds at once", count);
	*set = (struct vfio_irq_set){ .argsz = (uint32_t)(sizeof(*set) + count * sizeof(int)),
				      .index = index,
				      .start = start,
				      .count = count,
				      .flags = VFIO_IRQ_SET_DATA_EVENTFD |
					       VFIO_IRQ_SET_ACTION_TRIGGER };
	memcpy(set->data, fds, count * sizeof(int));
	return ioctl(v->device, VFIO_DEVICE_SET_IRQS, set) ? -errno : 0;
}

int vfio_irq_action(const struct vfio *v, unsigned index, unsigned start, unsigned count,
		    uint32_t action)
{
	struct vfio_irq_set set = { .argsz = sizeof(set),
				    .index = index,
				    .start = start,
				    .count = count,
				    .flags = VFIO_IRQ_SET_DATA_NONE | action };

	return ioctl(v->device, VFIO_DEVICE_SET_IRQS, &set) ? -errno : 0;
}

int vfio_reset(const struct vfio *v)
{
	return ioctl(v->device, VFIO_DEVICE_RESET) ? -errno : 0;
}

int new_eventfd(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (fd < 0)
		die("eventfd");
	return fd;
}

uint64_t eventfd_wait(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t n = 0;

	if (poll(&p, 1, ms) == 1 && read(fd, &n, sizeof(n)) != sizeof(n))
		n = 0;
	return n;
}
