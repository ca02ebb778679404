/* SPDX-License-Identifier: BSD-3-Clause */
/* device: testdev; kind: mmio-width; says: BAR2 ONLY4 .0x0034.: write of 2 bytes. */
#include "mistakes.h"

int main(void)
{
	start();
	if (MISTAKE)
		*(volatile uint16_t *)(bar + TD_ONLY4) = 1; /* MISTAKE */
	else
		write32(TD_ONLY4, 1);
	return 0;
}
