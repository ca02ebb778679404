/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/igb/tx_test.c: igb's transmission against the datasheet: checksums, segmentation,
 * write-back, aborted reads.
 */
#include "models/igb/test_loopback.h"

static void test_frame(void **state)
{
	uint64_t info, status;

	start();
	rings(2 << 24);
	w(IGB_IVAR(0), 0x8180);
	w(IGB_GPIE, GPIE_MSIX);
	eth(tx_buf(), 0x88b5);
	for (unsigned i = 14; i < 1000; i++)
		tx_buf()[i] = (uint8_t)i;
	queue_tx(TX_BUF, 500 | ADV, 1000 << 14);
	queue_tx(TX_BUF + 500, 500 | ADV | TXD_EOP | TXD_RS, 0);
	go();
	assert_int_equal(r(0x3810), 2);
	assert_int_equal(txd[0].opt & TXD_DD, 0); /* RS was not asked for */
	assert_int_equal(txd[1].opt, TXD_DD);
	assert_int_equal(received(&info, &status), 1000);
	assert_int_equal(status & 0xfffff, RXD_DD | RXD_EOP);
	assert_memory_equal(rx_buf(0), tx_buf(), 1000);
	assert_int_equal(r(IGB_EICR), 3);
	assert_int_equal(r(IGB_GPRC), 1);
	assert_int_equal(r(IGB_GPRC), 0);
	assert_int_equal(r(IGB_GPTC), 1);
	assert_int_equal(r(IGB_GOTCL), 1004);
	assert_int_equal(r(IGB_GOTCL), 1004); /* until the high half is read */
	assert_int_equal(r(IGB_GOTCL + 4), 0);
	assert_int_equal(r(IGB_GOTCL), 0);
	assert_int_equal(r(IGB_PRC64 + 16), 1);
	/* A short one is padded, and the CRC kept if it is wanted. */
	w(IGB_RCTL, r(IGB_RCTL) & ~RCTL_SECRC);
	queue_tx(TX_BUF, 20 | ADV | TXD_EOP, 20 << 14);
	go();
	assert_int_equal(received(&info, &status), 64);
	assert_int_equal(rx_buf(1)[20], 0);
	assert_int_equal(igb_crc32(rx_buf(1), 64), 0x2144df1c); /* the residue of any good frame */
	/* Legacy descriptors, both ways; a frame of several buffers. */
	w(IGB_RCTL, (r(IGB_RCTL) & ~(3u << 16)) | RCTL_SECRC | 3u << 16); /* 256 bytes */
	w(0x280c, 0);
	queue_tx(TX_BUF, 600 | TXD_EOP | TXD_RS, 0);
	go();
	assert_int_equal(txd[3].opt, TXD_DD);
	assert_int_equal(rxd[2][1], 256 | (uint64_t)RXD_DD << 32);
	assert_int_equal(rxd[3][1], 256 | (uint64_t)RXD_DD << 32);
	assert_int_equal(rxd[4][1], 88 | (uint64_t)(RXD_DD | RXD_EOP) << 32);
	assert_int_equal(rxd[2][0], RX_BUF + 2 * RX_SIZE); /* a legacy one keeps its address */
	unplug();
}

static void test_checksums(void **state)
{
	uint64_t info, status;
	uint8_t *f;
	size_t len;

	start();
	f = tx_buf();
	rings(2 << 24);
	for (unsigned udp = 0; udp < 2; udp++) {
		len = ipv4(f, udp ? 17 : 6, 101, false);
		context(udp ? L4T_UDP : L4T_TCP, 0, 0, 0);
		queue_tx(TX_BUF, (uint32_t)len | ADV | TXD_EOP,
			 POPTS_IXSM | POPTS_TXSM | (uint32_t)len << 14);
		go();
		assert_int_equal(received(&info, &status), (int)len);
		assert_int_equal(info >> 4 & 0xfff, PTYPE_IPV4 | (udp ? PTYPE_UDP : PTYPE_TCP));
		assert_int_equal(status & (RXD_IPCS | RXD_L4CS | RXD_IPE | RXD_L4E),
				 RXD_IPCS | RXD_L4CS);
		assert_int_equal(!!(status & RXD_UDPCS), udp);
	}
	/* Not asked for: the sums are wrong, and reported so. */
	queue_tx(TX_BUF, (uint32_t)len | ADV | TXD_EOP, (uint32_t)len << 14);
	go();
	assert_int_equal(received(&info, &status), (int)len);
	assert_int_equal(status & (RXD_IPE | RXD_L4E), RXD_IPE | RXD_L4E);
	w(IGB_RXCSUM, RXCSUM_PCSD);
	queue_tx(TX_BUF, (uint32_t)len | ADV | TXD_EOP, (uint32_t)len << 14);
	go();
	assert_int_equal(received(&info, &status), (int)len);
	assert_int_equal(status & (RXD_IPE | RXD_L4E | RXD_IPCS | RXD_L4CS), 0);
	unplug();
}

