/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/igb/phy_test.c: igb's PHY against the datasheet: MDIC, negotiation, the partner's answers.
 */
#include "models/igb/test_loopback.h"

static void test_phy(void **state)
{
	start();
	assert_int_equal(phy(2), 0x02a8);
	assert_int_equal(phy(3), 0x0391);
	assert_false(phy(1) & 4); /* no net= */
	assert_true(mdic(2, MDIC_OP_READ, 2, 0) & MDIC_ERROR);
	mdic(1, MDIC_OP_WRITE, 31, 0x11b1);
	assert_int_not_equal(phy(17), 0);
	mdic(1, MDIC_OP_WRITE, 31, 0x4000);
	assert_int_equal(phy(17), 0);
	mdic(1, MDIC_OP_WRITE, 31, 0);
	mdic(1, MDIC_OP_WRITE, 4, 0x01e1);
	assert_int_equal(phy(4), 0x01e1);
	mdic(1, MDIC_OP_WRITE, 2, 0);
	assert_int_equal(phy(2), 0x02a8);
	/* The link: PHY's, and shown when the driver says so; each change is a cause. */
	assert_int_equal(r(IGB_ICR) & ICR_LSC, 0);
	mdic(1, MDIC_OP_WRITE, 0, 0x4140);
	assert_false(r(IGB_STATUS) & STATUS_LU);
	w(IGB_CTRL, CTRL_SLU | CTRL_FD | CTRL_SPEED_1000);
	assert_int_equal(r(IGB_STATUS) & 0xc3, 0x83);
	assert_int_equal(r(IGB_ICR) & ICR_LSC, ICR_LSC);
	mdic(1, MDIC_OP_WRITE, 0, 0x4940); /* power down */
	assert_false(r(IGB_STATUS) & STATUS_LU);
	assert_int_equal(r(0xc0) & ICR_LSC, ICR_LSC); /* the alias */
	assert_int_equal(r(IGB_ICR), 0);
	unplug();
}

/* The PHY at the other end of the cable: without power, and by a reset. */
static void test_partner(void **state)
{
	struct loop *its_loop;
	pci_function *its;
	uint8_t *its_mem;

	plug(&model_igb, "id", "left");
	w(IGB_CTRL, CTRL_SLU);
	assert_false(r(IGB_STATUS) & STATUS_LU);
	its = fn, its_loop = loop, its_mem = mem;
	plug(&model_igb, "net", "peer:left");
	w(IGB_CTRL, CTRL_SLU);
	assert_true(r(IGB_STATUS) & STATUS_LU);
	r(IGB_ICR);
	for (int i = 0; i < 3; i++) {
		pci_function *mine = fn;
		fn = its;
		mdic(1, MDIC_OP_WRITE, 0, 0x1940); /* power down */
		assert_false(r(IGB_STATUS) & STATUS_LU);
		fn = mine;
		assert_false(r(IGB_STATUS) & STATUS_LU);
		assert_false(phy(1) & 4);
		assert_int_equal(r(IGB_ICR) & ICR_LSC, ICR_LSC);
		assert_int_equal(r(IGB_ICR) & ICR_LSC, 0);
		fn = its;
		if (i == 0)
			mdic(1, MDIC_OP_WRITE, 0, 0x1140);
		else if (i == 1)
			w(IGB_CTRL, CTRL_SLU | CTRL_PHY_RST);
		else
			pci_function_reset(fn, UVFIO_RESET_BUS);
		fn = mine;
		assert_true(r(IGB_STATUS) & STATUS_LU);
		assert_int_equal(r(IGB_ICR) & ICR_LSC, ICR_LSC);
	}
	unplug();
	fn = its, loop = its_loop, mem = its_mem;
	unplug();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_phy),
		cmocka_unit_test(test_partner),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
