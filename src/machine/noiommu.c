/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine/noiommu.c: a machine without an IOMMU, whose devices vfio-pci has all the same
 * (CONFIG_VFIO_NOIOMMU). Each gets a group of its own when it is bound, with a node that says so.
 * What a device reads and writes are physical addresses. The machine's memory is the program's, so
 * these are the program's own addresses: no page table of the host's, and no right, is needed.
 */
#include <errno.h>
#include <linux/capability.h>
#include <string.h>

#include "machine/internal.h"

int machine_set_noiommu(struct machine *m, const char *who)
{
	if (!strcmp(who, "rawio"))
		m->noiommu = MACHINE_NOIOMMU;
	else if (!strcmp(who, "all"))
		m->noiommu = MACHINE_NOIOMMU_ALL;
	else
		return -EINVAL;
	return 0;
}

/* vfio_env's */
bool machine_noiommu_mode(void *arg)
{
	struct machine *m = arg;

	return m->run_dir ? run_noiommu_mode(m->run_dir) : m->noiommu != MACHINE_HAS_IOMMU;
}

/* vfio_env's */
bool machine_may_rawio(void *arg)
{
	struct machine *m = arg;

	return m->noiommu == MACHINE_NOIOMMU_ALL || machine_capable(m, CAP_SYS_RAWIO);
}
