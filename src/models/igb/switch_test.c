/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/igb/switch_test.c: igb's pools and the switch between them: which pool gets a frame of
 * another, or of the wire, by address, VLAN, length and promiscuity; who may send what; what is
 * counted.
 */
#include "models/igb/test_ports.h"

static void test_switch(void **state)
{
	uint64_t status;

	start();
	run();
	assert_int_equal(r(IGB_GPTC), 0);
	/* Unicast to a pool: there and nowhere else, not on the wire; each way. */
	send_to(0, 1);
	assert_int_equal(got(1, &status), 60);
	assert_true(status & RXD_LB);
	assert_memory_equal(last(1), out(0), 60);
	send_to(1, 0);
	assert_int_equal(who(), 1 << 0);
	send_to(1, PF);
	assert_int_equal(who(), 1 << PF);
	send_to(PF, 0);
	assert_int_equal(who(), 1 << 0);
	assert_int_equal(r(IGB_GPTC), 0);
	/* To nobody here: out, and not to the default pool. */
	send_to(0, 9);
	assert_int_equal(who(), 1 << FAR);
	assert_int_equal(r(IGB_GPTC), 1);
	/* To itself: nowhere, unless it may. */
	send_to(0, 0);
	assert_int_equal(who(), 0);
	assert_int_equal(r(IGB_GPTC), 0);
	w(IGB_DTXSWC, DTXSWC_LOOPBACK | DTXSWC_LLE(0));
	send_to(0, 0);
	assert_int_equal(who(), 1 << 0);
	w(IGB_DTXSWC, DTXSWC_LOOPBACK);
	/* Broadcast: to all but itself, and out. */
	frame(out(1), 0, 1);
	memcpy(out(1), broadcast, 6);
	go(&port[1], 60);
	assert_int_equal(who(), 1 << 0 | 1 << PF | 1 << FAR);
	assert_int_equal(r(IGB_GPTC), 1);
	w(IGB_VMOLR(0), VMOLR_STRCRC | VMOLR_AUPE);
	go(&port[1], 60);
	assert_int_equal(who(), 1 << PF | 1 << FAR);
	/* Multicast, by hash and by promiscuity. */
	memcpy(out(1), "\x01\x00\x5e\x00\x00\xfb", 6);
	go(&port[1], 60);
	assert_int_equal(who(), 1 << FAR);
	w(IGB_MTA + 4 * (0xfb0 >> 5), 1u << (0xfb0 & 31));
	w(IGB_VMOLR(0), VMOLR_STRCRC | VMOLR_AUPE | VMOLR_ROMPE);
	go(&port[1], 60);
	assert_int_equal(who(), 1 << 0 | 1 << FAR);
	w(IGB_VMOLR(PF), VMOLR_STRCRC | VMOLR_AUPE | VMOLR_MPME);
	go(&port[1], 60);
	assert_int_equal(who(), 1 << 0 | 1 << PF | 1 << FAR);
	/* Unicast by hash: out too, for the address may be of more than one. */
	send_to(1, 0x40);
	assert_int_equal(who(), 1 << FAR);
	w(IGB_UTA + 4 * (0x400 >> 5), 1u << (0x400 & 31));
	w(IGB_VMOLR(PF), VMOLR_STRCRC | VMOLR_AUPE | VMOLR_ROPE);
	send_to(1, 0x40);
	assert_int_equal(who(), 1 << PF | 1 << FAR);
	/* A pool that does not receive; no switching at all. */
	w(IGB_VFRE, 0xfe);
	send_to(1, 0);
	assert_int_equal(who(), 0);
	w(IGB_VFRE, 0xff);
	r(IGB_GPTC);
	w(IGB_DTXSWC, 0);
	send_to(1, 0);
	assert_int_equal(who(), 1 << FAR);
	assert_int_equal(r(IGB_GPTC), 1);
	stop();
}

