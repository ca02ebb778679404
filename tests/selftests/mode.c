/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/selftests/mode.c: linked with the objects of the kernel's VFIO selftests
 * (tests/selftests.sh). Their library has a variable for the mode that a test uses when it names
 * none, iommufd; this sets it to what the environment says, before main().
 */
#include <stdlib.h>

extern const char *default_iommu_mode; /* libvfio/iommu.h */

__attribute__((constructor)) static void set_mode(void)
{
	const char *mode = getenv("SELFTESTS_IOMMU_MODE");

	if (mode)
		default_iommu_mode = mode;
}
