/* SPDX-License-Identifier: BSD-3-Clause */
/* device: igb; kind: proto-igb-tail-early; says: TDT.0. .0xe018.: 1, and. */
#include "igb.h"

int main(void)
{
	start_igb(8);
	put(0, DATA | EOP | IFCS, 64, 64u << 14);
	write32(TXDCTL, 0);
	if (!MISTAKE)
		write32(TXDCTL, QUEUE_ENABLE);
	write32(TDT, 1); /* MISTAKE */
	return 0;
}
