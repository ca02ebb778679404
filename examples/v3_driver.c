/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * v3_driver: a driver for the counter (counter.c) by two of VFIO's interfaces: the first one, of
 * July 2010, and today's. What it asks of them is the same nine calls; each stands here twice, 2010
 * beside today, so that a reader sees what became of it (docs/history.md tells why).
 *
 *	cc -o v3_driver v3_driver.c $(pkg-config --cflags uvfio)
 *	uvfio run --abi v3 --device ./counter.so -- ./v3_driver
 *	uvfio run --device ./counter.so -- ./v3_driver [ADDRESS]
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <uvfio/vfio_v3.h>

#define CHECK(condition)                                                                          \
	do {                                                                                      \
		if (!(condition)) {                                                               \
			fprintf(stderr, "v3_driver: line %d: %s: not so (errno: %s)\n", __LINE__, \
				#condition, strerror(errno));                                     \
			exit(1);                                                                  \
		}                                                                                 \
	} while (0)

/* The counter's registers. */
#define COUNT  0x00
#define ADD    0x04
#define LIMIT  0x08
#define STATUS 0x0c
#define REPORT 0x10
#define STEP   0x18

/* The calls that the driver makes of an interface. */
struct interface {
	const char *name;
	void (*open)(const char *address);
	void (*close)(void);
	uint64_t (*config)(void);		  /* where config space begins in the file */
	volatile void *(*registers)(size_t size); /* BAR0, mapped */
	void (*dma_map)(void *memory, uint64_t iova, size_t size);
	void (*dma_unmap)(void *memory, uint64_t iova, size_t size);
	void (*message)(int eventfd); /* have MSI-X; -1: no more */
	void (*line)(int eventfd);    /* have INTx; -1: no more */
	void (*line_served)(void);    /* it may come again */
};

static int device = -1;

/* ---- July 2010 ---- */

static int uiommu = -1;

/*
 * A device has a node of its own, which a directory of sysfs names. Its address space is a
 * descriptor, which is given to it: who shares it is the program's affair, whether the hardware can
 * keep two devices apart or not.
 */
static void v3_open(const char *address)
{
	char path[128], node[280] = "";
	struct dirent *e;
	DIR *d;

	snprintf(path, sizeof(path), "/sys/bus/pci/drivers/vfio/%s/vfio", address);
	d = opendir(path);
	CHECK(d);
	while ((e = readdir(d)))
		if (!strncmp(e->d_name, "vfio", 4))
			snprintf(node, sizeof(node), "/dev/%s", e->d_name);
	closedir(d);
	device = open(node, O_RDWR);
	CHECK(device >= 0);
	uiommu = open("/dev/uiommu", O_RDWR);
	CHECK(uiommu >= 0);
	CHECK(ioctl(device, VFIO_DOMAIN_SET, &uiommu) == 0);
}

static void v3_close(void)
{
	CHECK(ioctl(device, VFIO_DOMAIN_UNSET) == 0);
	close(uiommu);
	close(device);
}

/* Spaces are at fixed places, 4 GiB each: a larger BAR cannot be reached. */
static uint64_t v3_config(void)
{
	return VFIO_V3_OFFSET(VFIO_V3_SPACE_CONFIG, 0);
}

static volatile void *v3_registers(size_t size)
{
	uint32_t length = 0; /* in: the BAR's register; out: its length */

	CHECK(ioctl(device, VFIO_BAR_LEN, &length) == 0 && length >= size);
	return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, device,
		    (off_t)VFIO_V3_OFFSET(0, 0));
}

static void v3_dma_map(void *memory, uint64_t iova, size_t size)
{
	struct vfio_dma_map map = { (uintptr_t)memory, iova, size, VFIO_FLAG_WRITE };

	CHECK(ioctl(device, VFIO_DMA_MAP_IOVA, &map) == 0);
}

static void v3_dma_unmap(void *memory, uint64_t iova, size_t size)
{
	struct vfio_dma_map map = { (uintptr_t)memory, iova, size, 0 };

	CHECK(ioctl(device, VFIO_DMA_UNMAP, &map) == 0);
}

