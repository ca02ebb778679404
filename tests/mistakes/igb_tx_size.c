/* SPDX-License-Identifier: BSD-3-Clause */
/* device: igb; kind: proto-igb-tx-size; says: a packet of 10 bytes. */
#include "igb.h"

int main(void)
{
	start_igb(8);
	put(0, DATA | EOP | IFCS, MISTAKE ? 10 : 64, 64u << 14);
	write32(TDT, 1); /* MISTAKE */
	return 0;
}
