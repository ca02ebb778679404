/* SPDX-License-Identifier: BSD-3-Clause */
/* pci/failing_test.c: a model's table of faults, and when they happen. */
#include "fault/test_fault_table.h"
#include "pci/test_function.h"

enum { STALL, LIMP, QUIET };
static const struct uvfio_fault faults[] = {
	[STALL] = { .name = "stall", .line = "It stalls" },
	[LIMP] = { .name = "limp",
		   .line = "It limps",
		   .value = "LEGS",
		   .def = 3,
		   .max = 4,
		   .keys = { "way", "day" } },
	[QUIET] = { .name = "quiet-2", .line = "It is quiet" },
	{ 0 },
};

static pci_function *fn;

static int setup(void **state)
{
	t_model.faults = faults;
	fn = t_new(NULL);
	faults_begin(1);
	return 0;
}

static int teardown(void **state)
{
	faults_end();
	t_free(fn);
	return 0;
}

static uint64_t limps(uint64_t way, uint64_t day)
{
	const uint64_t at[] = { way, day };
	uint64_t legs = 77;

	return uvfio_fault(fn, LIMP, at, &legs) ? legs : 0;
}

static void test_which(void **state)
{
	assert_false(uvfio_fault(fn, STALL, NULL, NULL));
	faults_add("test.stall,after=1");
	faults_add("other.quiet-2");
	assert_false(uvfio_fault(fn, STALL, NULL, NULL));
	assert_true(uvfio_fault(fn, STALL, NULL, NULL));
	assert_false(uvfio_fault(fn, QUIET, NULL, NULL));
	assert_int_equal(limps(1, 2), 0);
}

static void test_keys_and_values(void **state)
{
	faults_add("test.limp,day=7-9,times=1");
	faults_add("test.limp=2,way=5,day=3");
	assert_int_equal(limps(5, 2), 0);
	assert_int_equal(limps(4, 3), 0);
	assert_int_equal(limps(5, 3), 2);
	assert_int_equal(limps(5, 8), 3);
	assert_int_equal(limps(5, 8), 0);
	/* not checked against the table: never above what the model can take */
	faults_add("test.limp=9,way=6");
	assert_int_equal(limps(6, 0), 4);
	/* no such number: it means no access */
	faults_add("test.limp,year=1");
	assert_int_equal(limps(1, 1), 0);
}

static void test_tables(void **state)
{
	const struct uvfio_fault bad_name[] = { { .name = "No", .line = "It" }, { 0 } },
				 no_line[] = { { .name = "no" }, { 0 } },
				 high[] = { { .name = "no", .line = "It", .value = "N", .def = 2 },
					    { 0 } };

	assert_null(pci_faults_wrong(NULL));
	assert_null(pci_faults_wrong(faults));
	assert_non_null(pci_faults_wrong(bad_name));
	assert_non_null(pci_faults_wrong(no_line));
	assert_non_null(pci_faults_wrong(high));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_which, setup, teardown),
		cmocka_unit_test_setup_teardown(test_keys_and_values, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tables, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
