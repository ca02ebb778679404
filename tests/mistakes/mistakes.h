/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/mistakes/mistakes.h: what the small drivers share. Each makes one mistake, at the line that
 * is marked, when it is compiled with -DMISTAKE=1, and none with -DMISTAKE=0. Of libc and
 * <linux/vfio.h> alone.
 */
#ifndef TESTS_MISTAKES_H
#define TESTS_MISTAKES_H
#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "models/testdev/regs.h"

#define MUST(condition)                                                                       \
	do {                                                                                  \
		if (!(condition)) {                                                           \
			fprintf(stderr, "%s:%d: %s: not so (errno %d)\n", __FILE__, __LINE__, \
				#condition, errno);                                           \
			exit(1);                                                              \
		}                                                                             \
	} while (0)
#define PAGE   4096u
#define IOVA   0x100000ull
#define UNUSED __attribute__((unused))

static int container UNUSED, group UNUSED, device UNUSED;
static volatile uint8_t *bar UNUSED; /* of testdev's registers, BAR2, or edu's, BAR0 */
static uint8_t *memory UNUSED;	     /* a page */

static inline uint64_t region(unsigned index)
{
	return (uint64_t)index << 40;
}

/* Open the device at 0000:01:00.0, with bus mastering and memory decoding if @on. */
static inline void open_device(int on)
{
	uint16_t command;

	container = open("/dev/vfio/vfio", O_RDWR);
	group = open("/dev/vfio/1", O_RDWR);
	MUST(container >= 0 && group >= 0);
	MUST(!ioctl(group, VFIO_GROUP_SET_CONTAINER, &container));
	MUST(!ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	device = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, "0000:01:00.0");
	MUST(device >= 0);
	command = PCI_COMMAND_MEMORY | (on ? PCI_COMMAND_MASTER : 0);
	MUST(pwrite(device, &command, 2,
		    (off_t)region(VFIO_PCI_CONFIG_REGION_INDEX) + PCI_COMMAND) == 2);
}

/* Return where the capability @id is in config space. */
static inline uint8_t find_capability(uint8_t id)
{
	uint8_t at = PCI_CAPABILITY_LIST, is = 0;

	while (is != id) {
		MUST(pread(device, &at, 1,
			   (off_t)region(VFIO_PCI_CONFIG_REGION_INDEX) + at +
				   (at == PCI_CAPABILITY_LIST ? 0 : PCI_CAP_LIST_NEXT)) == 1);
		MUST(at);
		MUST(pread(device, &is, 1, (off_t)region(VFIO_PCI_CONFIG_REGION_INDEX) + at) == 1);
	}
	return at;
}

static inline void map_bar(unsigned index)
{
	bar = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, device, (off_t)region(index));
	MUST(bar != MAP_FAILED);
}

static inline void new_memory(size_t size)
{
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	MUST(memory != MAP_FAILED);
	memset(memory, 1, size);
}

static inline void map_memory(uint64_t size, uint32_t flags)
{
	struct vfio_iommu_type1_dma_map map = { .argsz = sizeof(map),
						.flags = flags,
						.vaddr = (uintptr_t)memory,
						.iova = IOVA,
						.size = size };

	MUST(!ioctl(container, VFIO_IOMMU_MAP_DMA, &map));
}

static inline void unmap_memory(uint64_t size)
{
	struct vfio_iommu_type1_dma_unmap unmap = { .argsz = sizeof(unmap),
						    .iova = IOVA,
						    .size = size };

	MUST(!ioctl(container, VFIO_IOMMU_UNMAP_DMA, &unmap));
}

#define BOTH_WAYS (VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE)

/* All that most drivers need: testdev, its registers, a page that is mapped both ways. */
static inline void start(void)
{
	open_device(1);
	map_bar(VFIO_PCI_BAR2_REGION_INDEX);
	new_memory(2 * PAGE);
	map_memory(PAGE, BOTH_WAYS);
}

/* Give vectors [first, first + n) of an interrupt the eventfds @fds (-1: none). */
static inline void set_irqs(unsigned index, unsigned first, unsigned n, const int *fds)
{
	union {
		struct vfio_irq_set set;
		uint8_t room[sizeof(struct vfio_irq_set) + 8 * sizeof(int)];
	} u = { .set = { .argsz = (uint32_t)(sizeof(u.set) + n * sizeof(int)),
			 .flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
			 .index = index,
			 .start = first,
			 .count = n } };

	memcpy(u.set.data, fds, n * sizeof(int));
	MUST(!ioctl(device, VFIO_DEVICE_SET_IRQS, &u.set));
}

static inline void unmask_intx(void)
{
	struct vfio_irq_set set = { .argsz = sizeof(set),
				    .flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_UNMASK,
				    .count = 1 };

	MUST(!ioctl(device, VFIO_DEVICE_SET_IRQS, &set));
}

static inline int new_eventfd(void)
{
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	MUST(fd >= 0);
	return fd;
}

/* Take the counter, as one who waited does. */
static inline uint64_t take(int fd)
{
	uint64_t n = 0;

	MUST(read(fd, &n, sizeof(n)) == sizeof(n) || errno == EAGAIN);
	return n;
}

static inline void write32(unsigned reg, uint32_t value)
{
	*(volatile uint32_t *)(bar + reg) = value;
}

static inline void write64(unsigned reg, uint64_t value)
{
	*(volatile uint64_t *)(bar + reg) = value;
}

static inline uint32_t read32(unsigned reg)
{
	return *(volatile uint32_t *)(bar + reg);
}

/* Have testdev fill memory: what comes next is the store to TD_DMA_CMD. */
static inline void prepare_fill(uint64_t iova, uint32_t size)
{
	write64(TD_DMA_DST, iova);
	write32(TD_DMA_LEN, size);
}
#endif
