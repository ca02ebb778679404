/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/guest_vfio_user/device.c: drives a testdev or an edu that its guest has from a server of
 * vfio-user, by the guest's own vfio-pci: of libc and <linux/vfio.h> alone.
 *
 *	guest_vfio_user_device testdev ADDRESS [messages]
 *	guest_vfio_user_device edu ADDRESS
 *	guest_vfio_user_device posted RESOURCE FIFO
 *
 * messages: the server reaches the guest's memory by messages alone. posted: takes commands from
 * FIFO, a character each: w fills BAR0 of a testdev, which is the file RESOURCE of sysfs, by stores
 * of 1, 2, 4 and 8 bytes, twelve times, and reads nothing; c looks whether all is there as stored
 * last; e ends.
 */
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/cases.h"
#include "lib/vfio.h"
#include "models/testdev/regs.h"

#define RAM_SIZE   (4u << 20)
#define RAM_IOVA   0x1000000ull
#define BAR0_SIZE  65536u
#define VECTORS	   64u
#define MANY	   (3u << 20) /* more than one message has */
#define NOT_MAPPED 0x8000000ull

static struct vfio dev;
static char *ram, *bar0, *bar2;
static bool messages;

static void die(const char *what)
{
	printf("FAIL %s: %s\n", what, strerror(errno));
	exit(1);
}

static int region_read(unsigned index, uint64_t offset, void *p, size_t len)
{
	off_t at = (off_t)(VFIO_REGION(index) + offset);

	return pread(dev.device, p, len, at) == (ssize_t)len ? 0 : -1;
}
static int region_write(unsigned index, uint64_t offset, const void *p, size_t len)
{
	off_t at = (off_t)(VFIO_REGION(index) + offset);

	return pwrite(dev.device, p, len, at) == (ssize_t)len ? 0 : -1;
}

#define REG(bits, offset) (*(volatile uint##bits##_t *)(bar2 + (offset)))

static void set_command(uint16_t set, uint16_t clear)
{
	uint16_t v = 0;

	region_read(VFIO_PCI_CONFIG_REGION_INDEX, PCI_COMMAND, &v, 2);
	v = (uint16_t)((v | set) & ~clear);
	region_write(VFIO_PCI_CONFIG_REGION_INDEX, PCI_COMMAND, &v, 2);
}

static char *map_bar(unsigned index, size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, dev.device,
		       (off_t)VFIO_REGION(index));

	if (p == MAP_FAILED)
		die("mmap of a BAR");
	return p;
}

static void open_device(const char *address)
{
	char group[128];

	if (vfio_group_path(address, group, sizeof(group)) ||
	    vfio_open_device(&dev, group, address))
		die(dev.failed ? dev.failed : "no group");
	set_command(PCI_COMMAND_MEMORY | PCI_COMMAND_IO | PCI_COMMAND_MASTER, 0);
}

static void map_ram(void)
{
	ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (ram == MAP_FAILED || vfio_dma_map(dev.container, ram, RAM_IOVA, RAM_SIZE,
					      VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE))
		die("memory for DMA");
}

static void fill(void *p, size_t len, uint32_t x)
{
	for (size_t i = 0; i < len; i++) {
		x = x * 1664525u + 1013904223u;
		((uint8_t *)p)[i] = (uint8_t)(x >> 24);
	}
}

/* ---- testdev ---- */

static void registers(void)
{
	uint8_t a[64], b[64];

	CHECK(REG(32, TD_ID) == TD_ID_VALUE);
	REG(8, TD_SCRATCH8) = 0x5a;
	REG(16, TD_SCRATCH16) = 0x1234;
	REG(32, TD_SCRATCH32) = 0xdeadbeef;
	REG(64, TD_SCRATCH64) = 0x0123456789abcdefull;
	CHECK(REG(8, TD_SCRATCH8) == 0x5a);
	CHECK(REG(16, TD_SCRATCH16) == 0x1234);
	CHECK(REG(32, TD_SCRATCH32) == 0xdeadbeef);
	CHECK(REG(64, TD_SCRATCH64) == 0x0123456789abcdefull);
	fill(a, sizeof(a), 1);
	for (unsigned bar = 3; bar <= 4; bar++) { /* I/O, and memory smaller than a page */
		CHECK(!region_write(bar, 0, a, sizeof(a)));
		CHECK(!region_read(bar, 0, b, sizeof(b)));
		CHECK(!memcmp(a, b, sizeof(a)));
	}
	CHECK(!region_read(VFIO_PCI_ROM_REGION_INDEX, 0, b, 2));
	CHECK(b[0] == 0x55 && b[1] == 0xaa);
}

