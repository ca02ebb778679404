/* SPDX-License-Identifier: BSD-3-Clause */
/* device: NVME; kind: proto-nvme-cq-head; says: CQHDBL.1. .0x100c.: 2: it can go to 1 at most. */
#include "nvme.h"

int main(void)
{
	start_io();
	MUST(!command(1, read_of(1, AT(DATA), 0)));
	if (MISTAKE)
		write32(CQHDBL(1), 2); /* MISTAKE */
	return 0;
}