static void test_from_outside(void **state)
{
	start();
	run();
	send_to(FAR, 1);
	assert_int_equal(who(), 1 << 1);
	send_to(FAR, 0);
	assert_int_equal(who(), 1 << 0);
	send_to(FAR, 9); /* passes no filter */
	assert_int_equal(who(), 0);
	w(IGB_RCTL, PROMISC);
	send_to(FAR, 9); /* the default pool's */
	assert_int_equal(who(), 1 << PF);
	w(IGB_VT_CTL, VT_CTL_REPLICATE | VT_CTL_NO_DEFAULT | PF << 7);
	send_to(FAR, 9);
	assert_int_equal(who(), 0);
	w(IGB_VT_CTL, VT_CTL_REPLICATE | VT_CTL_IGMAC | PF << 7);
	send_to(FAR, 9);
	assert_int_equal(who(), 7);
	w(IGB_VT_CTL, VT_CTL_REPLICATE | 1 << 7);
	send_to(FAR, 9);
	assert_int_equal(who(), 1 << 1);
	frame(out(FAR), 0, 0);
	memcpy(out(FAR), broadcast, 6);
	go(&port[FAR], 60);
	assert_int_equal(who(), 7);
	w(IGB_VT_CTL, PF << 7); /* no replication: one for all */
	go(&port[FAR], 60);
	assert_int_equal(who(), 1 << PF);
	/* Two queues for a pool, and RSS between them. */
	w(IGB_VT_CTL, VT_CTL_REPLICATE | PF << 7);
	w(IGB_MRQC, MRQC_VMDQ_RSS | 1u << 17);
	w(IGB_RETA, 0x01010101);
	frame(out(FAR), 1, FAR);
	memset(out(FAR) + 14, 0, 46);
	memcpy(out(FAR) + 12, "\x08\x00\x45\x00\x00\x14", 6);
	go(&port[FAR], 60); /* the key is zero, so the hash is */
	assert_int_equal(who(), 1 << 1);
	w(IGB_VMOLR(1), VMOLR_STRCRC | VMOLR_AUPE | VMOLR_RSSE);
	go(&port[FAR], 60);
	assert_int_equal(who(), 0);
	assert_int_equal(pr(&port[1], 0x2930), 1); /* its second queue, which is off */
	stop();
}

static void test_vlan(void **state)
{
	struct igb_desc *txd;
	uint64_t status;

	start();
	txd = (void *)port[0].mem;
	run();
	w(IGB_RCTL, RUN | RCTL_VFE);
	send_to(0, 1);
	assert_int_equal(who(), 1 << 1);
	w(IGB_VMOLR(1), VMOLR_STRCRC | VMOLR_BAM); /* no untagged ones */
	send_to(0, 1);
	assert_int_equal(who(), 0);
	/* Tagged: only into the VLAN's pools. */
	frame(out(0), 1, 0);
	igb_put_be16(out(0) + 12, 0x8100);
	igb_put_be16(out(0) + 14, 0x2064);
	go(&port[0], 60);
	assert_int_equal(who(), 0);
	w(IGB_VLVF(31), VLVF_ENABLE | 1 << 13 | 100);
	go(&port[0], 60);
	assert_int_equal(got(1, &status), 60);
	assert_false(status & RXD_VP);
	assert_memory_equal(last(1), out(0), 60);
	w(IGB_VMOLR(1), VMOLR_STRCRC | VMOLR_BAM | VMOLR_STRVLAN);
	go(&port[0], 60);
	assert_int_equal(got(1, &status), 56);
	assert_true(status & RXD_VP);
	assert_int_equal(status >> 48, 0x2064);
	/* A replicated frame has its own setting; so has the CRC. */
	memcpy(out(0), broadcast, 6);
	go(&port[0], 60);
	assert_int_equal(got(1, &status), 60);
	assert_false(status & RXD_VP);
	w(IGB_RPLOLR, VMOLR_STRVLAN);
	go(&port[0], 60);
	assert_int_equal(got(1, &status), 60); /* 56 and the CRC */
	assert_true(status & RXD_VP);
	/* The pool's tag: added to all that has none, whatever the descriptor says, or never. */
	w(IGB_RPLOLR, VMOLR_STRCRC);
	w(IGB_VMVIR(0), VMVIR_ALWAYS | 0x4064);
	send_to(0, 1);
	assert_int_equal(got(1, &status), 60);
	assert_int_equal(status >> 48, 0x4064);
	w(IGB_VMVIR(0), VMVIR_NEVER);
	w(IGB_VMOLR(1), VMOLR_STRCRC | VMOLR_AUPE | VMOLR_STRVLAN);
	for (unsigned i = 0; i < 2; i++) {
		txd[port[0].tail] =
			(struct igb_desc){ 14 << 9 | 0x64 << 16, TXD_DEXT | DTYP_CONTEXT << 20, 0 };
		txd[port[0].tail + 1] =
			(struct igb_desc){ TX_BUF, 60 | ADV | TXD_EOP | TXD_VLE, 60 << 14 };
		port[0].tail += 2;
		pw(&port[0], 0x3818, port[0].tail);
		assert_int_equal(got(1, &status), 60);
		assert_int_equal(!!(status & RXD_VP), i);
		w(IGB_VMVIR(0), 0);
	}
	stop();
}

