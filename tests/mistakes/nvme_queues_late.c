/* SPDX-License-Identifier: BSD-3-Clause */
/* device: NVME; kind: proto-nvme-queues-late; says: opcode 09h. */
#include "nvme.h"

int main(void)
{
	struct command ask = { .opcode = 9, .cdw10 = 7, .cdw11 = 1u << 16 | 1 };

	start_nvme();
	if (!MISTAKE)
		command(0, ask);
	create_cq(1, AT(IO_CQ), ENTRIES);
	if (MISTAKE)
		command(0, ask); /* MISTAKE */
	return 0;
}
