/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/host/native.c: `native SPEC` drives QEMU's edu device, or uvfio's model of it, by uvfio.h,
 * a line for each answer. SPEC: "edu", or the address of a real one; what the two say is compared
 * (tests/host.sh).
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "uvfio/uvfio.h"
#include "lib/saw.h"

/* docs/specs/edu.rst of QEMU */
#define EDU_ID	      0x00
#define EDU_LIVE      0x04
#define EDU_FACTORIAL 0x08
#define EDU_STATUS    0x20
#define EDU_BUSY      0x01
#define EDU_IRQ	      0x24
#define EDU_RAISE     0x60
#define EDU_ACK	      0x64
#define EDU_DMA_SRC   0x80
#define EDU_DMA_DST   0x88
#define EDU_DMA_LEN   0x90
#define EDU_DMA_CMD   0x98
#define EDU_BUFFER    0x40000
#define DMA_START     1u
#define DMA_TO_RAM    2u

#define BYTES 4096u

static struct uvfio *u;
static struct uvfio_device *dev;

static int open_it(const char *spec)
{
	return strchr(spec, ':') ? uvfio_open_host(u, spec, &dev) : uvfio_open_model(u, spec, &dev);
}

/* As saw(), of a function that returns -errno. */
static void saw_rc(long rc, const char *what)
{
	errno = rc < 0 ? (int)-rc : 0;
	saw(rc < 0 ? -1 : rc, "%s", what);
}

static int wait_for(uint32_t reg, uint32_t mask, unsigned ms)
{
	for (; ms; ms--) {
		if (!(uvfio_read32(dev, 0, reg) & mask))
			return 0;
		usleep(1000);
	}
	return -1;
}

/* Return how often @fd was signalled; waits for the first time, at most @ms. */
static long signals(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	eventfd_t v = 0;

	if (poll(&p, 1, ms) == 1)
		eventfd_read(fd, &v);
	return (long)v;
}

static void registers(void)
{
	volatile uint32_t *mapped = NULL;
	int rc;

	saw_hex(uvfio_read32(dev, UVFIO_REGION_CONFIG, 0), "ids");
	saw_rc(uvfio_region_size(dev, 0), "size of BAR0");
	saw_rc(uvfio_region_size(dev, 2), "size of BAR2");
	saw_hex(uvfio_read32(dev, 0, EDU_ID), "id");
	saw_rc(uvfio_write32(dev, 0, EDU_LIVE, 0x12345678), "write");
	saw_hex(uvfio_read32(dev, 0, EDU_LIVE), "inverted");
	uvfio_write32(dev, 0, EDU_FACTORIAL, 10);
	saw(wait_for(EDU_STATUS, EDU_BUSY, 10000), "it computes");
	saw_hex(uvfio_read32(dev, 0, EDU_FACTORIAL), "factorial of 10");
	saw_hex(uvfio_read32(dev, 0, 0x200000), "behind the end");
	/* not compared: a model's registers are no memory */
	rc = uvfio_bar_map(dev, 0, 0, 4096, (volatile void **)&mapped);
	saw_rc(rc, "- map");
	if (rc)
		return;
	saw_hex(mapped[EDU_ID / 4], "- id by a load");
	mapped[EDU_LIVE / 4] = 0x0f0f0f0f;
	saw_hex(mapped[EDU_LIVE / 4], "- inverted by load and store");
	saw_rc(uvfio_bar_map(dev, 0, 4096, 1 << 20, (volatile void **)&mapped),
	       "- map over the end");
}

/* Have the device copy @len bytes from @src to @dst. */
static void copy(uint64_t src, uint64_t dst, uint32_t len, uint32_t how, const char *what)
{
	uvfio_write64(dev, 0, EDU_DMA_SRC, src);
	uvfio_write64(dev, 0, EDU_DMA_DST, dst);
	uvfio_write64(dev, 0, EDU_DMA_LEN, len);
	uvfio_write64(dev, 0, EDU_DMA_CMD, DMA_START | how);
	saw(wait_for(EDU_DMA_CMD, DMA_START, 10000), "%s", what);
}

