/* SPDX-License-Identifier: BSD-3-Clause */
/* device: testdev; kind: mmio-after-close; says: region 2: write at 0x0024 .*unmapped: SIGSEGV. The
 * mapping is gone. */
#include <setjmp.h>
#include <signal.h>

#include "mistakes.h"

static sigjmp_buf back;

static void on_fault(int sig)
{
	siglongjmp(back, 1);
}

int main(void)
{
	start();
	signal(SIGSEGV, on_fault);
	if (MISTAKE)
		MUST(!munmap((void *)bar, PAGE));
	if (!sigsetjmp(back, 1))
		*(volatile uint32_t *)(bar + TD_SCRATCH32) = 1; /* MISTAKE */
	return 0;
}
