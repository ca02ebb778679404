/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/igb/reg_names_test.c: the tables of registers' names are in order, and true after
 * power-on.
 */
#include "models/igb/igb.h"
#include "pci/test_model.h"
#include "pci/test_regs.h"

static void test_names(void **state)
{
	pci_function *vf;
	char err[256];

	assert_int_equal(plug_try(&model_igb, NULL, NULL, err, sizeof(err)), 0);
	check_regs(fn, 0);
	assert_int_equal(pci_vf_new(fn, 3, "0000:01:10.6", err, sizeof(err), &vf), 0);
	check_regs(vf, 16384);
	pci_function_free(vf);
	pci_function_free(fn);
	loop_free(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_names) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
