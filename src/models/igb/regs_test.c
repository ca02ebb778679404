/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/igb/regs_test.c: igb's registers against the datasheet: identity, values after reset,
 * aliases, semaphores, reset.
 */
#include "models/igb/test_loopback.h"

static void test_identity(void **state)
{
	uint32_t sum = 0, v;

	start();
	assert_int_equal(pci_config_read(fn, 0, 4), 0x10c98086);
	assert_int_equal(pci_config_read(fn, 8, 4) >> 8, 0x020000);
	assert_int_equal(r(IGB_RAL(0)), 0x12005452);
	assert_int_equal(r(IGB_RAH(0)), 0x80005634);
	assert_int_equal(r(0x40), 0x12005452); /* the alias */
	v = r(IGB_EECD);
	assert_int_equal(v & (EECD_PRES | EECD_AUTO_RD), EECD_PRES | EECD_AUTO_RD);
	for (unsigned i = 0; i < 0x40; i++) {
		w(IGB_EERD, i << 2 | EERD_START);
		v = r(IGB_EERD);
		assert_true(v & EERD_DONE);
		sum += v >> 16;
	}
	assert_int_equal(sum & 0xffff, 0xbaba);
	w(IGB_EECD, EECD_REQ);
	assert_true(r(IGB_EECD) & EECD_GNT);
	w(IGB_EECD, 0);
	assert_false(r(IGB_EECD) & EECD_GNT);
	unplug();
}

/* Without mac=: locally administered, another one for each device. */
static void test_own_mac(void **state)
{
	uint32_t h;

	plug(&model_igb, NULL, NULL);
	h = (uint32_t)uvfio_unique(fn);
	assert_int_equal(r(IGB_RAL(0)), 0x1b02 | h << 16);
	assert_int_equal(r(IGB_RAH(0)), RAH_AV | h >> 16);
	assert_int_equal(pci_config_read(fn, pci_find_ext_cap(fn, PCI_EXT_CAP_ID_DSN) + 8, 4),
			 0x021b00ff | (h & 0xff) << 8);
	unplug();
}

static void test_bad_mac(void **state)
{
	static const char *const bad[] = { "",
					   "52:54:00:12:34",
					   "52:54:00:12:34:567",
					   "52-54-00-12-34-56",
					   "01:00:00:00:00:01",
					   "52:54:00:12:34:xx" };
	char err[256];

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(plug_try(&model_igb, "mac", bad[i], err, sizeof(err)), -EINVAL);
		loop_free(loop);
	}
}

static void test_registers(void **state)
{
	start();
	w(IGB_RCTL, 0x04cfb0fc); /* not RXEN */
	assert_int_equal(r(IGB_RCTL), 0x04cfb0fc);
	w(0x2800, 0xffffffff);
	assert_int_equal(r(0x2800), 0xffffff80);
	assert_int_equal(r(0xc000), 0xffffff80);
	w(0xe3c8, 0xa5a5a5a5); /* TDLEN(15) */
	assert_int_equal(r(0xe3c8), 0x5a5a0);
	w(0x1fffc, 0xffffffff); /* reserved */
	assert_int_equal(r(0x1fffc), 0);
	w(IGB_RAH(23), 0xffffffff);
	assert_int_equal(r(IGB_RAH(23)), 0x83ffffff);
	assert_int_equal(rd(0, IGB_RAL(0), 8), 0x8000563412005452);
	assert_int_equal(rd(0, IGB_RAL(0) + 1, 1), 0x54);
	log_set(-1, LOG_NONE);
	assert_int_equal(pci_bar_write(fn, 0, IGB_RAL(0), 1, 0), -EIO);
	log_set(2, LOG_WARN);
	wr(2, 0, 4, IGB_FCTTV); /* through I/O */
	wr(2, 4, 4, 0x1234);
	assert_int_equal(rd(2, 4, 4), 0x1234);
	assert_int_equal(r(IGB_FCTTV), 0x1234);
	wr(2, 0, 4, 0xfffffffc);
	wr(2, 4, 4, 0x1234);
	assert_int_equal(rd(2, 4, 4), 0);
	unplug();
}

static void test_semaphores(void **state)
{
	start();
	assert_false(r(IGB_SWSM) & SWSM_SMBI);
	assert_true(r(IGB_SWSM) & SWSM_SMBI); /* the read took it */
	w(IGB_SWSM, r(IGB_SWSM) | SWSM_SWESMBI);
	assert_int_equal(r(IGB_SWSM), SWSM_SMBI | SWSM_SWESMBI);
	w(IGB_SW_FW_SYNC, 3);
	w(IGB_CTRL, CTRL_RST);
	assert_int_equal(r(IGB_SW_FW_SYNC), 3);
	w(IGB_SWSM, 0);
	assert_int_equal(r(IGB_SWSM), 0);
	unplug();
}

static void test_reset(void **state)
{
	start();
	rings(2 << 24);
	w(IGB_EIMS, 1);
	w(IGB_RAL(3), 5);
	w(IGB_CTRL, r(IGB_CTRL) | CTRL_RST);
	assert_false(r(IGB_CTRL) & CTRL_RST);
	assert_int_equal(r(IGB_RCTL), 0);
	assert_int_equal(r(IGB_RAL(3)), 0);
	assert_int_equal(r(IGB_RAL(0)), 0x12005452);
	assert_int_equal(r(IGB_EIMS), 0);
	assert_int_equal(r(0x2818), 0);
	assert_false(r(IGB_STATUS) & STATUS_LU);
	assert_true(r(IGB_EECD) & EECD_AUTO_RD);
	assert_int_equal(phy(0), 0x4140); /* the PHY is not the MAC's to reset */
	w(IGB_CTRL, CTRL_PHY_RST);
	assert_int_equal(phy(0), 0x1140);
	assert_true(r(IGB_STATUS) & STATUS_PHYRA);
	w(IGB_STATUS, 0);
	assert_false(r(IGB_STATUS) & STATUS_PHYRA);
	w(IGB_RAL(3), 5);
	pci_function_reset(fn, UVFIO_RESET_FLR);
	pci_config_write(fn, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_int_equal(r(IGB_RAL(3)), 0);
	unplug();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_identity),   cmocka_unit_test(test_own_mac),
		cmocka_unit_test(test_bad_mac),	   cmocka_unit_test(test_registers),
		cmocka_unit_test(test_semaphores), cmocka_unit_test(test_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
