/* SPDX-License-Identifier: BSD-3-Clause */
/* device: NVME; kind: mmio-before-ready; says: BAR0 SQTDBL.0. .0x1000.: CSTS.RDY was not read. */
#include "nvme.h"

int main(void)
{
	struct command identify = { .opcode = 6, .prp1 = AT(DATA), .cdw10 = 1 };

	open_nvme();
	set_admin_queue();
	write32(CC, CC_ENABLE);
	if (!MISTAKE)
		wait_ready(CSTS_READY);
	put(0, &identify);
	write32(SQTDBL(0), tail[0]); /* MISTAKE */
	return reap(0) != 0;
}
