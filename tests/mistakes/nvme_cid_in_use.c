/* SPDX-License-Identifier: BSD-3-Clause */
/* device: NVME; kind: proto-nvme-cid-in-use; says: command 7 of queue 0 .opcode 0ch.. */
#include "nvme.h"

int main(void)
{
	struct command wait = { .opcode = 12, .cid = 7 }; /* it waits for an event */

	start_nvme();
	put(0, &wait);
	write32(SQTDBL(0), tail[0]);
	wait.cid = MISTAKE ? 7 : 8;
	put(0, &wait);
	write32(SQTDBL(0), tail[0]); /* MISTAKE */
	return 0;
}
