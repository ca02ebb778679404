/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/igb/irq_test.c: igb's interrupts against the datasheet: MSI-X, its throttling, the line
 * and MSI.
 */
#include "models/igb/test_loopback.h"

static void test_msix(void **state)
{
	start();
	pci_msix_enable(fn);
	for (unsigned i = 0; i < IGB_VECTORS; i++)
		pci_msix_entry(fn, i, true);
	w(IGB_GPIE, GPIE_MSIX | GPIE_EIAME);
	w(IGB_EIAC, 1);
	w(IGB_EIAM, 1);
	w(IGB_IVAR_MISC, 0x8500);
	w(IGB_EICS, 1);
	assert_int_equal(irqs.msi[0], 0); /* not enabled */
	w(IGB_EIMS, 1);
	assert_int_equal(irqs.msi[0], 1);
	assert_int_equal(r(IGB_EIMS), 0); /* EIAM */
	assert_int_equal(r(IGB_EICR), 0); /* EIAC */
	w(IGB_EICS, 1);
	w(IGB_EICR, 1); /* written away before it is enabled */
	w(IGB_EIMS, 1);
	assert_int_equal(irqs.msi[0], 1);
	w(IGB_EIMC, 1);
	/* A cause of ICR, by IVAR_MISC. */
	w(IGB_EIMS, 1 << 5);
	w(IGB_ICS, ICR_LSC);
	assert_int_equal(irqs.msi[5], 0);
	w(IGB_IMS, ICR_LSC);
	assert_int_equal(irqs.msi[5], 1);
	assert_int_equal(r(IGB_EICR), 1 << 5);
	assert_int_equal(r(IGB_ICR), ICR_LSC | ICR_ASSERTED);
	assert_int_equal(r(IGB_ICR), 0);
	unplug();
}

static void test_throttle(void **state)
{
	start();
	pci_msix_enable(fn);
	pci_msix_entry(fn, 3, true);
	w(IGB_GPIE, GPIE_MSIX);
	w(IGB_EIAC, 1 << 3);
	w(IGB_EIMS, 1 << 3);
	w(IGB_EITR(3), 8000 << 2); /* 8 ms apart */
	w(IGB_EICS, 1 << 3);
	assert_int_equal(irqs.msi[3], 1);
	w(IGB_EICS, 1 << 3);
	w(IGB_EICS, 1 << 3);
	assert_int_equal(irqs.msi[3], 1);
	WAIT(irqs.msi[3] == 2);
	usleep(20000);
	assert_int_equal(irqs.msi[3], 2);
	w(IGB_EICS, 1 << 3);
	w(IGB_EICS, 1 << 3); /* waits; a reset forgets it */
	w(IGB_CTRL, CTRL_RST);
	usleep(20000);
	assert_int_equal(irqs.msi[3], 3);
	unplug();
}

static void test_intx(void **state)
{
	start();
	w(IGB_ICS, ICR_LSC);
	assert_int_equal(irqs.intx_level, 0);
	w(IGB_IMS, ICR_LSC);
	assert_int_equal(irqs.intx_level, 1);
	w(IGB_IMC, ICR_LSC);
	assert_int_equal(irqs.intx_level, 0);
	w(IGB_IAM, ICR_LSC);
	w(IGB_IMS, ICR_LSC);
	assert_int_equal(r(IGB_ICR), ICR_LSC | ICR_ASSERTED);
	assert_int_equal(irqs.intx_level, 0);
	assert_int_equal(r(IGB_IMS), 0); /* IAM */
	/* MSI: one message for each rise. */
	pci_msi_enable(fn, 0);
	w(IGB_IMS, ICR_LSC);
	w(IGB_ICS, ICR_LSC);
	w(IGB_ICS, ICR_LSC);
	assert_int_equal(irqs.msi[0], 1);
	assert_int_equal(r(IGB_ICR) & ICR_LSC, ICR_LSC);
	w(IGB_IMS, ICR_LSC);
	w(IGB_ICS, ICR_LSC);
	assert_int_equal(irqs.msi[0], 2);
	assert_int_equal(irqs.intx_level, 0);
	unplug();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_msix),
		cmocka_unit_test(test_throttle),
		cmocka_unit_test(test_intx),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
