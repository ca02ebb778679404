/* SPDX-License-Identifier: BSD-3-Clause */
/* models/igb/rx_test.c: igb's reception against the datasheet: lengths, filters, RSS, no room. */
#include "models/igb/test_loopback.h"

/* @tags tags before the type, of the types in VET; @len bytes in all */
static int long_frame(size_t len, const uint16_t *tags, unsigned num)
{
	uint64_t info, status;
	uint8_t *f = tx_buf();

	memset(f, 0x5a, len);
	eth(f, 0x88b5);
	for (unsigned i = 0; i < num; i++) {
		igb_put_be16(f + 12 + 4 * i, tags[i]);
		igb_put_be16(f + 14 + 4 * i, 5);
		igb_put_be16(f + 16 + 4 * i, 0x88b5);
	}
	queue_tx(TX_BUF, (uint32_t)len | ADV | TXD_EOP, (uint32_t)len << 14);
	go();
	return received(&info, &status);
}

/* 8.10.1, RCTL.LPE: 1518 bytes with the FCS, and 4 for each tag that is there; else RLPML. */
static void test_lengths(void **state)
{
	static const struct {
		unsigned num;
		uint16_t tags[2];
		bool extended;
		int max; /* without the FCS */
	} kinds[] = {
		{ 0, { 0 }, false, 1514 },
		{ 1, { 0x8100 }, false, 1518 },
		{ 1, { 0x88a8 }, false, 1514 },
		{ 2, { 0x8100, 0x8100 }, false, 1518 },
		{ 0, { 0 }, true, 1514 },
		{ 1, { 0x8100 }, true, 1514 },
		{ 1, { 0x88a8 }, true, 1518 },
		{ 2, { 0x88a8, 0x8100 }, true, 1522 },
		{ 2, { 0x88a8, 0x88a8 }, true, 1518 },
	};
	uint32_t plain = RCTL_EN | RCTL_UPE | RCTL_MPE | RCTL_BAM | RCTL_SECRC;

	start();
	rings(2 << 24);
	w(IGB_VET, 0x88a88100);
	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		size_t max = (size_t)kinds[i].max;

		w(IGB_CTRL_EXT, kinds[i].extended ? CTRL_EXT_EXT_VLAN : 0);
		w(IGB_RCTL, plain);
		assert_int_equal(long_frame(max, kinds[i].tags, kinds[i].num), max);
		assert_int_equal(r(IGB_ROC) + r(IGB_RLEC), 0);
		assert_int_equal(long_frame(max + 1, kinds[i].tags, kinds[i].num), -1);
		assert_int_equal(r(IGB_ROC), 1);
		assert_int_equal(r(IGB_RLEC), 1);
		w(IGB_RCTL, plain | RCTL_LPE);
		w(IGB_RLPML, 1600); /* whatever is in it */
		assert_int_equal(long_frame(1596, kinds[i].tags, kinds[i].num), 1596);
		assert_int_equal(long_frame(1597, kinds[i].tags, kinds[i].num), -1);
		assert_int_equal(r(IGB_ROC), 1);
		assert_int_equal(r(IGB_RLEC), 1);
	}
	/* A frame that no filter lets in is not counted as too long. */
	w(IGB_CTRL_EXT, 0);
	w(IGB_RAH(0), 0);
	w(IGB_RCTL, RCTL_EN | RCTL_SECRC);
	r(IGB_TPR);
	assert_int_equal(long_frame(1600, NULL, 0), -1);
	assert_int_equal(r(IGB_ROC) + r(IGB_RLEC), 0);
	assert_int_equal(r(IGB_TPR), 1);
	unplug();
}

static bool passes(const uint8_t *frame)
{
	uint64_t info, status;

	memcpy(tx_buf(), frame, 60);
	queue_tx(TX_BUF, 60 | ADV | TXD_EOP, 60 << 14);
	go();
	return received(&info, &status) >= 0;
}

