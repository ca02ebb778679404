/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/igb/nvm_test.c: igb's EEPROM, driven by the pins of EECD as a driver does it; EERD shows
 * what it has.
 */
#include "models/igb/igb.h"
#include "models/igb/internal.h"
#include "pci/test_model.h"

static uint32_t r(uint32_t off)
{
	return (uint32_t)rd(0, off, 4);
}
static void w(uint32_t off, uint32_t v)
{
	wr(0, off, 4, v);
}

/* The serial EEPROM, by its pins: @n bits out, or in. */
static void pins(uint32_t v)
{
	w(IGB_EECD, EECD_REQ | v);
}
static void spi_send(uint32_t v, unsigned n)
{
	while (n--) {
		uint32_t di = v >> n & 1 ? EECD_DI : 0;

		pins(di);
		pins(di | EECD_SK);
		pins(di);
	}
}
static uint32_t spi_get(unsigned n)
{
	uint32_t v = 0;

	while (n--) {
		pins(EECD_SK);
		v = v << 1 | !!(r(IGB_EECD) & EECD_DO);
		pins(0);
	}
	return v;
}
static void spi_end(void)
{
	pins(EECD_CS);
	pins(0);
}
static uint32_t eerd(uint32_t word)
{
	w(IGB_EERD, word << 2 | EERD_START);
	return r(IGB_EERD) >> 16;
}

static void test_eeprom(void **state)
{
	plug(&model_igb, "mac", "52:54:00:12:34:56");
	assert_true(r(IGB_EECD) & EECD_ADDR_BITS);
	pins(EECD_CS);
	spi_end();
	spi_send(0x05, 8);
	assert_int_equal(spi_get(8), 0);
	spi_end();
	spi_send(0x030000, 24); /* read: the address, low byte first */
	assert_int_equal(spi_get(32), 0x52540012);
	assert_int_equal(spi_get(16), 0x3456);
	spi_end();
	spi_send(0x0207e012, 32); /* not enabled */
	spi_end();
	assert_int_equal(eerd(0x3f0), 0xffff);
	spi_send(0x06, 8);
	spi_end();
	spi_send(0x05, 8);
	assert_int_equal(spi_get(8), 2);
	spi_end();
	spi_send(0x0207fe, 24); /* the last word and, as a page goes round, the page's first */
	spi_send(0x3412, 16);
	spi_send(0x7856, 16);
	assert_int_equal(eerd(0x3ff), 0xffff); /* when it is deselected, not before */
	spi_end();
	assert_int_equal(eerd(0x3ff), 0x1234);
	assert_int_equal(eerd(0x3f0), 0x5678);
	spi_send(0x05, 8);
	assert_int_equal(spi_get(8), 0); /* to be enabled anew */
	spi_end();
	spi_send(0x0207fe, 24);
	spi_send(0, 16);
	spi_end();
	assert_int_equal(eerd(0x3ff), 0x1234);
	/* In the middle of a byte nothing is written; the address at reset is the EEPROM's. */
	spi_send(0x06, 8);
	spi_end();
	spi_send(0x020000, 24);
	spi_send(0x0, 7);
	spi_end();
	assert_int_equal(eerd(0), 0x5452);
	spi_send(0x020004, 24);
	spi_send(0x77, 8);
	spi_end();
	w(IGB_CTRL, CTRL_RST);
	assert_int_equal(r(IGB_RAH(0)), 0x80005677);
	pci_function_reset(fn, UVFIO_RESET_FLR);
	pci_config_write(fn, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_int_equal(r(IGB_RAH(0)), 0x80005677);
	/* Protected: the upper half. */
	pins(EECD_CS);
	spi_end();
	spi_send(0x06, 8);
	spi_end();
	spi_send(0x0108, 16);
	spi_end();
	for (unsigned i = 0; i < 2; i++) {
		spi_send(0x06, 8);
		spi_end();
		spi_send(i ? 0x0203fe : 0x0207fe, 24);
		spi_send(0x1111, 16);
		spi_end();
	}
	assert_int_equal(eerd(0x3ff), 0x1234);
	assert_int_equal(eerd(0x1ff), 0x1111);
	w(IGB_EECD, 0);
	assert_false(r(IGB_EECD) & EECD_GNT);
	unplug();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_eeprom),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
