/* SPDX-License-Identifier: BSD-3-Clause */
/* device: NVME; kind: proto-nvme-queue-size; says: CDW10 0x1,. */
#include "nvme.h"

int main(void)
{
	start_nvme();
	create_cq(1, AT(IO_CQ), MISTAKE ? 1 : 2); /* MISTAKE */
	return 0;
}
