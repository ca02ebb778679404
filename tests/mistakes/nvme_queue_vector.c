/* SPDX-License-Identifier: BSD-3-Clause */
/* device: NVME; kind: proto-nvme-queue-vector; says: CDW11 0xfff00003. */
#include "nvme.h"

int main(void)
{
	struct command create = { .opcode = 5, .prp1 = AT(IO_CQ), .cdw10 = 0xf0001, .cdw11 = 3 };

	start_nvme();
	if (MISTAKE)
		create.cdw11 |= 0xfff0u << 16;
	command(0, create); /* MISTAKE */
	return 0;
}
