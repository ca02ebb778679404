/* SPDX-License-Identifier: BSD-3-Clause */
/* device: testdev; kind: dma-race-data; asked: all,-leak;
 * says: the device got it .* before, by memory access in thread
 *
 * The buffer is filled with something else while the device waits before it reads it; and what the
 * program does with it afterwards is its own business. */
#include "mistakes.h"

static void wait(void)
{
	while (read32(TD_DMA_STATUS) == TD_DMA_BUSY)
		usleep(1000);
	MUST(read32(TD_DMA_STATUS) == TD_DMA_OK);
}

int main(void)
{
	int late;

	start();
	write64(TD_DMA_SRC, IOVA);
	write64(TD_DMA_DST, 0);
	write32(TD_DMA_LEN, 3000);
	write32(TD_DMA_DELAY, MISTAKE ? 200000 : 0);
	do { /* again, if this thread did not run for too long */
		write32(TD_DMA_CMD, TD_OP_LOAD | TD_DMA_ASYNC); /* MISTAKE */
		memory[3000] = 7;
		if (MISTAKE)
			memory[2999]++;
		late = MISTAKE && read32(TD_DMA_STATUS) != TD_DMA_BUSY;
		wait();
	} while (late);
	memory[0] = 8;
	/* a copy changes memory that is its source, too */
	write64(TD_DMA_DST, IOVA + 64);
	write32(TD_DMA_DELAY, 0);
	write32(TD_DMA_CMD, TD_OP_COPY | TD_DMA_ASYNC);
	wait();
	return 0;
}
