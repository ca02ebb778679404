/* SPDX-License-Identifier: BSD-3-Clause */
/* device: NVME; kind: proto-nvme-admin-queue; says: ACQ .0x0030.: 0x101100 is no page. */
#include "nvme.h"

int main(void)
{
	open_nvme();
	set_admin_queue();
	if (MISTAKE)
		write64(ACQ, AT(ADMIN_CQ) + 256); /* MISTAKE */
	return 0;
}
