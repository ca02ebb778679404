/* SPDX-License-Identifier: BSD-3-Clause */
/* device: NVME; kind: proto-nvme-nssr; says: BAR0 NSSR .0x0020.: 0x4e564d65. */
#include "nvme.h"

int main(void)
{
	start_nvme();
	if (MISTAKE)
		write32(0x20, 0x4e564d65); /* MISTAKE */
	return 0;
}
