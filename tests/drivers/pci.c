/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/drivers/pci.c: see pci.h. The calls and their order are those of the kernel's
 * Documentation/driver-api/vfio.rst.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "pci.h"

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

uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void read_class(struct pci_device *v)
{
	char path[96], text[32] = "";
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/class", v->address);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		die("%s cannot be read", path);
	close(fd);
	v->class = strtoull(text, NULL, 0);
}

static void get_ranges(struct pci_device *v)
{
	struct vfio_iommu_type1_info first = { .argsz = sizeof(first) }, *info;
	struct vfio_info_cap_header *cap;
	uint32_t size, at;

	/*
	 * what holds where the kernel does not tell (before 5.6): all but the interrupts' addresses
	 */
	v->range[0] = (struct vfio_iova_range){ 0, 0xfedfffff };
	v->num_ranges = 1;
	if (ioctl(v->vfio.container, VFIO_IOMMU_GET_INFO, &first))
		die("VFIO_IOMMU_GET_INFO");
	size = first.argsz;
	if (!(first.flags & VFIO_IOMMU_INFO_CAPS) || size <= sizeof(first))
		return;
	info = calloc(1, size);
	if (!info)
		die("calloc");
	info->argsz = size;
	if (ioctl(v->vfio.container, VFIO_IOMMU_GET_INFO, info))
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

void pci_open(struct pci_device *v, const char *address)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	uint32_t command;
	char group[128];

	memset(v, 0, sizeof(*v));
	snprintf(v->address, sizeof(v->address), "%s", address);
	v->next_iova = 16 << 20; /* a null pointer is no address */
	read_class(v);
	if (vfio_group_path(address, group, sizeof(group)))
		die("%s is no link", group);
	if (vfio_set_up(&v->vfio, group, VFIO_TYPE1v2_IOMMU))
		die("%s", v->vfio.failed);
	if (ioctl(v->vfio.group, VFIO_GROUP_GET_STATUS, &status) ||
	    !(status.flags & VFIO_GROUP_FLAGS_VIABLE))
		die("%s is not viable", group);
	if (ioctl(v->vfio.container, VFIO_GET_API_VERSION) != VFIO_API_VERSION)
		die("VFIO_GET_API_VERSION");
	if (ioctl(v->vfio.container, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU) != 1)
		die("no VFIO_TYPE1v2_IOMMU");
	get_ranges(v);
	if (vfio_get_device(&v->vfio, v->address))
		die("%s of %s", v->vfio.failed, v->address);
	v->info.argsz = sizeof(v->info);
	if (ioctl(v->vfio.device, VFIO_DEVICE_GET_INFO, &v->info) ||
	    !(v->info.flags & VFIO_DEVICE_FLAGS_PCI))
		die("VFIO_DEVICE_GET_INFO");
	for (unsigned i = 0; i <= VFIO_PCI_CONFIG_REGION_INDEX; i++) {
		struct vfio_region_info r = { .argsz = sizeof(r), .index = i };

		if (ioctl(v->vfio.device, VFIO_DEVICE_GET_REGION_INFO, &r))
			die("VFIO_DEVICE_GET_REGION_INFO of region %u", i);
		v->region[i].offset = r.offset;
		v->region[i].size = r.size;
		v->region[i].flags = r.flags;
	}
	for (unsigned i = 0; i < VFIO_PCI_NUM_IRQS; i++) {
		v->irq[i] = (struct vfio_irq_info){ .argsz = sizeof(v->irq[i]), .index = i };
		if (i <= VFIO_PCI_MSIX_IRQ_INDEX &&
		    ioctl(v->vfio.device, VFIO_DEVICE_GET_IRQ_INFO, &v->irq[i]))
			die("VFIO_DEVICE_GET_IRQ_INFO of %u", i);
	}
	command = pci_config_read(v, PCI_COMMAND, 2);
	pci_config_write(v, PCI_COMMAND, 2, command | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

void pci_close(struct pci_device *v)
{
	vfio_close(&v->vfio);
}

volatile void *pci_map_bar(struct pci_device *v, unsigned bar, uint64_t size, uint64_t offset,
			   int prot)
{
	void *p;

	if (!(v->region[bar].flags & VFIO_REGION_INFO_FLAG_MMAP))
		die("BAR%u cannot be mapped", bar);
	if (offset >= v->region[bar].size)
		die("BAR%u has %#llx bytes only", bar, (unsigned long long)v->region[bar].size);
	if (size > v->region[bar].size - offset)
		size = v->region[bar].size - offset;
	p = mmap(NULL, size, prot, MAP_SHARED, v->vfio.device,
		 (off_t)(v->region[bar].offset + offset));
	if (p == MAP_FAILED)
		die("mmap of BAR%u at %#llx", bar, (unsigned long long)offset);
	return p;
}

bool pci_dma_shared;

static uint64_t take_iova(struct pci_device *v, uint64_t size)
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

void *pci_dma_alloc(struct pci_device *v, size_t size, uint64_t *iova)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS, fd = -1;
	void *p;

	size = (size + 4095) & ~(size_t)4095;
	if (pci_dma_shared) {
		flags = MAP_SHARED;
		fd = memfd_create("dma", MFD_CLOEXEC);
		if (fd < 0 || ftruncate(fd, (off_t)size))
			die("memfd of %zu bytes", size);
	}
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, flags | MAP_POPULATE, fd, 0);
	if (p == MAP_FAILED)
		die("mmap of %zu bytes", size);
	if (fd >= 0)
		close(fd);
	*iova = take_iova(v, size);
	if (vfio_dma_map(v->vfio.container, p, *iova, size,
			 VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE))
		die("VFIO_IOMMU_MAP_DMA of %zu bytes at %#llx", size, (unsigned long long)*iova);
	return p;
}