/* A read that the device refuses is ones, and what is written is lost: the guest goes on. */
static void refused(void)
{
	CHECK(REG(32, TD_FAIL) == 0xffffffff);
	REG(32, TD_FAIL) = 1;
	CHECK(REG(16, TD_ONLY4) == 0xffff);
	CHECK(REG(32, TD_ID) == TD_ID_VALUE);
}

static void intx(void)
{
	int fd = eventfd(0, EFD_NONBLOCK);

	CHECK(!vfio_set_irqs(dev.device, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
			     VFIO_PCI_INTX_IRQ_INDEX, 0, 1, &fd));
	CHECK(REG(32, TD_IRQ_MODE) == 0);
	REG(32, TD_INTX) = 1;
	CHECK(eventfd_wait(fd, 3000) == 1);
	/* it is masked until somebody ends it, and comes again while the line is up */
	CHECK(eventfd_wait(fd, 50) == 0);
	for (int i = 0; i < 3; i++) {
		CHECK(!vfio_set_irqs(dev.device,
				     VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_UNMASK,
				     VFIO_PCI_INTX_IRQ_INDEX, 0, 1, NULL));
		CHECK(eventfd_wait(fd, 3000) == 1);
	}
	REG(32, TD_INTX) = 0;
	CHECK(REG(32, TD_INTX) == 0);
	CHECK(!vfio_set_irqs(dev.device, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_UNMASK,
			     VFIO_PCI_INTX_IRQ_INDEX, 0, 1, NULL));
	CHECK(eventfd_wait(fd, 50) == 0);
	CHECK(!vfio_set_irqs(dev.device, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER,
			     VFIO_PCI_INTX_IRQ_INDEX, 0, 0, NULL));
	close(fd);
}

static void vectors(unsigned index, unsigned n, uint32_t mode)
{
	int fd[VECTORS];

	for (unsigned i = 0; i < n; i++)
		fd[i] = eventfd(0, EFD_NONBLOCK);
	CHECK(!vfio_set_irqs(dev.device, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
			     index, 0, n, fd));
	CHECK(REG(32, TD_IRQ_MODE) == mode);
	for (unsigned i = 0; i < n; i++) {
		REG(32, TD_MSI) = i;
		CHECK(eventfd_wait(fd[i], 3000) == 1);
	}
	/* all at once, and each comes once */
	REG(32, TD_MSI_BURST) = n << 16;
	for (unsigned i = 0; i < n; i++)
		CHECK(eventfd_wait(fd[i], 3000) == 1);
	/* from another thread of the device's */
	REG(32, TD_TIMER_VECTOR) = n - 1;
	REG(32, TD_TIMER) = 1000;
	CHECK(eventfd_wait(fd[n - 1], 3000) == 1);
	CHECK(eventfd_wait(fd[0], 20) == 0);
	CHECK(!vfio_set_irqs(dev.device, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER,
			     index, 0, 0, NULL));
	CHECK(REG(32, TD_IRQ_MODE) == 0);
	for (unsigned i = 0; i < n; i++)
		close(fd[i]);
}
static void msi(void)
{
	/* QEMU gives its guest one message, and so does Linux's vfio-pci of 6.1 to most machines */
	vectors(VFIO_PCI_MSI_IRQ_INDEX, 1, 1);
}
static void msix(void)
{
	vectors(VFIO_PCI_MSIX_IRQ_INDEX, VECTORS, 2);
}

/*
 * By messages the engine works on a thread of its own: QEMU answers no request for memory while it
 * waits for a register, so one that waits for the engine would end with QEMU's patience.
 */
