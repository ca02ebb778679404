/* SPDX-License-Identifier: BSD-3-Clause */
/* device: igb; kind: proto-igb-ring-none; says: RXDCTL.0. .0xc028.: 0x2000000. */
#include "igb.h"

int main(void)
{
	open_igb();
	write32(RXDCTL, 0);
	write32(RCTL, RCTL_EN);
	if (!MISTAKE)
		write32(RDLEN, RING * 16);
	write32(RXDCTL, QUEUE_ENABLE); /* MISTAKE */
	return 0;
}
