/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/drivers/igb.c: see igb.h. Initialization after 4.5 of the datasheet, loopback after 3.5.6.
 */
#include <string.h>
#include <time.h>

#include "igb.h"

#define PHY	     1u
#define PHY_LOOPBACK 0x4140u /* 8.25, register 0: loopback, 1000, full duplex */

static void nap(unsigned us)
{
	nanosleep(&(struct timespec){ .tv_nsec = (long)us * 1000 }, NULL);
}

int igb_phy_read(struct igb *g, unsigned phy, unsigned reg)
{
	uint32_t v = 0;

	reg_write(g, MDIC, 2u << 26 | phy << 21 | reg << 16);
	for (int i = 0; i < 1000 && !((v = reg_read(g, MDIC)) & 1u << 28); i++)
		nap(50);
	return v >> 28 & 1 && !(v & 1u << 30) ? (int)(v & 0xffff) : -1;
}

int igb_phy_write(struct igb *g, unsigned phy, unsigned reg, unsigned value)
{
	uint32_t v = 0;

	reg_write(g, MDIC, 1u << 26 | phy << 21 | reg << 16 | value);
	for (int i = 0; i < 1000 && !((v = reg_read(g, MDIC)) & 1u << 28); i++)
		nap(50);
	return v >> 28 & 1 && !(v & 1u << 30) ? 0 : -1;
}

int igb_eeprom(struct igb *g, unsigned word)
{
	uint32_t v = 0;

	reg_write(g, EERD, word << 2 | 1);
	for (int i = 0; i < 1000 && !((v = reg_read(g, EERD)) & 2); i++)
		nap(10);
	return v & 2 ? (int)(v >> 16) : -1;
}

bool igb_reset(struct igb *g)
{
	bool done = false;

	reg_write(g, EIMC, 0xffffffff);
	reg_write(g, IMC, 0xffffffff);
	reg_write(g, CTRL, reg_read(g, CTRL) | CTRL_RST);
	nap(1000); /* 8.2.1: at least 1 us before it is looked at */
	for (int i = 0; i < 1000 && !done; i++) {
		done = !(reg_read(g, CTRL) & CTRL_RST);
		if (!done)
			nap(100);
	}
	reg_write(g, EIMC, 0xffffffff);
	reg_write(g, IMC, 0xffffffff);
	reg_read(g, ICR);
	reg_read(g, EICR);
	return done;
}

void igb_open(struct igb *g, const char *address)
{
	memset(g, 0, sizeof(*g));
	pci_open(&g->pci, address);
	if (pci_config_read(&g->pci, 0, 4) != 0x10c98086)
		die("%s is no 82576", address);
	g->bar = pci_map_bar(&g->pci, 0, 0x20000, 0, PROT_READ | PROT_WRITE);
	for (unsigned i = 0; i < IGB_MAX_QUEUES; i++) {
		struct igb_queue *q = &g->queue[i];

		q->tx = pci_dma_alloc(&g->pci, IGB_RING * sizeof(*q->tx), &q->tx_iova);
		q->rx = pci_dma_alloc(&g->pci, IGB_RING * sizeof(*q->rx), &q->rx_iova);
		q->rx_data = pci_dma_alloc(&g->pci, IGB_RING * IGB_BUFFER, &q->rx_data_iova);
	}
	g->tx_data = pci_dma_alloc(&g->pci, 65536, &g->tx_data_iova);
	g->head = pci_dma_alloc(&g->pci, 4096, &g->head_iova);
	if (!igb_reset(g))
		die("the reset does not end");
	for (unsigned i = 0; i < 6; i++)
		g->mac[i] = (uint8_t)(reg_read(g, i < 4 ? RAL0 : RAH0) >> i % 4 * 8);
}

/* A receive descriptor with its buffer: what was written back over it. */
static void give(struct igb_queue *q, unsigned i)
{
	memset(q->rx_data + i * IGB_BUFFER, 0xee, IGB_BUFFER);
	q->rx[i].address = q->rx_data_iova + i * IGB_BUFFER;
	q->rx[i].command = q->rx[i].options = 0;
}

