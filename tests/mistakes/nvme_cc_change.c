/* SPDX-License-Identifier: BSD-3-Clause */
/* device: NVME; kind: proto-nvme-cc-change; says: BAR0 CC .0x0014.: 0x4600. The page size. */
#include "nvme.h"

int main(void)
{
	start_nvme();
	if (MISTAKE)
		write32(CC, CC_ENABLE | 1u << 7); /* MISTAKE */
	return 0;
}
