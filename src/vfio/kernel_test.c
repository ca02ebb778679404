/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/kernel_test.c: the choice of a kernel, and what goes with it here. Its answers are compared
 * with the kernels' own by tests/oracle and tests/iommufd.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "vfio/kernel.h"
#include "vfio/nodes.h"

static void test_choose(void **state)
{
	assert_true(vfio_kernel_has(VFIO_KERNEL_IOMMUFD)); /* the newest, unless one is chosen */
	assert_int_equal(vfio_kernel_choose("6.12"), 0);
	assert_true(vfio_kernel_has(VFIO_KERNEL_ALWAYS));
	assert_true(vfio_kernel_has(VFIO_KERNEL_MSIX_GROWS));
	assert_false(vfio_kernel_has(VFIO_KERNEL_IOMMUFD));
	assert_int_equal(vfio_kernel_choose("6.1"), 0);
	assert_false(vfio_kernel_has(VFIO_KERNEL_MSIX_GROWS));
	assert_int_equal(vfio_kernel_choose("6.13"), -EINVAL);
	assert_int_equal(vfio_kernel_choose(""), -EINVAL);
	assert_false(vfio_kernel_has(VFIO_KERNEL_MSIX_GROWS)); /* as before */
	for (const char *const *n = vfio_kernel_names; *n; n++)
		assert_int_equal(vfio_kernel_choose(*n), 0);
	assert_true(vfio_kernel_has(VFIO_KERNEL_IOMMUFD));
}

/* A kernel without iommufd has not its nodes, and the host's are hidden all the same. */
static void test_nodes(void **state)
{
	unsigned id;

	assert_non_null(vfio_node_find("/dev/iommu", &id, NULL));
	assert_int_equal(vfio_kernel_choose("6.1"), 0);
	assert_null(vfio_node_find("/dev/iommu", &id, NULL));
	assert_null(vfio_node_find("/dev/vfio/devices/vfio0", &id, NULL));
	assert_non_null(vfio_node_find("/dev/vfio/7", &id, NULL));
	assert_true(vfio_nodes_have("/dev/iommu"));
	assert_int_equal(vfio_kernel_choose("7.3"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_choose),
		cmocka_unit_test(test_nodes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