void igb_start(struct igb *g, unsigned queues, uint32_t rctl, uint32_t srrctl)
{
	if (!igb_reset(g))
		die("the reset does not end");
	/*
	 * 3.5.6.3.1: looped back in the PHY, speed and duplex forced on both sides. QEMU's model
	 * wants more: negotiation once, or its link stays down, and the MAC's loopback, which the
	 * chip has no use for (3.5.6.2).
	 */
	igb_phy_write(g, PHY, 0, 0x1200);
	igb_phy_write(g, PHY, 0, PHY_LOOPBACK);
	reg_write(g, CTRL, CTRL_LOOP);
	for (int i = 0; i < 2000 && !(reg_read(g, STATUS) & 2); i++)
		nap(1000);
	if (!(reg_read(g, STATUS) & 2))
		die("no link in loopback");
	for (unsigned i = 0; i < queues; i++) {
		struct igb_queue *q = &g->queue[i];
		unsigned at = i * 0x40;

		q->tx_tail = q->rx_next = 0;
		memset(q->tx, 0, IGB_RING * sizeof(*q->tx));
		for (unsigned k = 0; k < IGB_RING; k++)
			give(q, k);
		reg_write(g, RDBAL + at, (uint32_t)q->rx_iova);
		reg_write(g, RDBAH + at, (uint32_t)(q->rx_iova >> 32));
		reg_write(g, RDLEN + at, IGB_RING * 16);
		reg_write(g, SRRCTL + at, srrctl);
		reg_write(g, RXDCTL + at, QUEUE_ENABLE);
		reg_write(g, TDBAL + at, (uint32_t)q->tx_iova);
		reg_write(g, TDBAH + at, (uint32_t)(q->tx_iova >> 32));
		reg_write(g, TDLEN + at, IGB_RING * 16);
		reg_write(g, TXDCTL + at, QUEUE_ENABLE);
	}
	reg_write(g, RCTL, RCTL_EN | RCTL_LBM | rctl);
	reg_write(g, TCTL, TCTL_EN | TCTL_PSP | 15u << 4);
	for (unsigned i = 0; i < queues; i++) {
		g->queue[i].rx_tail = IGB_RING - 1;
		reg_write(g, RDT + i * 0x40, IGB_RING - 1);
	}
}

void igb_put(struct igb *g, unsigned queue, uint64_t address, uint32_t command, uint32_t options)
{
	struct igb_queue *q = &g->queue[queue];

	q->tx[q->tx_tail] = (struct igb_descriptor){ address, command, options };
	q->tx_tail = (q->tx_tail + 1) % IGB_RING;
}

void igb_put_frame(struct igb *g, unsigned queue, const void *frame, unsigned length,
		   uint32_t command, uint32_t options)
{
	/* within a page: QEMU drops a buffer whose pages are not neighbours in its memory */
	uint64_t at = g->queue[queue].tx_tail * 2048u % 65536u;

	memcpy(g->tx_data + at, frame, length);
	igb_put(g, queue, g->tx_data_iova + at, TX_DATA | TX_EOP | TX_RS | length | command,
		options | length << 14);
}

bool igb_send(struct igb *g, unsigned queue)
{
	uint64_t limit = now_ns() + 1000000000ull;

	__atomic_thread_fence(__ATOMIC_RELEASE);
	reg_write(g, TDT + queue * 0x40, g->queue[queue].tx_tail);
	while (reg_read(g, TDH + queue * 0x40) != g->queue[queue].tx_tail) {
		if (now_ns() > limit)
			return false;
		nap(100);
	}
	return true;
}

bool igb_receive(struct igb *g, unsigned queue, struct igb_frame *f, unsigned ms)
{
	struct igb_queue *q = &g->queue[queue];
	uint64_t limit = now_ns() + ms * 1000000ull;

	memset(f, 0, sizeof(*f));
	f->queue = queue;
	for (;;) {
		volatile struct igb_descriptor *d = &q->rx[q->rx_next];
		uint32_t length, status = d->command;
		uint64_t first = d->address;

		if (!(status & RX_DD)) {
			if (now_ns() > limit)
				return false;
			nap(100);
			continue;
		}
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		first = d->address;
		f->status = status;
		f->type = (uint32_t)first;
		f->hash = (uint32_t)(first >> 32);
		length = d->options & 0xffff;
		f->vlan = (uint16_t)(d->options >> 16);
		if (length > IGB_BUFFER || f->length + length > sizeof(f->data))
			die("a buffer with %u bytes", length);
		memcpy(f->data + f->length, q->rx_data + q->rx_next * IGB_BUFFER, length);
		f->length += length;
		f->descriptors++;
		/* the buffer goes back, one behind the tail */
		give(q, q->rx_next);
		q->rx_next = (q->rx_next + 1) % IGB_RING;
		q->rx_tail = (q->rx_tail + 1) % IGB_RING;
		__atomic_thread_fence(__ATOMIC_RELEASE);
		reg_write(g, RDT + queue * 0x40, q->rx_tail);
		if (status & RX_EOP)
			return true;
	}
}
