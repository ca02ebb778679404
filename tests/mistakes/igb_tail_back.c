/* SPDX-License-Identifier: BSD-3-Clause */
/* device: igb; kind: proto-igb-tail-back; says: RDT.0. .0xc018.: 4, it was 8. */
#include "igb.h"

int main(void)
{
	start_igb(8);
	write32(RDT, MISTAKE ? 4 : 9); /* MISTAKE */
	return 0;
}
