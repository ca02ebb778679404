/* SPDX-License-Identifier: BSD-3-Clause */
/* vfio/iommu_hw.c: which hardware the IOMMU is. */
#include <errno.h>
#include <string.h>

#include "vfio/iommu_hw.h"

static bool dirty_tracking;

int vfio_iommu_choose(const char *text)
{
	if (!strcmp(text, "dirty-tracking=on"))
		dirty_tracking = true;
	else if (!strcmp(text, "dirty-tracking=off"))
		dirty_tracking = false;
	else
		return -EINVAL;
	return 0;
}

bool vfio_iommu_dirty_tracking(void)
{
	return dirty_tracking;
}
