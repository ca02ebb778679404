/* SPDX-License-Identifier: BSD-3-Clause */
/* device: NVME; kind: proto-nvme-no-queue; says: opcode 01h. */
#include "nvme.h"

int main(void)
{
	start_nvme();
	if (!MISTAKE)
		create_cq(1, AT(IO_CQ), ENTRIES);
	create_sq(1, AT(IO_SQ), 1); /* MISTAKE */
	return 0;
}
