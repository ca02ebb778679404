/* SPDX-License-Identifier: BSD-3-Clause */
/* device: NVME; kind: proto-nvme-queue-memory; says: PRP1 0x103100. */
#include "nvme.h"

int main(void)
{
	start_nvme();
	create_cq(1, AT(IO_CQ) + (MISTAKE ? 256 : 0), ENTRIES); /* MISTAKE */
	return 0;
}
