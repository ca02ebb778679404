/* SPDX-License-Identifier: BSD-3-Clause */
/* device: NVME; kind: mmio-before-ready; says: BAR0 CC .0x0014.: EN becomes 1, and CSTS.RDY.
 * A controller that is disabled and at once enabled again. */
#include "nvme.h"

int main(void)
{
	start_nvme();
	write32(CC, CC_ENABLE & ~1u);
	if (!MISTAKE)
		wait_ready(0);
	write32(CC, CC_ENABLE); /* MISTAKE */
	wait_ready(CSTS_READY);
	return 0;
}
