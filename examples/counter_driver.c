/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * counter_driver: a driver for the counter (counter.c) as a plain VFIO program. There is nothing of
 * uvfio in it: it knows <linux/vfio.h> and would drive a real counter behind the kernel's vfio-pci
 * in the same way.
 *
 *	cc -o counter_driver counter_driver.c
 *	uvfio run --device ./counter.so -- ./counter_driver [ADDRESS]
 *
 * It does what every VFIO driver does, in order: container, group, IOMMU, DMA mapping, device,
 * regions, interrupt. Then it lets the device count and checks what comes back. Anything unexpected
 * ends it with a line and status 1.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define CHECK(condition)                                                                     \
	do {                                                                                 \
		if (!(condition)) {                                                          \
			fprintf(stderr, "counter_driver: line %d: %s: not so (errno: %s)\n", \
				__LINE__, #condition, strerror(errno));                      \
			exit(1);                                                             \
		}                                                                            \
	} while (0)

#define COUNT  0x00
#define ADD    0x04
#define LIMIT  0x08
#define STATUS 0x0c
#define REPORT 0x10
#define STEP   0x18

/* VFIO_DEVICE_SET_IRQS: what is done, and what the data is */
#define SET_EVENTFD (VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER)
#define DISABLE	    (VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER) /* with a count of 0 */
#define UNMASK	    (VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_UNMASK)

#define IOVA 0x100000ull /* where the device finds our memory: any number that we like */

static int device;
static uint64_t bar0; /* where the region of BAR0 begins in the device's file */

static uint32_t reg_read(unsigned reg)
{
	uint32_t v;

	CHECK(pread(device, &v, sizeof(v), (off_t)(bar0 + reg)) == sizeof(v));
	return v;
}

static void reg_write(unsigned reg, uint32_t v)
{
	CHECK(pwrite(device, &v, sizeof(v), (off_t)(bar0 + reg)) == sizeof(v));
}

static void reg_write64(unsigned reg, uint64_t v)
{
	CHECK(pwrite(device, &v, sizeof(v), (off_t)(bar0 + reg)) == sizeof(v));
}

static uint64_t region(unsigned index, uint64_t min_size)
{
	struct vfio_region_info info = { .argsz = sizeof(info), .index = index };

	CHECK(ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &info) == 0);
	CHECK(info.size >= min_size);
	return info.offset;
}

/* The group is in sysfs: a link to /sys/kernel/iommu_groups/N. */
static int open_group(const char *address)
{
	char path[128], link[256];
	struct vfio_group_status status = { .argsz = sizeof(status) };
	ssize_t n;
	int group;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group", address);
	n = readlink(path, link, sizeof(link) - 1);
	CHECK(n > 0);
	link[n] = '\0';
	snprintf(path, sizeof(path), "/dev/vfio/%s", strrchr(link, '/') + 1);
	group = open(path, O_RDWR);
	CHECK(group >= 0);
	CHECK(ioctl(group, VFIO_GROUP_GET_STATUS, &status) == 0);
	CHECK(status.flags & VFIO_GROUP_FLAGS_VIABLE);
	return group;
}

static void set_irq(unsigned index, uint32_t flags, unsigned count, int fd)
{
	char buf[sizeof(struct vfio_irq_set) + sizeof(int)] __attribute__((aligned(8)));
	struct vfio_irq_set *set = (struct vfio_irq_set *)buf;

	*set = (struct vfio_irq_set){
		.argsz = sizeof(buf), .flags = flags, .index = index, .count = count
	};
	memcpy(set->data, &fd, sizeof(fd));
	CHECK(ioctl(device, VFIO_DEVICE_SET_IRQS, set) == 0);
}

/* Wait for an interrupt, a second at most; how many there were. */
static uint64_t interrupts(int fd, int timeout)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t n = 0;

	if (poll(&p, 1, timeout) == 1)
		CHECK(read(fd, &n, sizeof(n)) == sizeof(n));
	return n;
}

