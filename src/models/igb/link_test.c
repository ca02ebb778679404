/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/igb/link_test.c: the mode of the link as the PHY negotiates or is told, and the option for
 * fewer vectors.
 */
#include "models/igb/igb.h"
#include "models/igb/internal.h"
#include "pci/test_model.h"

enum { BMCR, BMSR, ANAR = 4, GCON = 9, PORT = 17 };
#define SPEED(v)  ((v) >> 6 & 3)
#define FULL(v)	  ((v)&STATUS_FD)
#define ANENABLE  0x1000
#define RESTART	  0x0200
#define DOWN	  0x0800
#define FORCE_100 0x2000
#define FORCE_FD  0x0100

static pci_function *other;

static uint32_t r(uint32_t off)
{
	return (uint32_t)rd(0, off, 4);
}
static void w(uint32_t off, uint32_t v)
{
	wr(0, off, 4, v);
}
static void phy_write(unsigned reg, uint16_t v)
{
	w(IGB_MDIC, v | reg << 16 | 1u << 21 | MDIC_OP_WRITE << 26);
	assert_int_equal(r(IGB_MDIC) & (MDIC_READY | MDIC_ERROR), MDIC_READY);
}
static uint16_t phy(unsigned reg)
{
	w(IGB_MDIC, reg << 16 | 1u << 21 | MDIC_OP_READ << 26);
	return (uint16_t)r(IGB_MDIC);
}

/* A cable to another one. */
static void start(void)
{
	struct pci_option id = { "id", "partner" };
	char err[256];

	plug(&model_igb, "net", "peer:partner");
	if (pci_function_new(&model_igb, "0000:02:00.0", 0, loop, &id, 1, err, sizeof(err), &other))
		fail_msg("%s", err);
	w(IGB_CTRL, CTRL_SLU | CTRL_FD);
}
static void stop(void)
{
	pci_function_free(other);
	unplug();
}

static void offer(uint16_t gcon, uint16_t anar)
{
	phy_write(GCON, gcon);
	phy_write(ANAR, anar | 1);
	r(IGB_ICR);
	phy_write(BMCR, ANENABLE | RESTART);
}

static void test_negotiation(void **state)
{
	static const struct {
		uint16_t gcon, anar, port;
		unsigned speed, full;
	} cases[] = {
		{ 0x0200, 0x0de0, 0xc000, 2, STATUS_FD }, { 0x0100, 0x01e0, 0xc000, 2, 0 },
		{ 0, 0x01e0, 0x8000, 1, STATUS_FD },	  { 0, 0x00e0, 0x8000, 1, 0 },
		{ 0, 0x0060, 0x4000, 0, STATUS_FD },	  { 0, 0x0020, 0x4000, 0, 0 },
	};

	start();
	assert_int_equal(SPEED(r(IGB_STATUS)), 2);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		offer(cases[i].gcon, cases[i].anar);
		assert_true(r(IGB_STATUS) & STATUS_LU);
		assert_int_equal(SPEED(r(IGB_STATUS)), cases[i].speed);
		assert_int_equal(FULL(r(IGB_STATUS)), cases[i].full);
		assert_int_equal(phy(PORT), cases[i].port | 0x0400 | (cases[i].full ? 0x0200 : 0));
		assert_int_equal(r(IGB_ICR) & ICR_LSC, ICR_LSC); /* it went down in between */
	}
	/* offers count from the next negotiation on */
	phy_write(GCON, 0x0200);
	assert_int_equal(SPEED(r(IGB_STATUS)), 0);
	phy_write(BMCR, ANENABLE | DOWN);
	assert_false(r(IGB_STATUS) & STATUS_LU);
	phy_write(BMCR, ANENABLE);
	assert_int_equal(SPEED(r(IGB_STATUS)), 2);
	/* nothing in common */
	offer(0, 0);
	assert_false(r(IGB_STATUS) & STATUS_LU);
	assert_false(phy(BMSR) & 4);
	assert_int_equal(phy(PORT), 0);
	offer(0x0200, 0);
	assert_true(r(IGB_STATUS) & STATUS_LU);
	stop();
}

