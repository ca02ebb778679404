/* SPDX-License-Identifier: BSD-3-Clause */
/* device: NVME; kind: proto-nvme-doorbell-no-queue; says: SQTDBL.2. .0x1010.: 1. */
#include "nvme.h"

int main(void)
{
	start_io();
	if (MISTAKE)
		write32(SQTDBL(2), 1); /* MISTAKE */
	return 0;
}