static uint32_t engine(uint32_t command, uint64_t src, uint64_t dst, uint64_t len)
{
	uint32_t status;

	REG(64, TD_DMA_SRC) = src;
	REG(64, TD_DMA_DST) = dst;
	REG(64, TD_DMA_LEN) = len;
	REG(32, TD_DMA_CMD) = command | (messages ? TD_DMA_ASYNC : 0);
	for (int i = 0; (status = REG(32, TD_DMA_STATUS)) == TD_DMA_BUSY && i < 3000; i++)
		usleep(1000);
	return status;
}

static void dma_with(uint32_t how)
{
	static const uint32_t lengths[] = { 1, 7, 64, 4095, 4096, 4097, 40000, BAR0_SIZE };

	for (unsigned i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		uint32_t len = lengths[i], from = 3 * i, to = 200001 + i;

		fill(ram + from, len, i);
		memset(ram + to - 1, 0x77, len + 2);
		CHECK(engine(TD_OP_LOAD | how, RAM_IOVA + from, 0, len) == TD_DMA_OK);
		CHECK(engine(TD_OP_STORE | how, 0, RAM_IOVA + to, len) == TD_DMA_OK);
		CHECK(!memcmp(ram + from, ram + to, len));
		CHECK(ram[to - 1] == 0x77 && ram[to + len] == 0x77);
	}
}
static void dma(void)
{
	uint32_t half = RAM_SIZE / 2;

	dma_with(0);
	fill(ram, half, 9);
	memset(ram + half, 0, half);
	/* more than a message, and not at the start of a page */
	CHECK(engine(TD_OP_COPY, RAM_IOVA + 3, RAM_IOVA + half + 5, half - 9) == TD_DMA_OK);
	CHECK(!memcmp(ram + 3, ram + half + 5, half - 9));
	CHECK(engine(TD_OP_COMPARE, RAM_IOVA + 3, RAM_IOVA + half + 5, half - 9) == TD_DMA_OK);
	ram[half + 5 + 1000] ^= 1;
	CHECK(engine(TD_OP_COMPARE, RAM_IOVA + 3, RAM_IOVA + half + 5, half - 9) ==
	      TD_DMA_MISMATCH);
	REG(32, TD_DMA_PATTERN) = 0x600dcafe;
	CHECK(engine(TD_OP_FILL, 0, RAM_IOVA, MANY) == TD_DMA_OK);
	CHECK(*(uint32_t *)ram == 0x600dcafe && *(uint32_t *)(ram + MANY - 4) == 0x600dcafe);
	CHECK(engine(TD_OP_CHECK, RAM_IOVA, 0, MANY) == TD_DMA_OK);
}
/* By pointers to memory; where there are none, since it comes by messages, testdev copies. */
static void dma_direct(void)
{
	dma_with(TD_DMA_DIRECT);
}
static void dma_refused(void)
{
	CHECK(engine(TD_OP_LOAD, NOT_MAPPED, 0, 64) == TD_DMA_FAULT);
	CHECK(REG(64, TD_DMA_ADDR) == NOT_MAPPED);
	/* over the end of what is mapped */
	CHECK(engine(TD_OP_STORE, 0, RAM_IOVA + RAM_SIZE - 4096, 8192) == TD_DMA_FAULT);
	CHECK(REG(64, TD_DMA_ADDR) == RAM_IOVA + RAM_SIZE);
	set_command(0, PCI_COMMAND_MASTER);
	CHECK(engine(TD_OP_LOAD, RAM_IOVA, 0, 64) == TD_DMA_FAULT);
	set_command(PCI_COMMAND_MASTER, 0);
	CHECK(engine(TD_OP_LOAD, RAM_IOVA, 0, 64) == TD_DMA_OK);
	/* mappings that come and go, one of them for reading alone */
	CHECK(vfio_dma_unmap(dev.container, RAM_IOVA, RAM_SIZE, 0) == RAM_SIZE);
	CHECK(engine(TD_OP_LOAD, RAM_IOVA, 0, 64) == TD_DMA_FAULT);
	CHECK(!vfio_dma_map(dev.container, ram, RAM_IOVA, 4096, VFIO_DMA_MAP_FLAG_READ));
	CHECK(engine(TD_OP_LOAD, RAM_IOVA, 0, 64) == TD_DMA_OK);
	CHECK(engine(TD_OP_STORE, 0, RAM_IOVA, 64) == TD_DMA_FAULT);
	CHECK(vfio_dma_unmap(dev.container, RAM_IOVA, 4096, 0) == 4096);
	for (uint64_t i = 0; i < 200; i++)
		CHECK(!vfio_dma_map(dev.container, ram + i * 4096, RAM_IOVA + i * 8192, 4096,
				    VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE));
	for (uint64_t i = 0; i < 200; i++) {
		CHECK(engine(TD_OP_STORE, 0, RAM_IOVA + i * 8192, 4096) == TD_DMA_OK);
		CHECK(engine(TD_OP_STORE, 0, RAM_IOVA + i * 8192 + 4096, 1) == TD_DMA_FAULT);
	}
	for (uint64_t i = 0; i < 200; i++)
		CHECK(vfio_dma_unmap(dev.container, RAM_IOVA + i * 8192, 4096, 0) == 4096);
	CHECK(!vfio_dma_map(dev.container, ram, RAM_IOVA, RAM_SIZE,
			    VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE));
}
static void dma_interrupt(void)
{
	int fd[2] = { eventfd(0, EFD_NONBLOCK), eventfd(0, EFD_NONBLOCK) };

	CHECK(!vfio_set_irqs(dev.device, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
			     VFIO_PCI_MSIX_IRQ_INDEX, 0, 2, fd));
	REG(32, TD_DMA_VECTOR) = 1;
	for (int i = 0; i < 20; i++) {
		fill(ram, 4096, 100 + (uint32_t)i);
		memset(ram + 4096, 0, 4096);
		REG(64, TD_DMA_SRC) = RAM_IOVA;
		REG(64, TD_DMA_DST) = RAM_IOVA + 4096;
		REG(64, TD_DMA_LEN) = 4096;
		REG(32, TD_DMA_CMD) = TD_OP_COPY | TD_DMA_ASYNC | TD_DMA_IRQ;
		CHECK(eventfd_wait(fd[1], 3000) == 1);
		/* what it announces is there already */
		CHECK(!memcmp(ram, ram + 4096, 4096));
	}
	CHECK(!vfio_set_irqs(dev.device, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER,
			     VFIO_PCI_MSIX_IRQ_INDEX, 0, 0, NULL));
}

