/* SPDX-License-Identifier: BSD-3-Clause */
/* device: igb; kind: proto-igb-tx-context; says: context 0; command. */
#include "igb.h"

int main(void)
{
	start_igb(8);
	put(0, CONTEXT, 0, 0);
	put(1 - MISTAKE, DATA | EOP | IFCS, 64, 64u << 14 | 1u << 8);
	write32(TDT, 2 - MISTAKE); /* MISTAKE */
	return 0;
}
