/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/igb/test_loopback.h: one igb in the loopback of its PHY, with a ring each way, and frames
 * for it: for the unit tests of this folder.
 */
#ifndef MODELS_IGB_TEST_LOOPBACK_H
#define MODELS_IGB_TEST_LOOPBACK_H
#include "models/igb/igb.h"
#include "models/igb/internal.h"
#include "pci/test_model.h"

#define TX_RING IOVA
#define RX_RING (IOVA + 0x1000)
#define TX_BUF	(IOVA + 0x2000)
#define RX_BUF	(IOVA + 0x8000)
#define RING	16u /* descriptors */
#define RX_SIZE 2048u
#define ADV	(TXD_DEXT | DTYP_DATA << 20)
#define BAD	0x40000000ull /* not mapped */

static struct igb_desc *txd;
static uint64_t (*rxd)[2];
static unsigned tail, rx_at;

static inline uint32_t r(uint32_t off)
{
	return (uint32_t)rd(0, off, 4);
}
static inline void w(uint32_t off, uint32_t v)
{
	wr(0, off, 4, v);
}

static inline uint32_t mdic(unsigned addr, unsigned op, unsigned reg, uint16_t v)
{
	w(IGB_MDIC, v | reg << 16 | addr << 21 | op << 26);
	return r(IGB_MDIC);
}
static inline uint16_t phy(unsigned reg)
{
	uint32_t v = mdic(1, MDIC_OP_READ, reg, 0);

	assert_int_equal(v & (MDIC_READY | MDIC_ERROR), MDIC_READY);
	return (uint16_t)v;
}

static inline void start(void)
{
	plug(&model_igb, "mac", "52:54:00:12:34:56");
	txd = (void *)mem;
	rxd = (void *)(mem + 0x1000);
}

/* Switch on the loopback in the PHY and a ring each way, and accept everything. */
static inline void rings(uint32_t srrctl)
{
	tail = rx_at = 0;
	mdic(1, MDIC_OP_WRITE, 0, 0x4140);
	w(IGB_CTRL, r(IGB_CTRL) | CTRL_SLU | CTRL_FRCSPD | CTRL_FRCDPX);
	assert_true(r(IGB_STATUS) & STATUS_LU);
	w(0x3800, (uint32_t)TX_RING);
	w(0x3804, 0);
	w(0x3808, RING * 16);
	w(0x3810, 0);
	w(0x3818, 0);
	w(0x3828, QUEUE_ENABLE);
	w(0x2800, (uint32_t)RX_RING);
	w(0x2804, 0);
	w(0x2808, RING * 16);
	w(0x280c, srrctl);
	w(0x2810, 0);
	w(0x2828, QUEUE_ENABLE);
	for (unsigned i = 0; i < RING; i++) {
		rxd[i][0] = RX_BUF + i * RX_SIZE;
		rxd[i][1] = 0;
	}
	w(0x2818, RING - 1);
	assert_false(r(0x2828) & QUEUE_ENABLE); /* until RCTL.RXEN */
	w(IGB_RCTL, RCTL_EN | RCTL_UPE | RCTL_MPE | RCTL_BAM | RCTL_SECRC | RCTL_LPE);
	assert_true(r(0x2828) & QUEUE_ENABLE);
	w(IGB_TCTL, TCTL_EN | TCTL_PSP);
	assert_true(r(0x3828) & QUEUE_ENABLE);
}

static inline void queue_tx(uint64_t addr, uint32_t cmd, uint32_t opt)
{
	txd[tail] = (struct igb_desc){ addr, cmd, opt };
	tail = (tail + 1) % RING;
}
static inline void go(void)
{
	w(0x3818, tail);
}

static inline uint8_t *tx_buf(void)
{
	return mem + 0x2000;
}
static inline uint8_t *rx_buf(unsigned i)
{
	return mem + 0x8000 + (i % RING) * RX_SIZE;
}

/* Take the next frame that came in: its length, or -1. */
static inline int received(uint64_t *info, uint64_t *status)
{
	unsigned i = rx_at;
	int len;

	*info = *status = 0;
	if (!(rxd[i][1] & RXD_DD))
		return -1;
	*info = rxd[i][0];
	*status = rxd[i][1];
	len = (uint16_t)(rxd[i][1] >> 32);
	rx_at = (rx_at + 1) % RING;
	rxd[i][0] = RX_BUF + i * RX_SIZE;
	rxd[i][1] = 0;
	w(0x2818, (rx_at + RING - 1) % RING);
	return len;
}

static inline void eth(uint8_t *f, unsigned type)
{
	static const uint8_t head[12] = { 0x52, 0x54, 0, 0x12, 0x34, 0x56, 2, 0, 0, 0, 0, 1 };

	memcpy(f, head, 12);
	igb_put_be16(f + 12, type);
}

/* TCP or UDP over IPv4, with the pseudo header's sum in the field as drivers leave it. */
static inline size_t ipv4(uint8_t *f, unsigned proto, size_t payload, bool tso)
{
	unsigned l4len = proto == 6 ? 20 : 8;
	uint8_t *ip = f + 14, *l4 = ip + 20;
	uint32_t sum;

	memset(f, 0, 14 + 20 + l4len);
	eth(f, 0x0800);
	ip[0] = 0x45;
	igb_put_be16(ip + 2, (uint32_t)(20 + l4len + payload));
	igb_put_be16(ip + 4, 0x1234);
	ip[8] = 64;
	ip[9] = (uint8_t)proto;
	igb_put_be32(ip + 12, 0x0a000001);
	igb_put_be32(ip + 16, 0x0a000002);
	igb_put_be16(l4, 1000);
	igb_put_be16(l4 + 2, 2000);
	if (proto == 6) {
		igb_put_be32(l4 + 4, 0x10000);
		l4[12] = 0x50;
		l4[13] = 0x19; /* ACK PSH FIN */
	} else {
		igb_put_be16(l4 + 4, (uint32_t)(8 + payload));
	}
	for (size_t i = 0; i < payload; i++)
		l4[l4len + i] = (uint8_t)(i * 7);
	sum = igb_sum(ip + 12, 8, proto + (tso ? 0 : l4len + (uint32_t)payload));
	igb_put_be16(l4 + (proto == 6 ? 16 : 6), igb_fold(sum));
	return 14 + 20 + l4len + payload;
}

static inline void context(unsigned l4t, unsigned mss, uint16_t vlan, unsigned l4len)
{
	queue_tx(20 | 14 << 9 | (uint64_t)vlan << 16,
		 TXD_DEXT | DTYP_CONTEXT << 20 | TUCMD_IPV4 | l4t << 11, l4len << 8 | mss << 16);
}
#endif
