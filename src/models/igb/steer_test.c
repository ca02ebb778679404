/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/igb/steer_test.c: igb's filters that choose a queue: each, and which of them goes first.
 */
#include "models/igb/igb.h"
#include "models/igb/internal.h"
#include "pci/test_model.h"

#define TX_RING	   IOVA
#define RX_RING(q) (IOVA + 0x1000 + 0x100 * (q))
#define TX_BUF	   (IOVA + 0x3000)
#define RX_BUF	   (IOVA + 0x4000)
#define RING	   16u
#define QUEUES	   16u
#define ADV	   (TXD_DEXT | DTYP_DATA << 20)
#define ALL	   (FTQF_MASK_PROTO | FTQF_MASK_SADDR | FTQF_MASK_DADDR | FTQF_MASK_SPORT)
#define TO(q)	   (FTQF_QUEUE_ENABLE | (q) << 16)

static unsigned tail;

static uint32_t r(uint32_t off)
{
	return (uint32_t)rd(0, off, 4);
}
static void w(uint32_t off, uint32_t v)
{
	wr(0, off, 4, v);
}

/* Loopback in the PHY; all queues run, into one buffer. */
static void start(void)
{
	plug(&model_igb, "mac", "52:54:00:12:34:56");
	tail = 0;
	w(IGB_MDIC, 0x4140 | 0u << 16 | 1u << 21 | MDIC_OP_WRITE << 26);
	w(IGB_CTRL, r(IGB_CTRL) | CTRL_SLU | CTRL_FRCSPD | CTRL_FRCDPX);
	w(0x3800, (uint32_t)TX_RING);
	w(0x3808, RING * 16);
	w(0x3828, QUEUE_ENABLE);
	for (unsigned q = 0; q < QUEUES; q++) {
		w(IGB_RXQ(q, RDBAL), (uint32_t)RX_RING(q));
		w(IGB_RXQ(q, RDLEN), RING * 16);
		w(IGB_RXQ(q, SRRCTL), 2 | 1u << 25);
		w(IGB_RXQ(q, RXDCTL), QUEUE_ENABLE);
	}
	w(IGB_RCTL, RCTL_EN | RCTL_UPE | RCTL_BAM | RCTL_SECRC);
	w(IGB_TCTL, TCTL_EN | TCTL_PSP);
}

static uint8_t *frame(void)
{
	return mem + 0x3000;
}

/* Sends the frame: the queue that it came to, -1: none; its packet type to *ptype. */
static int sent(size_t len, uint32_t *ptype)
{
	struct igb_desc *txd = (void *)mem;
	uint64_t(*rxd)[2];
	int queue = -1;

	for (unsigned q = 0; q < QUEUES; q++) {
		rxd = (void *)(mem + 0x1000 + 0x100 * q);
		rxd[0][0] = RX_BUF;
		rxd[0][1] = 0;
		w(IGB_RXQ(q, RDH), 0);
		w(IGB_RXQ(q, RDT), 1);
	}
	txd[tail] = (struct igb_desc){ TX_BUF, (uint32_t)len | ADV | TXD_EOP, (uint32_t)len << 14 };
	tail = (tail + 1) % RING;
	w(0x3818, tail);
	for (unsigned q = 0; q < QUEUES; q++) {
		rxd = (void *)(mem + 0x1000 + 0x100 * q);
		if (!(rxd[0][1] & RXD_DD))
			continue;
		assert_int_equal(queue, -1);
		queue = (int)q;
		*ptype = rxd[0][0] >> 4 & 0xfff;
	}
	return queue;
}
static int queue_of(size_t len)
{
	uint32_t ptype;

	return sent(len, &ptype);
}

static void ethernet(unsigned type)
{
	memset(frame(), 0, 200);
	memcpy(frame(), "\x52\x54\x00\x12\x34\x56\x02\x00\x00\x00\x00\x01", 12);
	igb_put_be16(frame() + 12, type);
}

/* 10.0.0.1:1000 to 10.0.0.2:2000 */
static void ipv4(unsigned proto, uint8_t tcp_flags)
{
	uint8_t *ip = frame() + 14;

	ethernet(0x0800);
	ip[0] = 0x45;
	igb_put_be16(ip + 2, 86);
	ip[9] = (uint8_t)proto;
	igb_put_be32(ip + 12, 0x0a000001);
	igb_put_be32(ip + 16, 0x0a000002);
	igb_put_be16(ip + 20, 1000);
	igb_put_be16(ip + 22, 2000);
	if (proto == 6) {
		ip[32] = 0x50;
		ip[33] = tcp_flags;
	} else {
		igb_put_be16(ip + 24, 66);
	}
}

static uint32_t wire16(unsigned v)
{
	return v >> 8 | (v & 0xff) << 8;
}

