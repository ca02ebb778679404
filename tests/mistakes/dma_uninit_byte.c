/* SPDX-License-Identifier: BSD-3-Clause */
/* device: testdev; kind: dma-uninit; asked: dma-uninit; by: clang -O1 -fsanitize=memory;
 * says: byte 12 of them
 *
 * A descriptor of 16 bytes, of which the program fills 12; built with MemorySanitizer, which knows
 * what the device wrote. */
#include "mistakes.h"

struct desc {
	uint64_t addr;
	uint32_t len, reserved;
};

int main(void)
{
	struct desc *desc;
	unsigned char *got;

	start();
	unmap_memory(PAGE);
	memory = aligned_alloc(PAGE, PAGE);
	MUST(memory);
	map_memory(PAGE, BOTH_WAYS);
	desc = (void *)memory;
	desc->addr = IOVA;
	desc->len = 3;
	if (!MISTAKE)
		desc->reserved = 0;
	write64(TD_DMA_SRC, IOVA);
	write64(TD_DMA_DST, 0);
	write32(TD_DMA_LEN, sizeof(*desc));
	write32(TD_DMA_CMD, TD_OP_LOAD); /* MISTAKE */
	MUST(read32(TD_DMA_STATUS) == TD_DMA_OK);
	/* what the device writes is written: MemorySanitizer stops the program where it is not */
	got = memory + 256;
	prepare_fill(IOVA + 256, 64);
	write32(TD_DMA_CMD, TD_OP_FILL);
	MUST(read32(TD_DMA_STATUS) == TD_DMA_OK);
	for (unsigned i = 0; i < 64; i++)
		MUST(got[i] != 0xee);
	return 0;
}
