/* SPDX-License-Identifier: BSD-3-Clause */
/* device: testdev; kind: dma-unmapped; says: in submit .*dma_handler.c. In a signal handler, on a
 * stack of its own, as small as it can be; all signals are blocked. */
#include <signal.h>

#include "mistakes.h"

static void handler(int sig)
{
	write32(TD_DMA_CMD, TD_OP_FILL); /* MISTAKE */
}

__attribute__((noinline)) static void submit(void)
{
	raise(SIGUSR1);
	MUST(read32(TD_DMA_STATUS) != TD_DMA_BUSY);
}

int main(void)
{
	struct sigaction sa = { .sa_handler = handler, .sa_flags = SA_ONSTACK };
	stack_t stack = { .ss_size = (size_t)sysconf(_SC_MINSIGSTKSZ) };

	start();
	prepare_fill(IOVA + (MISTAKE ? PAGE : 0), 64);
	stack.ss_sp = malloc(stack.ss_size);
	sigfillset(&sa.sa_mask);
	MUST(!sigaltstack(&stack, NULL) && !sigaction(SIGUSR1, &sa, NULL));
	submit();
	return 0;
}
