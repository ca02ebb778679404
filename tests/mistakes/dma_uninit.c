/* SPDX-License-Identifier: BSD-3-Clause */
/* device: testdev; kind: dma-uninit; asked: dma-uninit;
 * says: the page at 0x[0-9a-f]* of the program was never
 *
 * The device reads two pages of which the program wrote one; what is behind is shared memory, of
 * which nobody can tell. */
#include "mistakes.h"

static void load(unsigned size)
{
	write64(TD_DMA_SRC, IOVA);
	write64(TD_DMA_DST, 0);
	write32(TD_DMA_LEN, size);
	write32(TD_DMA_CMD, TD_OP_LOAD); /* MISTAKE */
	MUST(read32(TD_DMA_STATUS) == TD_DMA_OK);
}

int main(void)
{
	void *shared;

	open_device(1);
	map_bar(VFIO_PCI_BAR2_REGION_INDEX);
	memory = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	MUST(memory != MAP_FAILED && !madvise(memory, 3 * PAGE, MADV_NOHUGEPAGE));
	shared = mmap(memory + 2 * PAGE, PAGE, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	MUST(shared == memory + 2 * PAGE);
	map_memory(2 * PAGE, BOTH_WAYS);
	memory[5] = 1;
	if (!MISTAKE)
		memory[PAGE + 5] = 0;
	load(2 * PAGE);
	load(2 * PAGE); /* it is there now */
	unmap_memory(2 * PAGE);
	memory += 2 * PAGE;
	map_memory(PAGE, BOTH_WAYS);
	load(PAGE);
	return 0;
}
