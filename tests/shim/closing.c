/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/shim/closing.c: what a program holds of a device is closed, or unmapped, in every order. In
 * between, what is left works, and who has the device is seen by others; in the end it is free, and
 * no descriptor is left, of the program's or the library's. (src/uapi/closing_test.c has larger
 * sets, without the shim.)
 */
#include <dirent.h>
#include <sys/eventfd.h>

#include "shim.h"

#define CDEV	   "/dev/vfio/devices/vfio0"
#define IOMMU	   "/dev/iommu"
#define BIND	   _IO(';', 118)
#define ATTACH	   _IO(';', 119)
#define IOAS_ALLOC _IO(';', 0x81)
#define IOAS_MAP   _IO(';', 0x85)
#define FAULT	   _IO(';', 0x8e)
#define DMA_BUF	   11u
#define IOVA	   0x100000ul
#define PAGE	   4096ul

/* 0 or -1: not open; of both sets, the container of one is the iommufd of the other */
static struct {
	int container, group, device, dmabuf, event, fault;
	volatile uint32_t *bar;
	uint32_t *mem; /* a page that the device reaches */
} o;

static void shut(int *fd)
{
	if (*fd >= 0)
		CHECK(!close(*fd));
	*fd = -1;
}

static void shut_container(void)
{
	shut(&o.container);
}

static void shut_group(void)
{
	shut(&o.group);
}

static void shut_device(void)
{
	shut(&o.device);
}

static void shut_dmabuf(void)
{
	shut(&o.dmabuf);
}

static void shut_event(void)
{
	shut(&o.event);
}

static void shut_fault(void)
{
	shut(&o.fault);
}

static void unmap_bar(void)
{
	CHECK(!munmap((void *)o.bar, PAGE));
	o.bar = NULL;
}

static void unmap_memory(void)
{
	CHECK(!munmap(o.mem, PAGE));
	o.mem = NULL;
}

static void use_device(void)
{
	struct {
		uint32_t argsz, flags;
		uint32_t region, open_flags, buf_flags, ranges;
		uint64_t offset, length;
	} buf = { sizeof(buf), VFIO_DEVICE_FEATURE_GET | DMA_BUF, 0, O_RDWR, 0, 1, 0, PAGE };
	uint16_t command = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	uint64_t iova = IOVA;
	void *bar;

	CHECK(pwrite(o.device, &command, 2, (off_t)(CONFIG + PCI_COMMAND)) == 2);
	o.event = eventfd(0, EFD_NONBLOCK);
	CHECK(!vfio_set_irqs(o.device, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
			     VFIO_PCI_MSIX_IRQ_INDEX, 0, 1, &o.event));
	o.dmabuf = ioctl(o.device, VFIO_DEVICE_FEATURE, &buf);
	CHECK(o.dmabuf >= 0);
	bar = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, o.device, (off_t)REGS);
	CHECK(bar != MAP_FAILED);
	o.bar = bar;
	CHECK(pwrite(o.device, &iova, 8, (off_t)(REGS + TD_DMA_DST)) == 8);
	CHECK(put32(o.device, TD_DMA_LEN, 4));
}

static void new_memory(void)
{
	memset(&o, 0xff, sizeof(o));
	o.mem = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(o.mem != MAP_FAILED);
}

static void open_by_group(void)
{
	struct vfio v;

	new_memory();
	v = vfio_open();
	CHECK(v.device >= 0);
	o.container = v.container;
	o.group = v.group;
	o.device = v.device;
	CHECK(!vfio_dma_map(o.container, o.mem, IOVA, PAGE,
			    VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE));
	use_device();
}

