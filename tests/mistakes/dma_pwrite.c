/* SPDX-License-Identifier: BSD-3-Clause */
/* device: testdev; kind: dma-unmapped. By a call of libc. */
#include "mistakes.h"

int main(void)
{
	uint32_t fill = TD_OP_FILL;

	start();
	prepare_fill(IOVA + (MISTAKE ? PAGE : 0), 64);
	MUST(pwrite(device, &fill, 4, (off_t)region(2) + TD_DMA_CMD) == 4); /* MISTAKE */
	return 0;
}