static void test_filters(void **state)
{
	uint8_t f[60] = { 0 };

	start();
	rings(2 << 24);
	w(IGB_RCTL, RCTL_EN | RCTL_SECRC);
	eth(f, 0x88b5);
	assert_true(passes(f)); /* our own */
	f[5] ^= 1;
	assert_false(passes(f));
	w(IGB_RCTL, RCTL_EN | RCTL_SECRC | RCTL_UPE);
	assert_true(passes(f));
	w(IGB_RCTL, RCTL_EN | RCTL_SECRC);
	w(IGB_RAL(20), 0x12005452);
	w(IGB_RAH(20), RAH_AV | 0x5734);
	assert_true(passes(f));
	memset(f, 0xff, 6);
	assert_false(passes(f));
	w(IGB_RCTL, RCTL_EN | RCTL_SECRC | RCTL_BAM);
	assert_true(passes(f));
	memcpy(f, "\x01\x00\x5e\x00\x00\xfb", 6);
	assert_false(passes(f));
	w(IGB_MTA + 4 * (0xfb0 >> 5), 1u << (0xfb0 & 31)); /* bits 47:36 of the address */
	assert_true(passes(f));
	eth(f, 0x8100);
	igb_put_be16(f + 14, 0x2064); /* VLAN 100 */
	assert_true(passes(f));
	w(IGB_RCTL, RCTL_EN | RCTL_SECRC | RCTL_VFE);
	assert_false(passes(f));
	w(IGB_VFTA + 4 * 3, 1u << 4);
	assert_true(passes(f));
	unplug();
}

/* The numbers of Microsoft's "Verifying the RSS Hash Calculation". */
static void test_rss(void **state)
{
	static const uint8_t key[40] = {
		0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3,
		0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3,
		0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
	};
	uint64_t info, status;
	uint8_t *f;
	uint32_t k;
	size_t len;

	start();
	f = tx_buf();
	rings(2 << 24);
	for (unsigned i = 0; i < 10; i++) {
		memcpy(&k, key + 4 * i, 4);
		w(IGB_RSSRK + 4 * i, k);
	}
	w(IGB_RXCSUM, RXCSUM_PCSD);
	w(IGB_MRQC, MRQC_RSS | 1u << 16 | 1u << 17);
	len = ipv4(f, 6, 100, false);
	igb_put_be32(f + 26, 0x420995bb); /* 66.9.149.187:2794 */
	igb_put_be32(f + 30, 0xa18e6450); /* 161.142.100.80:1766 */
	igb_put_be16(f + 34, 2794);
	igb_put_be16(f + 36, 1766);
	queue_tx(TX_BUF, (uint32_t)len | ADV | TXD_EOP, (uint32_t)len << 14);
	go();
	assert_int_equal(received(&info, &status), (int)len);
	assert_int_equal(info >> 32, 0x51ccc178);
	assert_int_equal(info & 15, 1);
	w(IGB_MRQC, MRQC_RSS | 1u << 17);
	queue_tx(TX_BUF, (uint32_t)len | ADV | TXD_EOP, (uint32_t)len << 14);
	go();
	assert_int_equal(received(&info, &status), (int)len);
	assert_int_equal(info >> 32, 0x323e8fc2);
	assert_int_equal(info & 15, 2);
	/* To another queue, which is not enabled. */
	w(IGB_RETA + (0x323e8fc2 & 0x7c), 0x05050505);
	queue_tx(TX_BUF, (uint32_t)len | ADV | TXD_EOP, (uint32_t)len << 14);
	go();
	assert_int_equal(received(&info, &status), -1);
	assert_int_equal(r(IGB_MPC), 1);
	unplug();
}

static void test_no_room(void **state)
{
	uint64_t info, status;

	start();
	rings(2 << 24);
	eth(tx_buf(), 0x88b5);
	w(0x2818, 2); /* two buffers */
	for (unsigned i = 0; i < 5; i++)
		queue_tx(TX_BUF, 60 | ADV | TXD_EOP, 60 << 14);
	go();
	assert_int_equal(r(IGB_RNBC), 3);
	assert_int_equal(r(IGB_MPC), 3);
	assert_int_equal(r(IGB_GPRC), 2);
	assert_int_equal(r(0x2810), 2);
	assert_int_equal(received(&info, &status), 60);
	assert_int_equal(received(&info, &status), 60);
	assert_int_equal(received(&info, &status), -1);
	unplug();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_filters),
		cmocka_unit_test(test_rss),
		cmocka_unit_test(test_no_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
