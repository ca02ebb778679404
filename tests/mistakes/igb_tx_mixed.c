/* SPDX-License-Identifier: BSD-3-Clause */
/* device: igb; kind: proto-igb-tx-mixed; says: in a packet that begins. A legacy descriptor. */
#include "igb.h"

int main(void)
{
	start_igb(8);
	put(0, DATA | (MISTAKE ? 0 : EOP) | IFCS, 64, (MISTAKE ? 128u : 64u) << 14);
	put(1, EOP, 64, 0);
	write32(TDT, 2); /* MISTAKE */
	return 0;
}
