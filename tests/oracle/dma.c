/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/oracle/dma.c: what the device itself reads and writes, with edu's DMA engine: its buffer of
 * 4096 bytes at 0x40000, registers from 0x80 (QEMU docs/specs/edu), addresses of 28 bits. Half of
 * the buffer at most: QEMU 7.2 ends itself at a transfer that reaches the buffer's end.
 */
#include <time.h>

#include "oracle.h"

#define SRC    0x80
#define DST    0x88
#define CNT    0x90
#define CMD    0x98
#define BUFFER 0x40000
#define START  1
#define TO_RAM 2
#define IRQ    4

#define R VFIO_DMA_MAP_FLAG_READ
#define W VFIO_DMA_MAP_FLAG_WRITE

static bool done(int d)
{
	for (int i = 0; i < 300; i++) {
		if (!(bar_read(d, 0, CMD) & START))
			return true;
		usleep(10000);
	}
	return false;
}

static void transfer(int d, uint32_t src, uint32_t dst, uint32_t n, uint32_t cmd)
{
	bar_write(d, 0, SRC, src);
	bar_write(d, 0, DST, dst);
	bar_write(d, 0, CNT, n);
	bar_write(d, 0, CMD, START | cmd);
}

void test_dma(void)
{
	struct setup s = set_up(&edu, NULL, VFIO_TYPE1v2_IOMMU);
	int c = s.container, d = open_device(&s, &edu), e = eventfd(0, EFD_NONBLOCK);
	uint8_t *p = pages(4), *moved;

	saw(vfio_dma_map(c, p, 0x100000, 2 * 4096, R | W), "dma.map");
	saw(vfio_dma_map(c, p + 2 * 4096, 0x200000, 4096, R), "dma.map for reading");
	saw(vfio_dma_map(c, p + 3 * 4096, 0x300000, 4096, W), "dma.map for writing");
	cfg_write(d, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	MUST(set_eventfd(d, VFIO_PCI_MSI_IRQ_INDEX, 0, e) == 0);
	for (int i = 0; i < 2048; i++)
		p[i] = (uint8_t)(i * 7 + 1);
	transfer(d, 0x100000, BUFFER, 2048, 0);
	saw(done(d), "dma.to the device");
	transfer(d, BUFFER, 0x101000, 2048, TO_RAM | IRQ);
	saw(done(d), "dma.from the device");
	saw(eventfd_wait(e, 2000), "dma.interrupt when done");
	saw(memcmp(p, p + 4096, 2048), "dma.there and back");
	/* an odd place and length, across a page */
	memset(p + 4096, 0, 4096);
	transfer(d, BUFFER + 5, 0x100ff0, 100, TO_RAM);
	saw(done(d), "dma.across a page");
	saw(p[0xff0] == (uint8_t)(5 * 7 + 1) && p[0x1053] == (uint8_t)(104 * 7 + 1),
	    "dma.across a page: bytes");
	saw(p[0x1054], "dma.across a page: no more");

	/* rights */
	transfer(d, 0x200000, BUFFER, 16, 0);
	saw(done(d), "dma.read of read-only memory");
	transfer(d, BUFFER, 0x200000, 16, TO_RAM);
	saw(done(d), "dma.write to read-only memory");
	saw(p[2 * 4096], "dma.write to read-only memory: byte");
	p[0] = 0xa5;
	transfer(d, 0x100000, BUFFER, 2048, 0);
	saw(done(d), "dma.reload");
	transfer(d, BUFFER, 0x300000, 16, TO_RAM);
	saw(done(d), "dma.write to write-only memory");
	saw(p[3 * 4096], "dma.write to write-only memory: byte");

	/* nothing is mapped there: nobody is harmed, the device goes on */
	transfer(d, BUFFER, 0x400000, 16, TO_RAM | IRQ);
	saw(done(d), "dma.write to nothing");
	saw(eventfd_wait(e, 2000), "dma.write to nothing: interrupt");
	saw(vfio_dma_unmap(c, 0x101000, 4096, 0), "dma.unmap a part");
	saw(vfio_dma_unmap(c, 0x300000, 4096, 0), "dma.unmap the write-only page");
	p[3 * 4096] = 0;
	transfer(d, BUFFER, 0x300000, 16, TO_RAM);
	saw(done(d), "dma.write after unmap");
	saw(p[3 * 4096], "dma.write after unmap: byte");

	/*
	 * pages stay the device's, whatever becomes of the program's mapping: what was written is
	 * seen after mapping them again
	 */
	MUST((moved = mremap(p, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED,
			     mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))) !=
	     MAP_FAILED);
	transfer(d, BUFFER, 0x100000, 1, TO_RAM);
	saw(done(d), "dma.write after the memory was moved");
	saw(moved[0], "dma.write after the memory was moved: byte");
	moved[0] = 0;
	transfer(d, BUFFER, 0x100000, 1, TO_RAM);
	saw(done(d), "dma.again after the memory was moved");
	saw(moved[0], "dma.again after the memory was moved: byte");
	MUST(munmap(p + 2 * 4096, 4096) == 0);
	transfer(d, 0x200000, BUFFER, 16, 0);
	saw(done(d), "dma.read after the memory was unmapped");
	saw_hex(bar_read(d, 0, 0), "dma.the device is alive");

	/* bus master */
	cfg_write(d, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	moved[0] = 0;
	transfer(d, BUFFER, 0x100000, 1, TO_RAM);
	saw(done(d), "dma.write without bus master");
	saw(moved[0], "dma.write without bus master: byte");
	close(d);
	saw(vfio_dma_unmap(c, 0, 0, VFIO_DMA_UNMAP_FLAG_ALL), "dma.unmap all");
}