/* All vectors at once; a positive answer means that there are fewer, and none is enabled. */
static void v3_message(int eventfd)
{
	int vectors[2] = { eventfd >= 0, eventfd };

	CHECK(ioctl(device, VFIO_EVENTFDS_MSIX, vectors) == 0);
}

static void v3_line(int eventfd)
{
	CHECK(ioctl(device, VFIO_EVENTFD_IRQ, &eventfd) == 0);
}

/* The driver has set DisINTx for us; clearing it in config space is the acknowledgement. */
static void v3_line_served(void)
{
	off_t at = (off_t)(v3_config() + PCI_COMMAND);
	uint16_t command;

	CHECK(pread(device, &command, sizeof(command), at) == sizeof(command));
	command &= (uint16_t)~PCI_COMMAND_INTX_DISABLE;
	CHECK(pwrite(device, &command, sizeof(command), at) == sizeof(command));
}

static const struct interface july_2010 = {
	"July 2010", v3_open,	   v3_close,   v3_config, v3_registers,
	v3_dma_map,  v3_dma_unmap, v3_message, v3_line,	  v3_line_served,
};

/* ---- today ---- */

static int container = -1, group = -1;

/*
 * Devices that the IOMMU cannot keep apart are a group, and a user owns a group: of the device one
 * learns its group, and a container is the address space of all groups in it.
 */
static void now_open(const char *address)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	char path[300], link[256];
	ssize_t n;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group", address);
	n = readlink(path, link, sizeof(link) - 1);
	CHECK(n > 0);
	link[n] = '\0';
	snprintf(path, sizeof(path), "/dev/vfio/%s", strrchr(link, '/') + 1);
	container = open("/dev/vfio/vfio", O_RDWR);
	CHECK(container >= 0);
	group = open(path, O_RDWR);
	CHECK(group >= 0);
	CHECK(ioctl(group, VFIO_GROUP_GET_STATUS, &status) == 0);
	CHECK(status.flags & VFIO_GROUP_FLAGS_VIABLE);
	CHECK(ioctl(group, VFIO_GROUP_SET_CONTAINER, &container) == 0);
	CHECK(ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU) == 0);
	device = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, address);
	CHECK(device >= 0);
}

static void now_close(void)
{
	close(device);
	close(group);
	close(container);
}

/* Where a region is says the driver, as how large it is, and what can be done with it. */
static struct vfio_region_info region(unsigned index)
{
	struct vfio_region_info info = { .argsz = sizeof(info), .index = index };

	CHECK(ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &info) == 0);
	return info;
}

static uint64_t now_config(void)
{
	return region(VFIO_PCI_CONFIG_REGION_INDEX).offset;
}

static volatile void *now_registers(size_t size)
{
	struct vfio_region_info info = region(VFIO_PCI_BAR0_REGION_INDEX);

	CHECK(info.size >= size && info.flags & VFIO_REGION_INFO_FLAG_MMAP);
	return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, device, (off_t)info.offset);
}

/* Of the container: the pages stay where they are until they are unmapped, whatever is done. */
static void now_dma_map(void *memory, uint64_t iova, size_t size)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)memory,
		.iova = iova,
		.size = size,
	};

	CHECK(ioctl(container, VFIO_IOMMU_MAP_DMA, &map) == 0);
}

static void now_dma_unmap(void *memory, uint64_t iova, size_t size)
{
	struct vfio_iommu_type1_dma_unmap unmap = { .argsz = sizeof(unmap),
						    .iova = iova,
						    .size = size };

	CHECK(ioctl(container, VFIO_IOMMU_UNMAP_DMA, &unmap) == 0 && unmap.size == size);
}

