/* SPDX-License-Identifier: BSD-3-Clause */
/* device: NVME; kind: proto-nvme-csts-store; says: BAR0 CSTS .0x001c.: 0x2. To
 * be rid of a fatal status. */
#include "nvme.h"

int main(void)
{
	start_nvme();
	if (MISTAKE)
		write32(CSTS, 2); /* MISTAKE */
	return 0;
}
