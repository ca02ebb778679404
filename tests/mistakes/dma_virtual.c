/* SPDX-License-Identifier: BSD-3-Clause */
/* device: testdev; kind: dma-unmapped; says: the IOVA of that memory is 0x100010. The device is
 * given an address of the program. */
#include "mistakes.h"

int main(void)
{
	start();
	prepare_fill(MISTAKE ? (uintptr_t)memory + 16 : IOVA + 16, 64);
	write32(TD_DMA_CMD, TD_OP_FILL); /* MISTAKE */
	return 0;
}
