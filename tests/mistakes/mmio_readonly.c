/* SPDX-License-Identifier: BSD-3-Clause */
/* device: NVME; kind: mmio-readonly; says: BAR0 VS .0x0008.: write of 4 bytes, 0x460001. */
#include "nvme.h"

int main(void)
{
	open_nvme();
	set_admin_queue();
	if (MISTAKE)
		write32(VS, CC_ENABLE); /* MISTAKE */
	write32(CC, CC_ENABLE);
	wait_ready(CSTS_READY);
	return 0;
}
