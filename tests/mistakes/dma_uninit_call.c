/* SPDX-License-Identifier: BSD-3-Clause */
/* device: testdev; kind: dma-uninit; asked: dma-uninit; by: gcc -O0; under: valgrind -q;
 * says: byte 12 of them
 *
 * A descriptor of 16 bytes, of which the program fills 12, under valgrind. Registers are written by
 * calls, as valgrind lets no page be trapped by itself. */
#include "mistakes.h"

static void store(unsigned reg, uint64_t value, size_t size)
{
	MUST(pwrite(device, &value, size, (off_t)region(VFIO_PCI_BAR2_REGION_INDEX) + reg) ==
	     (ssize_t)size);
}

int main(void)
{
	uint32_t op = TD_OP_LOAD;

	open_device(1);
	memory = aligned_alloc(PAGE, PAGE);
	MUST(memory);
	map_memory(PAGE, BOTH_WAYS);
	memset(memory, 1, MISTAKE ? 12 : 16);
	store(TD_DMA_SRC, IOVA, 8);
	store(TD_DMA_DST, 0, 8);
	store(TD_DMA_LEN, 16, 4);
	pwrite(device, &op, 4, /* MISTAKE */
	       (off_t)region(VFIO_PCI_BAR2_REGION_INDEX) + TD_DMA_CMD);
	return 0;
}