void pci_dma_free(struct pci_device *v, void *p, size_t size, uint64_t iova)
{
	size = (size + 4095) & ~(size_t)4095;
	if (vfio_dma_unmap(v->vfio.container, iova, size, 0) != (long)size)
		die("VFIO_IOMMU_UNMAP_DMA of %zu bytes at %#llx", size, (unsigned long long)iova);
	munmap(p, size);
}

uint32_t pci_config_read(const struct pci_device *v, unsigned offset, unsigned size)
{
	uint32_t value = 0; /* little endian as config space is */

	if (pread(v->vfio.device, &value, size,
		  (off_t)(v->region[VFIO_PCI_CONFIG_REGION_INDEX].offset + offset)) !=
	    (ssize_t)size)
		die("config space at %#x", offset);
	return value;
}

void pci_config_write(const struct pci_device *v, unsigned offset, unsigned size, uint32_t value)
{
	if (pwrite(v->vfio.device, &value, size,
		   (off_t)(v->region[VFIO_PCI_CONFIG_REGION_INDEX].offset + offset)) !=
	    (ssize_t)size)
		die("config space at %#x", offset);
}

int pci_set_eventfds(const struct pci_device *v, unsigned index, unsigned start, unsigned count,
		     const int *fds)
{
	if (count > 64)
		die("%u eventfds at once", count);
	return vfio_set_irqs(v->vfio.device,
			     VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, index, start,
			     count, fds)
		       ? -errno
		       : 0;
}

int pci_irq_action(const struct pci_device *v, unsigned index, unsigned start, unsigned count,
		   uint32_t action)
{
	return vfio_set_irqs(v->vfio.device, VFIO_IRQ_SET_DATA_NONE | action, index, start, count,
			     NULL)
		       ? -errno
		       : 0;
}

int pci_reset(const struct pci_device *v)
{
	return ioctl(v->vfio.device, VFIO_DEVICE_RESET) ? -errno : 0;
}

int new_eventfd(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (fd < 0)
		die("eventfd");
	return fd;
}