static void test_forced(void **state)
{
	start();
	r(IGB_ICR);
	phy_write(BMCR, FORCE_100 | FORCE_FD);
	assert_true(r(IGB_STATUS) & STATUS_LU);
	assert_int_equal(SPEED(r(IGB_STATUS)), 1);
	assert_true(FULL(r(IGB_STATUS)));
	assert_int_equal(r(IGB_ICR) & ICR_LSC, ICR_LSC);
	phy_write(BMCR, 0);
	assert_int_equal(SPEED(r(IGB_STATUS)), 0);
	assert_false(FULL(r(IGB_STATUS)));
	/* the MAC's own word goes before the PHY's */
	w(IGB_CTRL, CTRL_SLU | CTRL_FD | CTRL_FRCSPD | CTRL_FRCDPX | CTRL_SPEED_1000);
	assert_int_equal(SPEED(r(IGB_STATUS)), 2);
	assert_true(FULL(r(IGB_STATUS)));
	/* a reset of the function is one of the PHY */
	pci_function_reset(fn, UVFIO_RESET_FLR);
	pci_config_write(fn, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	w(IGB_CTRL, CTRL_SLU);
	assert_int_equal(SPEED(r(IGB_STATUS)), 2);
	assert_true(FULL(r(IGB_STATUS)));
	stop();
}

/* Somebody pulls the cable out, and puts it in again: both ends see it. */
static void test_cable(void **state)
{
	uint64_t v;

	start();
	r(IGB_ICR);
	assert_int_equal(pci_function_link(fn, false), 0);
	assert_false(r(IGB_STATUS) & STATUS_LU);
	assert_false(phy(BMSR) & 4);
	assert_int_equal(r(IGB_ICR) & ICR_LSC, ICR_LSC);
	assert_int_equal(pci_function_link(fn, false), 0);
	assert_int_equal(r(IGB_ICR) & ICR_LSC, 0);
	/* a reset does not put it in, nor does a driver that wakes the PHY */
	phy_write(BMCR, ANENABLE | RESTART);
	assert_false(r(IGB_STATUS) & STATUS_LU);
	assert_int_equal(pci_function_link(fn, true), 0);
	assert_true(r(IGB_STATUS) & STATUS_LU);
	assert_int_equal(r(IGB_ICR) & ICR_LSC, ICR_LSC);
	/* the other end */
	pci_config_write(other, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_int_equal(pci_bar_write(other, 0, IGB_CTRL, 4, CTRL_SLU | CTRL_FD), 0);
	assert_int_equal(pci_bar_read(other, 0, IGB_STATUS, 4, &v), 0);
	assert_true(v & STATUS_LU);
	assert_int_equal(pci_function_link(fn, false), 0);
	assert_int_equal(pci_bar_read(other, 0, IGB_STATUS, 4, &v), 0);
	assert_false(v & STATUS_LU);
	stop();
}

static unsigned find(unsigned id)
{
	unsigned cap = (unsigned)pci_config_read(fn, PCI_CAPABILITY_LIST, 1);

	while (cap && pci_config_read(fn, cap, 1) != id)
		cap = (unsigned)pci_config_read(fn, cap + 1, 1);
	assert_int_not_equal(cap, 0);
	return cap;
}

/* The link to the machine: Linux's driver tells of it at the start. */
static void test_express(void **state)
{
	unsigned cap;

	plug(&model_igb, "mac", "52:54:00:12:34:56");
	cap = find(PCI_CAP_ID_EXP);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pci_config_read(fn, cap + PCI_EXP_LNKCAP, 4) & 0x3ff, 0x41);
		assert_int_equal(pci_config_read(fn, cap + PCI_EXP_LNKSTA, 2) & 0x3ff, 0x41);
		assert_int_equal(pci_config_read(fn, cap + PCI_EXP_LNKCAP2, 4), 2);
		assert_int_equal(pci_config_read(fn, cap + PCI_EXP_LNKCTL2, 2) & 0xf, 1);
		assert_int_equal(pci_config_read(fn, cap + PCI_EXP_LNKSTA2, 2), 0);
		pci_function_reset(fn, UVFIO_RESET_FLR);
	}
	unplug();
}

/* A cause that IVAR sends to an entry that the table does not have goes nowhere. */
static void test_vectors(void **state)
{
	unsigned cap;
	char err[256];

	plug(&model_igb, "vectors", "3");
	cap = find(PCI_CAP_ID_MSIX);
	assert_int_equal(pci_config_read(fn, cap + PCI_MSIX_FLAGS, 2) & PCI_MSIX_FLAGS_QSIZE, 2);
	pci_msix_enable(fn);
	for (unsigned i = 0; i < 3; i++)
		pci_msix_entry(fn, i, true);
	w(IGB_GPIE, GPIE_MSIX);
	w(IGB_EIMS, 0xff);
	w(IGB_EICS, 1u << 2 | 1u << 3);
	assert_int_equal(irqs.msi[2], 1);
	assert_int_equal(irqs.msi[3], 0);
	unplug();
	assert_int_equal(plug_try(&model_igb, "vectors", "0", err, sizeof(err)), -EINVAL);
	loop_free(loop);
	assert_int_equal(plug_try(&model_igb, "vectors", "26", err, sizeof(err)), -EINVAL);
	loop_free(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_negotiation), cmocka_unit_test(test_forced),
		cmocka_unit_test(test_cable),	    cmocka_unit_test(test_express),
		cmocka_unit_test(test_vectors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
