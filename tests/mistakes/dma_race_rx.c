/* SPDX-License-Identifier: BSD-3-Clause */
/* device: igb; kind: dma-race; asked: all,-leak; says: a receive descriptor, 16 bytes at IOVA
 *
 * A buffer is exchanged in a descriptor that the chip has. */
#include "igb.h"

#define TXD_EOP (1u << 24)

int main(void)
{
	volatile struct descriptor *rx, *tx;

	open_igb();
	rx = (struct descriptor *)(memory + RX_RING * PAGE);
	tx = (struct descriptor *)(memory + TX_RING * PAGE);
	loop_back();
	write32(TDBAL, (uint32_t)AT(TX_RING));
	write32(TDLEN, RING * sizeof(*tx));
	write32(TXDCTL, QUEUE_ENABLE);
	write32(TCTL, TCTL_EN);
	write32(RDBAL, (uint32_t)AT(RX_RING));
	write32(RDLEN, RING * sizeof(*rx));
	write32(RXDCTL, QUEUE_ENABLE);
	write32(RCTL, RCTL_EN | 1u << 3 | 1u << 15);
	for (unsigned i = 0; i < RING; i++)
		rx[i].address = AT(RX_DATA);
	write32(RDT, 4); /* MISTAKE */
	rx[4].address = AT(RX_DATA) + 2048;
	if (MISTAKE)
		rx[1].address = AT(RX_DATA) + 2048;
	memset(memory + TX_DATA * PAGE, 0xff, 6); /* a broadcast */
	for (unsigned i = 0; i < 2; i++) {
		tx[i].address = AT(TX_DATA);
		tx[i].command = TXD_EOP | 64;
		write32(TDT, i + 1);
		while (!(rx[i].options & 1))
			;
		rx[i].address = 0;
	}
	return 0;
}