static void reset(void)
{
	uint32_t resets = REG(32, TD_RESETS);

	REG(32, TD_SCRATCH32) = 0x1111;
	CHECK(!ioctl(dev.device, VFIO_DEVICE_RESET));
	set_command(PCI_COMMAND_MEMORY | PCI_COMMAND_IO | PCI_COMMAND_MASTER, 0);
	CHECK(REG(32, TD_SCRATCH32) == 0);
	CHECK(REG(32, TD_RESETS) > resets);
}

/* ---- posted writes ---- */

#define STORED 8192u

static void store_all(uint32_t seed)
{
	static char words[STORED];

	fill(words, sizeof(words), seed);
	for (unsigned i = 0; i < sizeof(words);) {
		unsigned width = i & 7 ? 1 : 1u << (i / 8 % 4);

		switch (width) {
		case 1:
			*(volatile uint8_t *)(bar0 + i) = *(uint8_t *)(words + i);
			break;
		case 2:
			*(volatile uint16_t *)(bar0 + i) = *(uint16_t *)(words + i);
			break;
		case 4:
			*(volatile uint32_t *)(bar0 + i) = *(uint32_t *)(words + i);
			break;
		default:
			*(volatile uint64_t *)(bar0 + i) = *(uint64_t *)(words + i);
		}
		i += width;
	}
}
static bool has_all(uint32_t seed)
{
	static char words[STORED];

	fill(words, sizeof(words), seed);
	for (unsigned i = 0; i < sizeof(words); i += 8)
		if (*(volatile uint64_t *)(bar0 + i) != *(uint64_t *)(words + i))
			return false;
	return true;
}

