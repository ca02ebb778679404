/* SPDX-License-Identifier: BSD-3-Clause */
/* device: igb; kind: proto-igb-ring-full; says: 0, which is the head; it was 15. */
#include "igb.h"

int main(void)
{
	start_igb(RING - 1);
	if (MISTAKE)
		write32(RDT, 0); /* MISTAKE */
	return 0;
}