int main(int argc, char **argv)
{
	const char *address = argc > 1 ? argv[1] : "0000:01:00.0";
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map), .flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE
	};
	struct vfio_iommu_type1_dma_unmap unmap = { .argsz = sizeof(unmap), .iova = IOVA };
	struct vfio_device_info info = { .argsz = sizeof(info) };
	volatile uint64_t *laps;
	uint64_t config;
	uint32_t id, step;
	uint16_t command;
	int container, group, irq;
	long page = sysconf(_SC_PAGESIZE);

	container = open("/dev/vfio/vfio", O_RDWR);
	CHECK(container >= 0);
	CHECK(ioctl(container, VFIO_GET_API_VERSION) == VFIO_API_VERSION);
	CHECK(ioctl(container, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU) == 1);
	group = open_group(address);
	CHECK(ioctl(group, VFIO_GROUP_SET_CONTAINER, &container) == 0);
	CHECK(ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU) == 0);

	laps = mmap(NULL, (size_t)page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(laps != MAP_FAILED);
	map.vaddr = (uintptr_t)laps;
	map.iova = IOVA;
	map.size = (uint64_t)page;
	CHECK(ioctl(container, VFIO_IOMMU_MAP_DMA, &map) == 0);

	device = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, address);
	CHECK(device >= 0);
	CHECK(ioctl(device, VFIO_DEVICE_GET_INFO, &info) == 0);
	CHECK(info.flags & VFIO_DEVICE_FLAGS_PCI && info.flags & VFIO_DEVICE_FLAGS_RESET);

	/*
	 * Is it a counter? And without bus mastering it could neither write our memory nor send a
	 * message.
	 */
	config = region(VFIO_PCI_CONFIG_REGION_INDEX, 256);
	CHECK(pread(device, &id, sizeof(id), (off_t)config) == sizeof(id));
	CHECK(id == 0xc0471234);
	CHECK(pread(device, &command, sizeof(command), (off_t)(config + PCI_COMMAND)) ==
	      sizeof(command));
	command |= PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	CHECK(pwrite(device, &command, sizeof(command), (off_t)(config + PCI_COMMAND)) ==
	      sizeof(command));
	bar0 = region(VFIO_PCI_BAR0_REGION_INDEX, 0x20);
	step = reg_read(STEP);
	CHECK(step >= 1);

	irq = eventfd(0, EFD_CLOEXEC);
	CHECK(irq >= 0);
	set_irq(VFIO_PCI_MSIX_IRQ_INDEX, SET_EVENTFD, 1, irq);

	/*
	 * Count. Below the limit nothing happens; at the limit comes a message, and the laps are in
	 * our memory before it.
	 */
	reg_write(LIMIT, 10 * step);
	reg_write64(REPORT, IOVA + 64);
	reg_write(ADD, 9);
	CHECK(reg_read(COUNT) == 9 * step);
	CHECK(reg_read(STATUS) == 0 && laps[8] == 0 && interrupts(irq, 0) == 0);
	reg_write(ADD, 3);
	CHECK(interrupts(irq, 1000) == 1);
	CHECK(laps[8] == 1 && reg_read(STATUS) == 1 && reg_read(COUNT) == 2 * step);
	reg_write(STATUS, 1);
	CHECK(reg_read(STATUS) == 0);
	printf("a lap by MSI-X: the device wrote %llu\n", (unsigned long long)laps[8]);

	/*
	 * The same by the interrupt line. It is masked when it comes, so that it does not come
	 * again before it is served.
	 */
	set_irq(VFIO_PCI_MSIX_IRQ_INDEX, DISABLE, 0, -1);
	set_irq(VFIO_PCI_INTX_IRQ_INDEX, SET_EVENTFD, 1, irq);
	reg_write(ADD, 10);
	CHECK(interrupts(irq, 1000) == 1 && laps[8] == 2);
	reg_write(STATUS, 1);
	set_irq(VFIO_PCI_INTX_IRQ_INDEX, UNMASK, 1, -1);
	CHECK(interrupts(irq, 0) == 0);
	printf("a lap by INTx: the device wrote %llu\n", (unsigned long long)laps[8]);

	/*
	 * Take the memory away: the IOMMU stops the device, and the device says so. (uvfio's log
	 * names the access.)
	 */
	unmap.size = (uint64_t)page;
	CHECK(ioctl(container, VFIO_IOMMU_UNMAP_DMA, &unmap) == 0 && unmap.size == (uint64_t)page);
	reg_write(ADD, 10);
	CHECK(reg_read(STATUS) == 3 && laps[8] == 2);
	printf("a lap without memory: the IOMMU stopped the device\n");

	CHECK(ioctl(device, VFIO_DEVICE_RESET) == 0);
	CHECK(reg_read(COUNT) == 0 && reg_read(LIMIT) == 0 && reg_read(STATUS) == 0);
	close(device);
	close(group);
	close(container);
	printf("ok\n");
	return 0;
}