static void posted(const char *resource, const char *fifo)
{
	int bar = open(resource, O_RDWR), fd = open(fifo, O_RDWR);
	uint32_t seed = 0;
	char c;

	bar0 = mmap(NULL, BAR0_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, bar, 0);
	if (bar0 == MAP_FAILED || fd < 0)
		die(resource);
	puts("ready");
	fflush(stdout);
	while (read(fd, &c, 1) == 1 && c != 'e') {
		if (c == 'w') {
			for (unsigned i = 0; i < 12; i++)
				store_all(++seed);
			puts("stored");
		} else if (c == 'c') {
			puts(has_all(seed) ? "all is there" : "not all is there");
		}
		fflush(stdout);
	}
	close(fd);
}

/* ---- edu ---- */

static char *edu;
#define EDU(bits, offset) (*(volatile uint##bits##_t *)(edu + (offset)))

static void edu_registers(void)
{
	CHECK(EDU(32, 0) == 0x010000ed);
	EDU(32, 4) = 0x12345678;
	CHECK(EDU(32, 4) == ~0x12345678u);
}
static void edu_work(unsigned index)
{
	int fd = eventfd(0, EFD_NONBLOCK);

	CHECK(!vfio_set_irqs(dev.device, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
			     index, 0, 1, &fd));
	EDU(32, 0x20) = 0x80;
	EDU(32, 0x08) = 10;
	CHECK(eventfd_wait(fd, 3000) == 1);
	CHECK(EDU(32, 0x24) == 1 && EDU(32, 0x08) == 3628800);
	EDU(32, 0x64) = 1;
	fill(ram, 4096, index);
	memset(ram + 4096, 0, 4096);
	for (int i = 0; i < 2; i++) { /* to the device, and back */
		if (index == VFIO_PCI_INTX_IRQ_INDEX)
			CHECK(!vfio_set_irqs(dev.device,
					     VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_UNMASK,
					     index, 0, 1, NULL));
		EDU(64, 0x80) = i ? 0x40000 : RAM_IOVA;
		EDU(64, 0x88) = i ? RAM_IOVA + 4096 : 0x40000;
		EDU(64, 0x90) = 4096;
		EDU(64, 0x98) = 1 | (i ? 2 : 0) | 4;
		CHECK(eventfd_wait(fd, 3000) == 1);
		CHECK(EDU(32, 0x24) == 0x100);
		EDU(32, 0x64) = 0x100;
		CHECK(EDU(32, 0x24) == 0);
	}
	CHECK(!memcmp(ram, ram + 4096, 4096));
	CHECK(!vfio_set_irqs(dev.device, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER,
			     index, 0, 0, NULL));
	close(fd);
}
static void edu_intx(void)
{
	edu_work(VFIO_PCI_INTX_IRQ_INDEX);
}
static void edu_msi(void)
{
	edu_work(VFIO_PCI_MSI_IRQ_INDEX);
}

int main(int argc, char **argv)
{
	const char *what = argc >= 3 ? argv[1] : "";

	if (!strcmp(what, "posted") && argc > 3) {
		posted(argv[2], argv[3]);
		return 0;
	}
	if (argc < 3)
		return 2;
	open_device(argv[2]);
	if (!strcmp(what, "testdev")) {
		messages = argc > 3 && !strcmp(argv[3], "messages");
		map_ram();
		bar0 = map_bar(0, BAR0_SIZE);
		bar2 = map_bar(2, 4096);
		RUN(registers);
		RUN(refused);
		RUN(intx);
		RUN(msi);
		RUN(msix);
		RUN(dma);
		RUN(dma_direct);
		RUN(dma_refused);
		RUN(dma_interrupt);
		RUN(reset);
		RUN(registers);
	} else if (!strcmp(what, "edu")) {
		map_ram();
		edu = map_bar(0, 4096);
		RUN(edu_registers);
		RUN(edu_intx);
		RUN(edu_msi);
	} else {
		return 2;
	}
	return any_failed;
}