/* One call for all interrupts of all kinds, which says what is done and what the data is. */
static void set_irqs(unsigned index, uint32_t action, int eventfd)
{
	char buf[sizeof(struct vfio_irq_set) + sizeof(int)] __attribute__((aligned(8)));
	struct vfio_irq_set *set = (struct vfio_irq_set *)buf;
	bool data = action == VFIO_IRQ_SET_ACTION_TRIGGER && eventfd >= 0;

	*set = (struct vfio_irq_set){
		.argsz = sizeof(buf),
		.flags = action | (data ? VFIO_IRQ_SET_DATA_EVENTFD : VFIO_IRQ_SET_DATA_NONE),
		.index = index,
		.count = data || action != VFIO_IRQ_SET_ACTION_TRIGGER,
	};
	memcpy(set->data, &eventfd, sizeof(eventfd));
	CHECK(ioctl(device, VFIO_DEVICE_SET_IRQS, set) == 0);
}

static void now_message(int eventfd)
{
	set_irqs(VFIO_PCI_MSIX_IRQ_INDEX, VFIO_IRQ_SET_ACTION_TRIGGER, eventfd);
}

static void now_line(int eventfd)
{
	set_irqs(VFIO_PCI_INTX_IRQ_INDEX, VFIO_IRQ_SET_ACTION_TRIGGER, eventfd);
}

static void now_line_served(void)
{
	set_irqs(VFIO_PCI_INTX_IRQ_INDEX, VFIO_IRQ_SET_ACTION_UNMASK, -1);
}

static const struct interface today = {
	"today",     now_open,	    now_close,	 now_config, now_registers,
	now_dma_map, now_dma_unmap, now_message, now_line,   now_line_served,
};

/* ---- the driver ---- */

#define IOVA 0x100000ull

static const struct interface *vfio;
static volatile uint32_t *regs;

static uint64_t interrupts(int fd, int timeout)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t n = 0;

	if (poll(&p, 1, timeout) == 1)
		CHECK(read(fd, &n, sizeof(n)) == sizeof(n));
	return n;
}

/* Count to the limit and past it: a lap, of which the device says the number in our memory. */
static void lap(volatile uint64_t *laps, unsigned number, int irq)
{
	uint32_t step = regs[STEP / 4];

	regs[LIMIT / 4] = regs[COUNT / 4] + 10 * step;
	regs[ADD / 4] = 9;
	CHECK(laps[0] == number - 1 && interrupts(irq, 0) == 0);
	regs[ADD / 4] = 1;
	CHECK(interrupts(irq, 1000) == 1);
	CHECK(laps[0] == number && regs[STATUS / 4] == 1);
	regs[STATUS / 4] = 1;
}

int main(int argc, char **argv)
{
	const char *address = argc > 1 ? argv[1] : "0000:01:00.0";
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint64_t *laps;
	uint16_t command;
	uint32_t id;
	int irq = eventfd(0, EFD_CLOEXEC);
	off_t config;

	vfio = access("/dev/uiommu", F_OK) ? &today : &july_2010;
	printf("VFIO of %s\n", vfio->name);
	vfio->open(address);

	/* config: is it a counter? And have it master the bus. */
	config = (off_t)vfio->config();
	CHECK(pread(device, &id, sizeof(id), config) == sizeof(id));
	CHECK(id == 0xc0471234);
	CHECK(pread(device, &command, 2, config + PCI_COMMAND) == 2);
	command |= PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	CHECK(pwrite(device, &command, 2, config + PCI_COMMAND) == 2);
	regs = vfio->registers(page);
	CHECK(regs != MAP_FAILED);

	/* DMA: where the device tells its laps */
	laps = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(laps != MAP_FAILED);
	vfio->dma_map(laps, IOVA, page);
	*(volatile uint64_t *)&regs[REPORT / 4] = IOVA;

	/* interrupts: by message, and by the line */
	vfio->message(irq);
	lap(laps, 1, irq);
	printf("a lap by MSI-X\n");
	vfio->message(-1);
	vfio->line(irq);
	vfio->line_served();
	lap(laps, 2, irq);
	vfio->line_served();
	lap(laps, 3, irq);
	vfio->line_served();
	printf("two laps by INTx\n");
	vfio->line(-1);

	vfio->dma_unmap(laps, IOVA, page);
	regs[ADD / 4] = 1000;
	CHECK(laps[0] == 3); /* and it says so in STATUS, bit 1 */
	CHECK(regs[STATUS / 4] & 2);
	vfio->close();
	printf("ok\n");
	return 0;
}