static void test_ethertype(void **state)
{
	uint32_t ptype;

	start();
	ethernet(0x88f7);
	assert_int_equal(queue_of(60), 0);
	w(IGB_ETQF(3), ETQF_ENABLE | ETQF_QUEUE_ENABLE | 5 << 16 | 0x88f7);
	assert_int_equal(sent(60, &ptype), 5);
	assert_int_equal(ptype, PTYPE_ETQF | 3);
	w(IGB_ETQF(3), ETQF_ENABLE | 5 << 16 | 0x88f7); /* marked, not moved */
	assert_int_equal(sent(60, &ptype), 0);
	assert_int_equal(ptype, PTYPE_ETQF | 3);
	w(IGB_ETQF(3), ETQF_ENABLE | ETQF_QUEUE_ENABLE | 5 << 16 | 0x88f8);
	assert_int_equal(sent(60, &ptype), 0);
	assert_int_equal(ptype, 0);
	ethernet(0x8100); /* behind a tag */
	igb_put_be16(frame() + 14, 7);
	igb_put_be16(frame() + 16, 0x88f8);
	assert_int_equal(queue_of(60), 5);
	w(IGB_ETQF(3), 0);
	assert_int_equal(queue_of(60), 0);
	w(IGB_VLAPQF, 0xcu << 4 * 3 | 0x2u << 4 * 5); /* priority 3 to queue 4; 5's is off */
	assert_int_equal(queue_of(60), 0);
	igb_put_be16(frame() + 14, 3 << 13 | 7);
	assert_int_equal(queue_of(60), 4);
	igb_put_be16(frame() + 14, 5 << 13 | 7);
	assert_int_equal(queue_of(60), 0);
	w(IGB_ETQF(3), 1);
	w(IGB_CTRL, CTRL_RST);
	assert_int_equal(r(IGB_ETQF(3)), 0);
	unplug();
}

static void test_tuple(void **state)
{
	start();
	ipv4(17, 0);
	w(IGB_IMIREXT(0), IMIREXT_SIZE_BP | IMIREXT_CTRL_BP);
	w(IGB_IMIR(0), IMIR_PORT_BP);
	w(IGB_FTQF(0), (ALL & ~FTQF_MASK_PROTO) | 17);
	assert_int_equal(queue_of(100), 0); /* off */
	w(IGB_FTQF(0), TO(9) | (ALL & ~FTQF_MASK_PROTO) | 17);
	assert_int_equal(queue_of(100), 9);
	w(IGB_FTQF(0), TO(9) | (ALL & ~FTQF_MASK_PROTO) | 6);
	assert_int_equal(queue_of(100), 0);
	/* Addresses and ports, in the order of the wire. */
	w(IGB_FTQF(0), TO(9) | 17);
	w(IGB_SAQF(0), 0x0100000a);
	w(IGB_DAQF(0), 0x0200000a);
	w(IGB_SPQF(0), wire16(1000));
	w(IGB_IMIR(0), wire16(2000));
	assert_int_equal(queue_of(100), 9);
	for (unsigned i = 0; i < 4; i++) {
		uint32_t off[] = { IGB_SAQF(0), IGB_DAQF(0), IGB_SPQF(0), IGB_IMIR(0) };
		uint32_t was = r(off[i]);

		w(off[i], was ^ 0x100);
		assert_int_equal(queue_of(100), 0);
		w(off[i], was);
	}
	igb_put_be16(frame() + 14 + 6, 0x2000); /* a fragment has no ports */
	assert_int_equal(queue_of(100), 0);
	igb_put_be16(frame() + 14 + 6, 0);
	/* The higher priority goes first, whatever its place. */
	w(IGB_IMIREXT(4), IMIREXT_SIZE_BP | IMIREXT_CTRL_BP);
	w(IGB_IMIR(4), IMIR_PORT_BP | 2u << 29);
	w(IGB_FTQF(4), TO(3) | ALL);
	assert_int_equal(queue_of(100), 3);
	w(IGB_IMIR(0), wire16(2000) | 3u << 29);
	assert_int_equal(queue_of(100), 9);
	/* Lengths. */
	w(IGB_IMIREXT(0), IMIREXT_CTRL_BP | 100);
	assert_int_equal(queue_of(100), 3);
	w(IGB_IMIREXT(0), IMIREXT_CTRL_BP | 101);
	assert_int_equal(queue_of(100), 9);
	/* With pools, none of it. */
	w(IGB_VT_CTL, 1 << 7);
	w(IGB_MRQC, MRQC_VMDQ_POOL);
	assert_int_equal(queue_of(100), 1);
	unplug();
}

static void test_syn(void **state)
{
	start();
	w(IGB_SYNQF, SYNQF_ENABLE | 7 << 1);
	ipv4(6, 0x02);
	assert_int_equal(queue_of(100), 7);
	ipv4(6, 0x12);
	assert_int_equal(queue_of(100), 0);
	ipv4(17, 0x02);
	assert_int_equal(queue_of(100), 0);
	/* A filter of five looks at flags, too; which of the two goes first is RFCTL's. */
	ipv4(6, 0x02);
	w(IGB_IMIR(1), IMIR_PORT_BP);
	w(IGB_IMIREXT(1), IMIREXT_SIZE_BP | 1u << 17); /* SYN */
	w(IGB_FTQF(1), TO(4) | ALL);
	assert_int_equal(queue_of(100), 4);
	w(IGB_RFCTL, RFCTL_SYNQFP);
	assert_int_equal(queue_of(100), 7);
	ipv4(6, 0x10);
	assert_int_equal(queue_of(100), 0);
	w(IGB_IMIREXT(1), IMIREXT_SIZE_BP | 1u << 14); /* ACK */
	assert_int_equal(queue_of(100), 4);
	unplug();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ethertype),
		cmocka_unit_test(test_tuple),
		cmocka_unit_test(test_syn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
