/* SPDX-License-Identifier: BSD-3-Clause */
/* device: igb; kind: dma-race; asked: all,-leak; says: a transmit descriptor, 16 bytes at IOVA
 *
 * Two descriptors are given while transmission is off, and the second one is changed before it is
 * on; one that was written back is the driver's again. */
#include "igb.h"

#define TXD_EOP (1u << 24)
#define TXD_RS	(1u << 27)
#define TXD_DD	1u

static volatile struct descriptor *tx;

static void give(unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++)
		tx[i] = (struct descriptor){ .address = AT(TX_DATA),
					     .command = TXD_EOP | TXD_RS | 64 };
	write32(TDT, to); /* MISTAKE */
}

static void wait(unsigned i)
{
	while (!(tx[i].options & TXD_DD))
		;
}

int main(void)
{
	open_igb();
	tx = (volatile struct descriptor *)(memory + TX_RING * PAGE);
	write32(RCTL, RCTL_EN);
	loop_back();
	write32(TDBAL, (uint32_t)AT(TX_RING));
	write32(TDLEN, RING * sizeof(*tx));
	write32(TXDCTL, QUEUE_ENABLE);
	give(0, 2);
	if (MISTAKE)
		tx[1].command = TXD_EOP | TXD_RS | 65;
	write32(TCTL, TCTL_EN);
	wait(1);
	tx[0].command = tx[1].command = 0;
	give(2, 4);
	wait(3);
	tx[2].address = 0;
	return 0;
}
