/* SPDX-License-Identifier: BSD-3-Clause */
/* device: testdev; kind: dma-freed. The memory goes by a way that nobody sees. */
#include <sys/syscall.h>

#include "mistakes.h"

int main(void)
{
	long rc;

	start();
	prepare_fill(IOVA, 64);
	if (MISTAKE) {
		__asm__ volatile("syscall"
				 : "=a"(rc)
				 : "0"(SYS_munmap), "D"(memory), "S"(2 * PAGE)
				 : "rcx", "r11", "memory");
		MUST(!rc);
	}
	write32(TD_DMA_CMD, TD_OP_FILL); /* MISTAKE */
	return 0;
}
