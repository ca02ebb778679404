/* SPDX-License-Identifier: BSD-3-Clause */
/* device: testdev; kind: dma-unmapped. By a system call instruction of the program's own. */
#include <sys/syscall.h>

#include "mistakes.h"

static long write_at(int fd, const void *data, unsigned long n, uint64_t at)
{
	register uint64_t offset __asm__("r10") = at;
	long rc;

	__asm__ volatile("syscall" /* MISTAKE */
			 : "=a"(rc)
			 : "0"(SYS_pwrite64), "D"(fd), "S"(data), "d"(n), "r"(offset)
			 : "rcx", "r11", "memory");
	return rc;
}

int main(void)
{
	uint32_t fill = TD_OP_FILL;

	start();
	prepare_fill(IOVA + (MISTAKE ? PAGE : 0), 64);
	MUST(write_at(device, &fill, 4, region(2) + TD_DMA_CMD) == 4);
	return 0;
}