static void open_by_cdev(void)
{
	uint32_t bind[4] = { 16 }, ioas[3] = { 12 }, attach[3] = { 12 }, fault[4] = { 16 };
	struct {
		uint32_t size, flags, ioas, reserved;
		uint64_t va, length, iova;
	} map = { .size = sizeof(map), .flags = 7, .length = PAGE, .iova = IOVA };

	new_memory();
	o.container = open(IOMMU, O_RDWR);
	o.device = open(CDEV, O_RDWR);
	bind[2] = (uint32_t)o.container;
	CHECK(!ioctl(o.device, BIND, bind));
	CHECK(!ioctl(o.container, IOAS_ALLOC, ioas));
	map.ioas = attach[2] = ioas[2];
	map.va = (uintptr_t)o.mem;
	CHECK(!ioctl(o.container, IOAS_MAP, &map));
	CHECK(!ioctl(o.device, ATTACH, attach));
	CHECK(!ioctl(o.container, FAULT, fault));
	o.fault = (int)fault[3];
	use_device();
}

/* The device works for who has it, with interrupts and DMA, also to memory that has gone. */
static void check(void)
{
	static uint32_t pattern;
	uint64_t n;
	int g;

	pattern++;
	if (o.bar) {
		CHECK(o.bar[TD_ID / 4] == TD_ID_VALUE);
		o.bar[TD_DMA_PATTERN / 4] = pattern;
		o.bar[TD_DMA_CMD / 4] = TD_OP_FILL;
		CHECK(o.bar[TD_DMA_STATUS / 4] == TD_DMA_OK);
		CHECK(!o.mem || *o.mem == pattern);
		o.bar[TD_MSI / 4] = 0;
	} else if (o.device >= 0) {
		CHECK(put32(o.device, TD_DMA_PATTERN, pattern));
		CHECK(put32(o.device, TD_DMA_CMD, TD_OP_FILL));
		CHECK(get32(o.device, TD_DMA_STATUS) == TD_DMA_OK);
		CHECK(!o.mem || *o.mem == pattern);
		CHECK(put32(o.device, TD_MSI, 0));
	}
	if (o.event >= 0 && (o.bar || o.device >= 0))
		CHECK(read(o.event, &n, 8) == 8);
	if (o.group >= 0 || o.device >= 0 || o.bar) {
		FAILS(open_group(), EBUSY);
		return;
	}
	g = open_group();
	CHECK(g >= 0);
	close(g);
}

static unsigned open_descriptors(void)
{
	unsigned n = 0;
	DIR *d = opendir("/proc/self/fd");

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n;
}

#define THINGS 6

static void run_order(void (*open_all)(void), void (*const close_one[THINGS])(void),
		      const unsigned order[THINGS])
{
	open_all();
	check();
	for (unsigned i = 0; i < THINGS; i++) {
		close_one[order[i]]();
		check();
	}
	/* what this set does not close */
	shut_dmabuf();
	shut_event();
	shut_fault();
}

/* All permutations of @order from @at on. */
static void each_order(void (*open_all)(void), void (*const close_one[THINGS])(void),
		       unsigned order[THINGS], unsigned at)
{
	if (at == THINGS)
		run_order(open_all, close_one, order);
	for (unsigned i = at; i < THINGS && !case_failed; i++) {
		unsigned t = order[at];

		order[at] = order[i];
		order[i] = t;
		each_order(open_all, close_one, order, at + 1);
		order[i] = order[at];
		order[at] = t;
	}
}

static void all_orders(void (*open_all)(void), void (*const close_one[THINGS])(void))
{
	unsigned order[THINGS] = { 0, 1, 2, 3, 4, 5 }, before;

	/* once before: what the library opens once, and keeps */
	run_order(open_all, close_one, order);
	before = open_descriptors();
	each_order(open_all, close_one, order, 0);
	CHECK(open_descriptors() == before);
}

static void by_group(void)
{
	static void (*const things[THINGS])(void) = { shut_container, shut_group,   shut_device,
						      unmap_bar,      unmap_memory, shut_event };

	all_orders(open_by_group, things);
}

static void by_cdev(void)
{
	static void (*const things[THINGS])(void) = { shut_container, shut_device, unmap_bar,
						      unmap_memory,   shut_dmabuf, shut_fault };

	all_orders(open_by_cdev, things);
}

int main(void)
{
	RUN(by_group);
	RUN(by_cdev);
	return any_failed;
}
