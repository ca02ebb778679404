/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/mistakes/igb.h: as much of a driver of the Intel 82576 as the small ones need: a port that
 * is looped back, with one queue each way. Section numbers are of the datasheet.
 */
#ifndef TESTS_MISTAKES_IGB_H
#define TESTS_MISTAKES_IGB_H
#include "mistakes.h"

/* 8.1.3 */
enum {
	CTRL = 0x0000,
	EECD = 0x0010,
	MDIC = 0x0020,
	RCTL = 0x0100,
	TCTL = 0x0400,
	RDBAL = 0xc000,
	RDLEN = 0xc008,
	SRRCTL = 0xc00c,
	RDH = 0xc010,
	RDT = 0xc018,
	RXDCTL = 0xc028,
	TDBAL = 0xe000,
	TDLEN = 0xe008,
	TDH = 0xe010,
	TDT = 0xe018,
	TXDCTL = 0xe028,
};
#define CTRL_RST     (1u << 26)
#define CTRL_SLU     (1u << 6)
#define AUTO_RD	     (1u << 9)
#define RCTL_EN	     (1u << 1)
#define RCTL_LBM     (1u << 6)
#define TCTL_EN	     (1u << 1)
#define QUEUE_ENABLE (1u << 25)

#define RING 16u
/* pages of `memory` */
enum { RX_RING, TX_RING, RX_DATA, TX_DATA, PAGES };
#define AT(page) (IOVA + (page) * (uint64_t)PAGE)

struct descriptor { /* 7.1.5, 7.2.2 */
	uint64_t address;
	uint32_t command, options;
};

/* Open the device, with memory, and reset it. */
static inline void open_igb(void)
{
	open_device(1);
	bar = mmap(NULL, 32 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, device,
		   (off_t)region(VFIO_PCI_BAR0_REGION_INDEX));
	MUST(bar != MAP_FAILED);
	new_memory(PAGES * PAGE);
	memset(memory, 0, PAGES * PAGE);
	map_memory(PAGES * PAGE, BOTH_WAYS);
	write32(CTRL, read32(CTRL) | CTRL_RST);
	while (!(read32(EECD) & AUTO_RD))
		;
}

/* Have the PHY send what it receives, by force: 3.5.6.3.1; 8.24.1: loopback, full duplex, 1000. */
static inline void loop_back(void)
{
	write32(MDIC, 1u << 26 | 1u << 21 | 0x4140);
	write32(CTRL, read32(CTRL) | 1u << 6 | 1u << 11 | 1u << 12);
}

/* Set up queue 0 both ways, and enable it. The receiver has @rx descriptors. */
static inline void start_igb(unsigned rx)
{
	struct descriptor *ring;

	open_igb();
	ring = (struct descriptor *)(memory + RX_RING * PAGE);
	for (unsigned i = 0; i < RING; i++)
		ring[i].address = AT(RX_DATA);
	write32(CTRL, read32(CTRL) | CTRL_SLU);
	write32(RXDCTL, 0);
	write32(TXDCTL, 0);
	write32(RDBAL, (uint32_t)AT(RX_RING));
	write32(RDLEN, RING * 16);
	write32(SRRCTL, 1u << 25 | 2);
	write32(TDBAL, (uint32_t)AT(TX_RING));
	write32(TDLEN, RING * 16);
	write32(RXDCTL, QUEUE_ENABLE);
	write32(TXDCTL, QUEUE_ENABLE);
	write32(RCTL, RCTL_EN | RCTL_LBM);
	write32(TCTL, TCTL_EN);
	write32(RDT, rx);
}

#define DATA	(1u << 29 | 3u << 20)
#define CONTEXT (1u << 29 | 2u << 20)
#define EOP	(1u << 24)
#define IFCS	(1u << 25)
#define TSE	(1u << 31)

/* Put a descriptor into the transmit ring, at @at. */
static inline void put(unsigned at, uint32_t command, unsigned length, uint32_t options)
{
	struct descriptor *d = (struct descriptor *)(memory + TX_RING * PAGE) + at;

	d->address = AT(TX_DATA);
	d->command = command | length;
	d->options = options;
}
#endif
