/* SPDX-License-Identifier: BSD-3-Clause */
/* device: testdev; kind: dma-unmapped. The mapping is a page too short; the register is asked for
 * three functions deep, two of which are inlined, or tail calls, at -O2. */
#include "mistakes.h"

static void ring(void)
{
	write32(TD_DMA_CMD, TD_OP_FILL); /* MISTAKE */
	MUST(read32(TD_DMA_STATUS) != TD_DMA_BUSY);
}

static void submit(uint32_t size)
{
	prepare_fill(IOVA, size);
	ring();
	MUST(read32(TD_DMA_LEN) == size);
}

int main(void)
{
	start();
	submit(MISTAKE ? 2 * PAGE : PAGE);
	return 0;
}
