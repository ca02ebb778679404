/* SPDX-License-Identifier: BSD-3-Clause */
/* device: igb; kind: proto-igb-tx-type; says: DTYP 5. */
#include "igb.h"

int main(void)
{
	start_igb(8);
	put(0, (MISTAKE ? 1u << 29 | 5u << 20 : DATA) | EOP | IFCS, 64, 64u << 14);
	write32(TDT, 1); /* MISTAKE */
	return 0;
}
