/* SPDX-License-Identifier: BSD-3-Clause */
/* device: igb; kind: proto-igb-ring-busy; says: RDBAL.0. .0xc000.: 0x102000. */
#include "igb.h"

int main(void)
{
	start_igb(8);
	if (!MISTAKE)
		write32(RXDCTL, 0);
	write32(RDBAL, (uint32_t)AT(RX_DATA)); /* MISTAKE */
	return 0;
}
