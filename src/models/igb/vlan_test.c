/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/igb/vlan_test.c: igb and VLAN tags against the datasheet: inserted, stripped, one behind
 * another.
 */
#include "models/igb/test_loopback.h"

/* A frame of @len bytes, as it stands at TX_BUF, with a tag to insert: what comes back. */
static int tagged(size_t len, uint16_t tag, uint64_t *status)
{
	uint64_t info;

	queue_tx(14 << 9 | (uint64_t)tag << 16, TXD_DEXT | DTYP_CONTEXT << 20, 0);
	queue_tx(TX_BUF, (uint32_t)len | ADV | TXD_EOP | TXD_VLE, (uint32_t)len << 14);
	go();
	return received(&info, status);
}

/* 7.4: CTRL.VME is about stripping; a tag is inserted whether it is set or not. */
static void test_vlan_insertion(void **state)
{
	uint64_t info, status;
	uint8_t *got;
	size_t len;

	start();
	rings(2 << 24);
	eth(tx_buf(), 0x88b5);
	memset(tx_buf() + 14, 0x5a, 86);
	got = rx_buf(rx_at);
	assert_int_equal(tagged(100, 0x204d, &status), 104);
	assert_false(status & RXD_VP);
	assert_memory_equal(got, tx_buf(), 12);
	assert_int_equal(igb_be32(got + 12), 0x8100204d);
	assert_memory_equal(got + 16, tx_buf() + 12, 88);
	/* the type is VET's */
	w(IGB_VET, 0x9100);
	got = rx_buf(rx_at);
	assert_int_equal(tagged(100, 5, &status), 104);
	assert_int_equal(igb_be32(got + 12), 0x91000005);
	w(IGB_CTRL, r(IGB_CTRL) | CTRL_VME);
	assert_int_equal(tagged(100, 5, &status), 100);
	assert_true(status & RXD_VP);
	assert_int_equal(status >> 48, 5);
	w(IGB_VET, 0x8100);
	w(IGB_CTRL, r(IGB_CTRL) & ~CTRL_VME);
	/* of a legacy descriptor */
	got = rx_buf(rx_at);
	queue_tx(TX_BUF, 100 | TXD_EOP | TXD_VLE, 77u << 16);
	go();
	assert_int_equal(received(&info, &status), 104);
	assert_int_equal(igb_be32(got + 12), 0x8100004d);
	/* in each segment of a TSO */
	len = ipv4(tx_buf(), 6, 1500, true);
	context(L4T_TCP, 1000, 0x2005, 20);
	queue_tx(TX_BUF, (uint32_t)len | ADV | TXD_EOP | TXD_TSE | TXD_VLE,
		 POPTS_IXSM | POPTS_TXSM | 1500 << 14);
	go();
	for (unsigned i = 0; i < 2; i++) {
		got = rx_buf(rx_at);
		assert_int_equal(received(&info, &status), 58 + (i ? 500 : 1000));
		assert_int_equal(status & (RXD_IPE | RXD_L4E | RXD_L4CS), RXD_L4CS);
		assert_int_equal(igb_be32(got + 12), 0x81002005);
	}
	unplug();
}

