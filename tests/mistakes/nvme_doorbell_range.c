/* SPDX-License-Identifier: BSD-3-Clause */
/* device: NVME; kind: proto-nvme-doorbell-range; says: SQTDBL.0. .0x1000.: 16: the queue has 16. A
 * tail that does not go back to 0. */
#include "nvme.h"

int main(void)
{
	struct command identify = { .opcode = 6, .prp1 = AT(DATA), .cdw10 = 1 };

	start_nvme();
	for (unsigned i = 0; i < ENTRIES - 1; i++)
		MUST(!command(0, identify));
	put(0, &identify);
	write32(SQTDBL(0), MISTAKE ? ENTRIES : tail[0]); /* MISTAKE */
	return 0;
}
