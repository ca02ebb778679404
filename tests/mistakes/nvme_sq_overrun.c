/* SPDX-License-Identifier: BSD-3-Clause */
/* device: NVME; kind: proto-nvme-sq-overrun; says: SQTDBL.1. .0x1008.: 15: it can go to 14 at most.
 * The completion queue is full, so the controller fetches no more: what was put stays there. */
#include "nvme.h"

int main(void)
{
	struct command read = read_of(1, AT(DATA), 0);

	start_io();
	for (; read.cid < 30; read.cid++)
		put(1, &read);
	write32(SQTDBL(1), 15);
	write32(SQTDBL(1), 14);
	if (MISTAKE)
		write32(SQTDBL(1), 15); /* MISTAKE */
	return 0;
}
