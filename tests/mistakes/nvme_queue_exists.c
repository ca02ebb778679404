/* SPDX-License-Identifier: BSD-3-Clause */
/* device: NVME; kind: proto-nvme-queue-exists; says: command 0 of queue 0: opcode 05h. */
#include "nvme.h"

int main(void)
{
	start_nvme();
	MUST(!create_cq(1, AT(IO_CQ), ENTRIES));
	if (MISTAKE)
		create_cq(1, AT(DATA), ENTRIES); /* MISTAKE */
	MUST(!create_sq(1, AT(IO_SQ), 1));
	return 0;
}