/* 7.4.5: an outer tag of VET's upper half, which is passed over */
static void test_double_vlan(void **state)
{
	static const uint8_t tags[8] = { 0x88, 0xa8, 0, 0x64, 0x81, 0, 0x20, 5 };
	uint64_t info, status;
	uint8_t *f, *got, plain[64];
	size_t len;

	start();
	f = tx_buf();
	rings(2 << 24);
	w(IGB_VET, 0x88a88100);
	w(IGB_CTRL_EXT, r(IGB_CTRL_EXT) | CTRL_EXT_EXT_VLAN);
	assert_true(r(IGB_CTRL_EXT) & CTRL_EXT_EXT_VLAN);
	/* Both: the inner one is stripped, and what is inside is looked into, sums and all. */
	len = ipv4(f, 6, 100, false);
	memmove(f + 20, f + 12, len - 12);
	memcpy(f + 12, tags, 8);
	len += 8;
	for (unsigned strip = 0; strip < 2; strip++) {
		w(IGB_CTRL, strip ? r(IGB_CTRL) | CTRL_VME : r(IGB_CTRL) & ~CTRL_VME);
		queue_tx(20 | 22 << 9, TXD_DEXT | DTYP_CONTEXT << 20 | TUCMD_IPV4 | L4T_TCP << 11,
			 20 << 8);
		queue_tx(TX_BUF, (uint32_t)len | ADV | TXD_EOP,
			 POPTS_IXSM | POPTS_TXSM | (uint32_t)len << 14);
		got = rx_buf(rx_at);
		go();
		assert_int_equal(received(&info, &status), (int)len - (strip ? 4 : 0));
		assert_int_equal(info >> 4 & 0xfff, PTYPE_IPV4 | PTYPE_TCP);
		assert_int_equal(
			status & (RXD_VEXT | RXD_VP | RXD_IPCS | RXD_L4CS | RXD_IPE | RXD_L4E),
			RXD_VEXT | (strip ? RXD_VP : 0) | RXD_IPCS | RXD_L4CS);
		assert_int_equal(status >> 48, strip ? 0x2005 : 0);
		assert_memory_equal(got + 12, tags, strip ? 4 : 8);
		assert_int_equal(igb_be16(got + (strip ? 16 : 20)), 0x0800);
	}
	/* The filter is about the inner one. */
	w(IGB_RCTL, r(IGB_RCTL) | RCTL_VFE);
	w(IGB_VFTA + 4 * (0x64 >> 5), 1u << (0x64 & 31));
	queue_tx(TX_BUF, (uint32_t)len | ADV | TXD_EOP, (uint32_t)len << 14);
	go();
	assert_int_equal(received(&info, &status), -1);
	w(IGB_VFTA, 1u << 5);
	queue_tx(TX_BUF, (uint32_t)len | ADV | TXD_EOP, (uint32_t)len << 14);
	go();
	assert_int_equal(received(&info, &status), (int)len - 4);
	/* The outer one alone: no VLAN to filter or strip, but protocols. */
	memmove(f + 16, f + 20, len - 20);
	len -= 4;
	queue_tx(TX_BUF, (uint32_t)len | ADV | TXD_EOP, (uint32_t)len << 14);
	go();
	assert_int_equal(received(&info, &status), (int)len);
	assert_int_equal(status & (RXD_VEXT | RXD_VP), RXD_VEXT);
	assert_int_equal(info >> 4 & 0xfff, PTYPE_IPV4 | PTYPE_TCP);
	/* One is inserted behind it; into a frame without it, none, and that is not sent. */
	got = rx_buf(rx_at);
	memcpy(plain, f, 60);
	assert_int_equal(tagged(60, 0x4005, &status), 60);
	assert_int_equal(status & (RXD_VEXT | RXD_VP), RXD_VEXT | RXD_VP);
	assert_int_equal(status >> 48, 0x4005);
	assert_memory_equal(got, plain, 60);
	w(IGB_CTRL, r(IGB_CTRL) & ~CTRL_VME);
	got = rx_buf(rx_at);
	assert_int_equal(tagged(60, 0x4005, &status), 64);
	assert_memory_equal(got, plain, 16);
	assert_int_equal(igb_be32(got + 16), 0x81004005);
	assert_memory_equal(got + 20, plain + 16, 44);
	eth(f, 0x0800);
	r(IGB_GPTC);
	assert_int_equal(tagged(60, 0x4005, &status), -1);
	assert_int_equal(r(IGB_GPTC), 0);
	/* Neither, or the inner one alone: it comes, and nothing is looked for in it. */
	w(IGB_CTRL, r(IGB_CTRL) | CTRL_VME);
	w(IGB_SYNQF, SYNQF_ENABLE | 1 << 1);
	w(IGB_ETQF(0), ETQF_ENABLE | ETQF_QUEUE_ENABLE | 1 << 16 | 0x0800);
	w(IGB_VFTA, 0);
	for (unsigned inner = 0; inner < 2; inner++) {
		len = ipv4(f, 6, 100, false);
		if (inner) {
			memmove(f + 16, f + 12, len - 12);
			memcpy(f + 12, tags + 4, 4);
			len += 4;
		}
		queue_tx(TX_BUF, (uint32_t)len | ADV | TXD_EOP, (uint32_t)len << 14);
		go();
		assert_int_equal(received(&info, &status), (int)len);
		assert_int_equal(info >> 4 & 0x1fff, 0);
		assert_int_equal(status & 0xffffffff, RXD_DD | RXD_EOP);
	}
	/* Back to one tag. */
	w(IGB_CTRL_EXT, 0);
	w(IGB_VFTA, 1u << 5);
	w(IGB_ETQF(0), 0);
	queue_tx(TX_BUF, (uint32_t)len | ADV | TXD_EOP, (uint32_t)len << 14);
	go();
	assert_int_equal(received(&info, &status), (int)len - 4);
	assert_int_equal(status & (RXD_VEXT | RXD_VP), RXD_VP);
	unplug();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vlan_insertion),
		cmocka_unit_test(test_double_vlan),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