static void test_spoofing(void **state)
{
	start();
	run();
	w(IGB_DTXSWC, DTXSWC_LOOPBACK | DTXSWC_MACAS(0) | DTXSWC_VLANAS(1));
	w(IGB_IMS, ICR_DOUTSYNC);
	send_to(0, 1);
	assert_int_equal(who(), 1 << 1);
	assert_int_equal(r(IGB_WVBR), 0);
	frame(out(0), 1, PF); /* the PF's address */
	go(&port[0], 60);
	assert_int_equal(who(), 0);
	assert_int_equal(r(IGB_GPTC), 0);
	assert_int_equal(irqs.intx_level, 0);
	assert_int_equal(r(IGB_WVBR), 1);
	assert_int_equal(r(IGB_WVBR), 0);
	assert_int_equal(r(IGB_SSVPC), 1);
	w(IGB_DTXCTL, DTXCTL_SPOOF_INT);
	go(&port[0], 60);
	assert_int_equal(irqs.intx_level, 1);
	assert_true(r(IGB_ICR) & ICR_DOUTSYNC);
	/* Port 1 may use any address, but of VLANs only its own. */
	frame(out(1), 0, PF);
	go(&port[1], 60);
	assert_int_equal(who(), 1 << 0);
	igb_put_be16(out(1) + 12, 0x8100);
	igb_put_be16(out(1) + 14, 100);
	go(&port[1], 60);
	assert_int_equal(who(), 0);
	w(IGB_VLVF(0), VLVF_ENABLE | 1 << 13 | 100);
	go(&port[1], 60);
	assert_int_equal(who(), 1 << 0);
	stop();
}

static void test_counters(void **state)
{
	start();
	run();
	send_to(0, 1);
	send_to(0, 9);
	frame(out(0), 0, 0);
	memcpy(out(0), "\x01\x00\x5e\x00\x00\xfb", 6);
	w(IGB_VMOLR(1), VMOLR_STRCRC | VMOLR_AUPE | VMOLR_MPME);
	go(&port[0], 60);
	for (unsigned i = 0; i < 2; i++) { /* reading does not clear */
		assert_int_equal(pr(&port[0], 0xf14), 3);
		assert_int_equal(pr(&port[0], 0xf34), 3 * 64);
		assert_int_equal(pr(&port[0], 0xf44), 2);
		assert_int_equal(pr(&port[0], 0xf50), 2 * 64);
		assert_int_equal(pr(&port[1], 0xf10), 2);
		assert_int_equal(pr(&port[1], 0xf18), 2 * 64);
		assert_int_equal(pr(&port[1], 0xf3c), 1);
		assert_int_equal(pr(&port[1], 0xf40), 2);
		assert_int_equal(pr(&port[1], 0xf48), 2 * 64);
		assert_int_equal(pr(&port[1], 0xf14), 0);
	}
	pw(&port[0], 0xf14, 0);
	assert_int_equal(pr(&port[0], 0xf14), 3);
	stop();
}

