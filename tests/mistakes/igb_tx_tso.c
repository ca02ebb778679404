/* SPDX-License-Identifier: BSD-3-Clause */
/* device: igb; kind: proto-igb-tx-tso; says: MSS 0, L4T 1, and the packet has 100. */
#include "igb.h"

int main(void)
{
	struct descriptor *d;

	start_igb(8);
	/* MACLEN 14, IPLEN 20; L4LEN 20; TCP, IPv4 */
	put(0, CONTEXT | 1u << 11 | 1u << 10, 0, (MISTAKE ? 0 : 40u) << 16 | 20u << 8);
	d = (struct descriptor *)(memory + TX_RING * PAGE);
	d->address = 14u << 9 | 20;
	put(1, DATA | EOP | IFCS | TSE, 100, 46u << 14);
	write32(TDT, 2); /* MISTAKE */
	return 0;
}
