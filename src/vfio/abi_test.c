/* SPDX-License-Identifier: BSD-3-Clause */
/* Unit tests of vfio/abi.c. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "vfio/abi.h"

static void right(const char *text, struct vfio_abi want)
{
	char why[128] = "";

	assert_int_equal(vfio_abi_choose(text, why, sizeof(why)), 0);
	assert_string_equal(why, "");
	assert_int_equal(vfio_abi()->v3, want.v3);
	assert_int_equal(vfio_abi()->allow_unsafe_intrs, want.allow_unsafe_intrs);
	assert_int_equal(vfio_abi()->intr_remap, want.intr_remap);
	assert_int_equal(vfio_abi()->mmu_notifier, want.mmu_notifier);
}

static void wrong(const char *text, const char *says)
{
	struct vfio_abi before = *vfio_abi();
	char why[128] = "";

	assert_int_equal(vfio_abi_choose(text, why, sizeof(why)), -EINVAL);
	assert_string_equal(why, says);
	assert_memory_equal(vfio_abi(), &before, sizeof(before));
}

#define OPTIONS ": there are allow_unsafe_intrs=, intr_remap= and mmu_notifier="

static void test_choose(void **state)
{
	right("vfio", (struct vfio_abi){ false, false, true, true });
	right("v3", (struct vfio_abi){ true, false, true, true });
	right("v3,intr_remap=off,allow_unsafe_intrs=1",
	      (struct vfio_abi){ true, true, false, true });
	right("v3,mmu_notifier=off,allow_unsafe_intrs=0,intr_remap=on",
	      (struct vfio_abi){ true, false, true, false });
	wrong("", "there is no interface : there are vfio and v3");
	wrong("v4", "there is no interface v4: there are vfio and v3");
	wrong("v", "there is no interface v: there are vfio and v3");
	wrong("v33,x", "there is no interface v33: there are vfio and v3");
	wrong("vfio,intr_remap=on", "vfio has no options");
	wrong("v3,", "v3 has no option " OPTIONS);
	wrong("v3,intr", "v3 has no option intr" OPTIONS);
	wrong("v3,intr_remap", "intr_remap is off or on");
	wrong("v3,intr_remap=", "intr_remap is off or on");
	wrong("v3,intr_remap=onn", "intr_remap is off or on");
	wrong("v3,allow_unsafe_intrs=2", "allow_unsafe_intrs is 0 or 1");
	right("vfio", (struct vfio_abi){ false, false, true, true });
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_choose),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