/* Two tags (7.4.5): pools are about the inner one, which VMVIR puts behind the outer one. */
static void test_double_vlan(void **state)
{
	uint64_t status;

	start();
	run();
	w(IGB_VET, 0x88a88100);
	w(IGB_CTRL_EXT, CTRL_EXT_EXT_VLAN);
	w(IGB_RCTL, RUN | RCTL_VFE);
	w(IGB_VLVF(0), VLVF_ENABLE | 1 << 13 | 100);
	w(IGB_VMOLR(1), VMOLR_STRCRC | VMOLR_STRVLAN);
	frame(out(0), 1, 0);
	memcpy(out(0) + 12, "\x88\xa8\0\x65\x81\0\x20\x64\x88\xb5", 10);
	go(&port[0], 64);
	assert_int_equal(got(1, &status), 60);
	assert_int_equal(status & (RXD_VEXT | RXD_VP), RXD_VEXT | RXD_VP);
	assert_int_equal(status >> 48, 0x2064);
	assert_memory_equal(last(1), out(0), 16);
	assert_memory_equal(last(1) + 16, out(0) + 20, 44);
	/* the other way round there is no such VLAN */
	out(0)[15] = 0x64;
	out(0)[19] = 0x65;
	go(&port[0], 64);
	assert_int_equal(who(), 0);
	/* nor may it be sent by a pool that is not in it */
	w(IGB_DTXSWC, DTXSWC_LOOPBACK | DTXSWC_VLANAS(0));
	r(IGB_SSVPC);
	go(&port[0], 64);
	assert_int_equal(r(IGB_SSVPC), 1);
	w(IGB_DTXSWC, DTXSWC_LOOPBACK);
	/* the pool's own tag goes behind the outer one; without that the frame is not sent */
	w(IGB_VMVIR(0), VMVIR_ALWAYS | 0x4064);
	memcpy(out(0) + 12, "\x88\xa8\0\x65\x88\xb5", 6);
	go(&port[0], 60);
	assert_int_equal(got(1, &status), 60);
	assert_int_equal(status >> 48, 0x4064);
	assert_memory_equal(last(1), out(0), 60);
	send_to(0, 1);
	assert_int_equal(who(), 0);
	stop();
}

/* Long frames: each pool has its own limit. */
static void test_lengths(void **state)
{
	uint64_t status;

	start();
	run();
	frame(out(0), 1, 0);
	go(&port[0], 1514);
	assert_int_equal(got(1, &status), 1514);
	go(&port[0], 1515);
	assert_int_equal(got(1, &status), -1);
	assert_int_equal(r(IGB_ROC), 1);
	igb_put_be16(out(0) + 12, 0x8100); /* a tag makes room for itself */
	go(&port[0], 1518);
	assert_int_equal(got(1, &status), 1518);
	go(&port[0], 1519);
	assert_int_equal(got(1, &status), -1);
	assert_int_equal(r(IGB_ROC), 1);
	w(IGB_VMOLR(1), VMOLR_STRCRC | VMOLR_AUPE | VMOLR_LPE | 1600);
	go(&port[0], 1596);
	assert_int_equal(got(1, &status), 1596);
	go(&port[0], 1597);
	assert_int_equal(got(1, &status), -1);
	stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_switch),	    cmocka_unit_test(test_from_outside),
		cmocka_unit_test(test_vlan),	    cmocka_unit_test(test_spoofing),
		cmocka_unit_test(test_counters),    cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_double_vlan),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
