/* SPDX-License-Identifier: BSD-3-Clause */
/* models/igb/igb_test.c: igb as a whole: the link, quiesce, and a driver that makes no sense. */
#include "models/igb/test_loopback.h"

/*
 * A queue waits for the link, and goes on when it comes; a quiet device sends and stores nothing.
 */
static void test_link_and_quiet(void **state)
{
	uint64_t info, status;

	start();
	rings(2 << 24);
	w(IGB_CTRL, r(IGB_CTRL) & ~CTRL_SLU);
	eth(tx_buf(), 0x88b5);
	queue_tx(TX_BUF, 60 | ADV | TXD_EOP, 60 << 14);
	go();
	assert_int_equal(r(0x3810), 0);
	w(IGB_CTRL, r(IGB_CTRL) | CTRL_SLU);
	assert_int_equal(r(0x3810), 1);
	assert_int_equal(received(&info, &status), 60);
	pci_function_quiesce(fn);
	w(IGB_FCTTV, 1); /* a store wakes it */
	queue_tx(TX_BUF, 60 | ADV | TXD_EOP, 60 << 14);
	go();
	assert_int_equal(received(&info, &status), 60);
	unplug();
}

/*
 * Drivers that make no sense, on two threads: random registers, values, descriptors. Nothing to
 * expect but that it ends, and that afterwards a reset makes a device that works.
 */
static void *hostile(void *arg)
{
	static const uint32_t often[] = {
		IGB_CTRL, IGB_RCTL, IGB_TCTL,	 IGB_MDIC,    IGB_SWSM, IGB_GPIE, IGB_MRQC,
		0x2800,	  0x2808,   0x280c,	 0x2810,      0x2818,	0x2828,	  0x3800,
		0x3808,	  0x3810,   0x3818,	 0x3828,      0x3838,	IGB_EIMS, IGB_EICS,
		IGB_IMS,  IGB_ICS,  IGB_EITR(0), IGB_IVAR(0),
	};
	uint64_t x = (uintptr_t)arg, v;

	for (unsigned i = 0; i < 30000; i++) {
		uint32_t off, val;

		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		off = x & 3 ? often[(x >> 8) % (sizeof(often) / sizeof(often[0]))]
			    : (uint32_t)(x >> 8) & 0x1fffc;
		val = (uint32_t)(x >> 32);
		if (off == 0x2800 || off == 0x3800)
			val = (uint32_t)IOVA + (val & 0xff80);
		else if (off == 0x2808 || off == 0x3808)
			val &= 0xff;
		else if (off == 0x3838)
			val = 0; /* it would write into the other's expectations */
		else if (off == 0x2818 || off == 0x3818 || off == 0x2810 || off == 0x3810)
			val &= 0x1f;
		else if (off == IGB_CTRL)
			val = x & 4 ? val & ~CTRL_RST : CTRL_SLU;
		else if (off == IGB_RCTL || off == IGB_TCTL || off == 0x2828 || off == 0x3828)
			val |= RCTL_EN | QUEUE_ENABLE;
		if (x & 64)
			pci_bar_write(fn, 0, off, 4, val);
		else
			pci_bar_read(fn, 0, off, 4, &v);
	}
	return NULL;
}

static void test_hostile(void **state)
{
	uint64_t info, status, x = 88172645463325252ull;
	pthread_t t[2];

	start();
	log_set(-1, LOG_NONE);
	for (size_t i = 0; i < MEM_SIZE; i += 8) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		memcpy(mem + i, &x, 8);
		/* half of the words are addresses that are mapped */
		if (x & 1)
			*(uint64_t *)(mem + i) = IOVA + (x >> 8 & 0xffff);
	}
	for (uintptr_t i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&t[i], NULL, hostile, (void *)(i * 77 + 12345)), 0);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	pci_function_reset(fn, UVFIO_RESET_FLR);
	log_set(2, LOG_WARN);
	pci_config_write(fn, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	rings(2 << 24);
	memset(mem, 0, 0x1000);
	eth(tx_buf(), 0x88b5);
	queue_tx(TX_BUF, 60 | ADV | TXD_EOP | TXD_RS, 60 << 14);
	go();
	assert_int_equal(received(&info, &status), 60);
	unplug();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_link_and_quiet),
		cmocka_unit_test(test_hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