static void test_tso(void **state)
{
	uint64_t info, status;
	uint8_t *f, *got;
	unsigned sent = 0;
	size_t len;
	int n;

	start();
	f = tx_buf();
	rings(2 << 24);
	w(IGB_CTRL, r(IGB_CTRL) | CTRL_VME);
	len = ipv4(f, 6, 3500, true);
	context(L4T_TCP, 1000, 0x2005, 20);
	queue_tx(TX_BUF, (uint32_t)len | ADV | TXD_EOP | TXD_TSE | TXD_VLE,
		 POPTS_IXSM | POPTS_TXSM | 3500 << 14);
	go();
	for (unsigned i = 0; i < 4; i++) {
		got = rx_buf(rx_at);
		n = received(&info, &status);
		assert_int_equal(n, 54 + (i < 3 ? 1000 : 500));
		assert_int_equal(status & (RXD_IPE | RXD_L4E | RXD_L4CS), RXD_L4CS);
		assert_true(status & RXD_VP);
		assert_int_equal(status >> 48, 0x2005); /* added, and taken off again */
		assert_int_equal(igb_be16(got + 18), 0x1234 + i);
		assert_int_equal(igb_be32(got + 38), 0x10000 + 1000 * i);
		assert_int_equal(got[47], i < 3 ? 0x10 : 0x19);
		assert_memory_equal(got + 54, f + 54 + sent, (size_t)n - 54);
		sent += (unsigned)n - 54;
	}
	assert_int_equal(received(&info, &status), -1);
	assert_int_equal(r(IGB_TSCTC), 1);
	/* Segments that are padded lose nothing of what follows. */
	len = ipv4(f, 6, 6, true);
	context(L4T_TCP, 2, 0, 20);
	queue_tx(TX_BUF, (uint32_t)len | ADV | TXD_EOP | TXD_TSE, 6 << 14);
	go();
	for (unsigned i = 0; i < 3; i++) {
		got = rx_buf(rx_at);
		assert_int_equal(received(&info, &status), 60);
		assert_memory_equal(got + 54, f + 54 + 2 * i, 2);
	}
	/* No segment size: nothing goes out, and the queue lives on. */
	context(L4T_TCP, 0, 0, 20);
	queue_tx(TX_BUF, (uint32_t)len | ADV | TXD_EOP | TXD_TSE | TXD_RS, 3500 << 14);
	go();
	assert_int_equal(received(&info, &status), -1);
	assert_int_equal(r(IGB_TSCTC + 4), 1);
	assert_int_equal(txd[5].opt, TXD_DD);
	unplug();
}

static void test_head_writeback(void **state)
{
	start();
	rings(2 << 24);
	eth(tx_buf(), 0x88b5);
	w(0x3838, (uint32_t)(IOVA + 0x7000) | 1);
	w(0x383c, 0);
	queue_tx(TX_BUF, 60 | ADV | TXD_EOP, 60 << 14);
	queue_tx(TX_BUF, 60 | ADV | TXD_EOP | TXD_RS, 60 << 14);
	go();
	assert_int_equal(mem[0x7000], 2);
	assert_int_equal(txd[1].opt & TXD_DD, 0);
	unplug();
}

/* DMA that the IOMMU refuses, and rings that make no sense. */
static void test_aborts(void **state)
{
	uint64_t info, status;

	start();
	log_set(-1, LOG_NONE);
	rings(2 << 24);
	eth(tx_buf(), 0x88b5);
	queue_tx(BAD, 60 | ADV | TXD_EOP | TXD_RS, 60 << 14);
	queue_tx(TX_BUF, 60 | ADV | TXD_EOP | TXD_RS, 60 << 14);
	go();
	assert_int_equal(txd[0].opt & TXD_DD, 0);
	assert_int_equal(r(0x3810), 0);
	assert_true(pci_config_read(fn, PCI_STATUS, 2) & PCI_STATUS_REC_MASTER_ABORT);
	go(); /* it stands */
	assert_int_equal(received(&info, &status), -1);
	w(IGB_CTRL, CTRL_RST);
	rings(2 << 24);
	queue_tx(TX_BUF, 60 | ADV | TXD_EOP | TXD_RS, 60 << 14);
	go();
	assert_int_equal(received(&info, &status), 60);
	/* Tails and heads outside of the ring. */
	w(0x3818, 0xffff);
	w(0x3810, 0xfff0);
	w(0x3818, 3);
	assert_int_equal(received(&info, &status), -1);
	w(0x2810, 0xffff);
	w(0x3810, 0);
	w(0x3818, 1);
	assert_int_equal(received(&info, &status), -1);
	/* A ring that is not mapped. */
	w(IGB_CTRL, CTRL_RST);
	rings(2 << 24);
	w(0x2800, (uint32_t)BAD);
	queue_tx(TX_BUF, 60 | ADV | TXD_EOP | TXD_RS, 60 << 14);
	go();
	assert_int_equal(txd[0].opt & TXD_DD, TXD_DD); /* it was sent */
	assert_int_equal(r(IGB_GPRC), 0);
	/* Bus mastering off. */
	w(IGB_CTRL, CTRL_RST);
	rings(2 << 24);
	pci_config_write(fn, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	queue_tx(TX_BUF, 60 | ADV | TXD_EOP | TXD_RS, 60 << 14);
	go();
	assert_int_equal(r(0x3810), 0);
	pci_config_write(fn, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_int_equal(r(0x3810), 1); /* it only waited */
	assert_int_equal(received(&info, &status), 60);
	log_set(2, LOG_WARN);
	unplug();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frame),  cmocka_unit_test(test_checksums),
		cmocka_unit_test(test_tso),    cmocka_unit_test(test_head_writeback),
		cmocka_unit_test(test_aborts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
