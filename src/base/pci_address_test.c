/* SPDX-License-Identifier: BSD-3-Clause */
/* base/pci_address_test.c: addresses as texts, and those of virtual functions. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/pci_address.h"

static void addresses(void **state)
{
	static const char *const bad[] = { "",	       "1",	    "01:00",	"01:00.",
					   "01:00.8",  "01:20.0",   "100:00.0", "01:00.00",
					   "01:00.0 ", " 01:00.0",  "x1:00.0",	"00000:01:00.0",
					   ":01:00.0", "0:1:0:0.0", "01.00.0" };
	struct pci_address a;
	char text[PCI_ADDRESS_TEXT];

	assert_int_equal(pci_address_parse("01:00.0", &a), 0);
	pci_address_print(&a, text);
	assert_string_equal(text, "0000:01:00.0");
	assert_int_equal(pci_address_parse("0000:fF:1f.7", &a), 0);
	pci_address_print(&a, text);
	assert_string_equal(text, "0000:ff:1f.7");
	assert_int_equal(pci_address_parse("a:2:3.1", &a), 0);
	pci_address_print(&a, text);
	assert_string_equal(text, "000a:02:03.1");
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (pci_address_parse(bad[i], &a) != -EINVAL)
			fail_msg("'%s' was taken for an address", bad[i]);
}

static void virtual_functions(void **state)
{
	struct pci_address pf = { .segment = 5, .bus = 1 }, a;

	/* as an igb has them */
	assert_true(pci_address_of_vf(&pf, 128, 2, 0, &a));
	assert_true(pci_address_equal(&a, &(struct pci_address){ 5, 1, 16, 0 }));
	assert_true(pci_address_of_vf(&pf, 128, 2, 7, &a));
	assert_true(pci_address_equal(&a, &(struct pci_address){ 5, 1, 17, 6 }));
	assert_int_equal(pci_address_devfn(&a), 0x8e);
	/* on the next bus */
	assert_true(pci_address_of_vf(&pf, 256, 1, 9, &a));
	assert_true(pci_address_equal(&a, &(struct pci_address){ 5, 2, 1, 1 }));
	pf = (struct pci_address){ .bus = 0xff, .device = 0x1f };
	assert_true(pci_address_of_vf(&pf, 1, 1, 6, &a));
	assert_false(pci_address_of_vf(&pf, 1, 1, 7, &a));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses),
		cmocka_unit_test(virtual_functions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
