/* SPDX-License-Identifier: BSD-3-Clause */
/* device: igb; kind: proto-igb-tx-paylen; says: PAYLEN 0 of a packet with 64. */
#include "igb.h"

int main(void)
{
	start_igb(8);
	put(0, DATA | EOP | IFCS, 64, (MISTAKE ? 0 : 64u) << 14);
	write32(TDT, 1); /* MISTAKE */
	return 0;
}
