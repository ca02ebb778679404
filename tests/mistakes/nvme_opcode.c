/* SPDX-License-Identifier: BSD-3-Clause */
/* device: NVME; kind: proto-nvme-opcode; says: opcode 07h. */
#include "nvme.h"

int main(void)
{
	start_nvme();
	if (MISTAKE)
		command(0, (struct command){ .opcode = 7 }); /* MISTAKE */
	return 0;
}
