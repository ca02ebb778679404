/* SPDX-License-Identifier: BSD-3-Clause */
/* device: NVME; kind: proto-nvme-admin-queue-late; says: BAR0 ASQ .0x0028.: 0x104000, and CC.EN. */
#include "nvme.h"

int main(void)
{
	start_nvme();
	if (MISTAKE)
		write32(ASQ, (uint32_t)AT(DATA)); /* MISTAKE */
	return 0;
}
