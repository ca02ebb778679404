/* SPDX-License-Identifier: BSD-3-Clause */
/* device: igb; kind: proto-igb-tail-range; says: RDT.0. .0xc018.: 16,. */
#include "igb.h"

int main(void)
{
	start_igb(0);
	write32(RDT, RING - 1 + MISTAKE); /* MISTAKE */
	return 0;
}
