/* SPDX-License-Identifier: BSD-3-Clause */
/* device: testdev; kind: dma-stale; says: it was unmapped, with \[0x100000, 0x101000\). The memory
 * is taken away before the device is asked to use it. */
#include "mistakes.h"

int main(void)
{
	start();
	prepare_fill(IOVA + 128, 64);
	if (MISTAKE)
		unmap_memory(PAGE);
	write32(TD_DMA_CMD, TD_OP_FILL); /* MISTAKE */
	return 0;
}