static void dma(void)
{
	uint64_t from_iova, to_iova;
	char *from = uvfio_dma_alloc(u, BYTES, &from_iova);
	char *to = uvfio_dma_alloc(u, BYTES, &to_iova);

	saw(!from || !to, "memory");
	if (!from || !to)
		return;
	for (unsigned i = 0; i < BYTES; i++)
		from[i] = (char)(i * 7);
	copy(from_iova, EDU_BUFFER, BYTES, 0, "dma without bus mastering");
	saw_rc(uvfio_bus_master(dev, true), "bus master");
	copy(from_iova, EDU_BUFFER, BYTES, 0, "dma to the device");
	copy(EDU_BUFFER, to_iova, BYTES, DMA_TO_RAM, "dma from the device");
	saw(memcmp(from, to, BYTES) != 0, "the same");
	/* what is taken away is not reached any more */
	memset(to, 0, BYTES);
	saw_rc(uvfio_dma_unmap(u, to_iova, BYTES), "unmap");
	copy(EDU_BUFFER, to_iova, BYTES, DMA_TO_RAM, "dma to nowhere");
	saw(to[1], "untouched");
	saw_rc(uvfio_dma_map(u, to_iova, to, BYTES, UVFIO_DMA_WRITE), "map");
	copy(EDU_BUFFER, to_iova, BYTES, DMA_TO_RAM, "dma again");
	saw(memcmp(from, to, BYTES) != 0, "the same again");
	saw_rc(uvfio_dma_map(u, to_iova, to, BYTES, UVFIO_DMA_WRITE), "map twice");
	saw_rc(uvfio_dma_map(u, 0xfee00000, to, BYTES, UVFIO_DMA_WRITE), "map over messages");
	saw_rc(uvfio_dma_map(u, 1ull << 50, to, BYTES, UVFIO_DMA_WRITE), "map beyond");
	uvfio_dma_free(u, from, BYTES, from_iova);
}

static void interrupts(enum uvfio_irq_index index, const char *name)
{
	int fd = eventfd(0, EFD_NONBLOCK);
	bool intx = index == UVFIO_INDEX_INTX;

	saw_as(name, "%d vectors", uvfio_irq_count(dev, index));
	saw_rc(uvfio_irq_enable(dev, index, 0, 1, &fd), "enable");
	for (unsigned i = 1; i < 4; i++) {
		uvfio_write32(dev, 0, EDU_RAISE, i);
		saw(signals(fd, 10000), "signalled");
		saw(signals(fd, 0), "once");
		saw_hex(uvfio_read32(dev, 0, EDU_IRQ), "status");
		uvfio_write32(dev, 0, EDU_ACK, i);
		if (intx)
			saw_rc(uvfio_intx_unmask(dev), "unmask");
	}
	saw_rc(uvfio_irq_enable(dev, index, 9, 1, &fd), "enable what is not there");
	saw_rc(uvfio_irq_disable(dev, index), "disable");
	uvfio_write32(dev, 0, EDU_RAISE, 1);
	saw(signals(fd, 50), "silent");
	uvfio_write32(dev, 0, EDU_ACK, 1);
	close(fd);
}

int main(int argc, char **argv)
{
	struct uvfio_device *again;
	int rc;

	u = uvfio_new();
	if (argc < 2 || !u)
		return 2;
	uvfio_log_to(2, 1);
	rc = open_it(argv[1]);
	saw_rc(rc, "open");
	if (rc) {
		fprintf(stderr, "%s\n", uvfio_strerror(u));
		return 1;
	}
	again = dev;
	saw_rc(uvfio_open(u, uvfio_device_address(dev), &again), "open twice");
	registers();
	dma();
	interrupts(UVFIO_INDEX_MSI, "msi");
	interrupts(UVFIO_INDEX_INTX, "intx");
	saw_rc(uvfio_bus_master(dev, false), "no bus master");
	uvfio_close(dev);
	saw_rc(uvfio_open(u, "0000:01:00.0", &dev), "open again");
	saw_hex(uvfio_read32(dev, 0, EDU_ID), "id");
	saw_hex(uvfio_read32(dev, UVFIO_REGION_CONFIG, PCI_COMMAND) & PCI_COMMAND_MASTER,
		"bus master of the last user");
	uvfio_free(u);
	return 0;
}
