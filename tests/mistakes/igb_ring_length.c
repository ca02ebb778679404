/* SPDX-License-Identifier: BSD-3-Clause */
/* device: igb; kind: proto-igb-ring-length; says: receive queue 0: its ring has 160 bytes. */
#include "igb.h"

int main(void)
{
	start_igb(0);
	write32(RXDCTL, 0);
	write32(RDLEN, MISTAKE ? 160 : 256); /* ten descriptors */
	write32(RXDCTL, QUEUE_ENABLE);	     /* MISTAKE */
	return 0;
}
