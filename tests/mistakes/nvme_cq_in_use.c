/* SPDX-License-Identifier: BSD-3-Clause */
/* device: NVME; kind: proto-nvme-cq-in-use; says: opcode 04h. */
#include "nvme.h"

int main(void)
{
	start_io();
	if (!MISTAKE)
		command(0, (struct command){ .opcode = 0, .cdw10 = 1 });
	command(0, (struct command){ .opcode = 4, .cdw10 = 1 }); /* MISTAKE */
	return 0;
}
