/* SPDX-License-Identifier: BSD-3-Clause */
/* device: testdev; kind: dma-unmapped. The address is a page behind what is mapped. */
#include "mistakes.h"

int main(void)
{
	start();
	prepare_fill(IOVA + (MISTAKE ? PAGE : 0), 64);
	write32(TD_DMA_CMD, TD_OP_FILL); /* MISTAKE */
	return 0;
}
