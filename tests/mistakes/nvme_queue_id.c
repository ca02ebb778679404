/* SPDX-License-Identifier: BSD-3-Clause */
/* device: NVME; kind: proto-nvme-queue-id; says: CDW10 0xf0000. Queues
 * for I/O are counted from 1. */
#include "nvme.h"

int main(void)
{
	start_nvme();
	if (MISTAKE)
		create_cq(0, AT(IO_CQ), ENTRIES); /* MISTAKE */
	else
		create_cq(1, AT(IO_CQ), ENTRIES);
	return 0;
}
