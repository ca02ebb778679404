/* SPDX-License-Identifier: BSD-3-Clause */
/* device: NVME; kind: proto-nvme-entry-size; says: opcode 05h. CC has no sizes of entries. */
#include "nvme.h"

int main(void)
{
	open_nvme();
	set_admin_queue();
	write32(CC, MISTAKE ? 1 : CC_ENABLE);
	wait_ready(CSTS_READY);
	create_cq(1, AT(IO_CQ), ENTRIES); /* MISTAKE */
	return 0;
}
