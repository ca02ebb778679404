/* SPDX-License-Identifier: BSD-3-Clause */
/* device: igb; kind: proto-igb-ring-base; says: transmit queue 0: its ring is at 0x101000. */
#include "igb.h"

int main(void)
{
	start_igb(0);
	write32(TXDCTL, 0);
	write32(TDBAL, (uint32_t)AT(TX_RING) + (MISTAKE ? 16 : 0));
	write32(TXDCTL, QUEUE_ENABLE); /* MISTAKE */
	return 0;
}
