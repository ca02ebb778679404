/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine/noiommu.c: a machine without an IOMMU, whose devices vfio-pci has all the same
 * (CONFIG_VFIO_NOIOMMU). Each gets a group of its own when it is bound, with a node that says so.
 * A device reads and writes physical addresses, which are made up (vfio/physical.h): no
 * page table of the host's, and no right, is needed.
 */
#include <errno.h>
#include <linux/capability.h>
#include <string.h>

#include "machine/internal.h"
#include "vfio/physical.h"

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

/* fs/proc/task_mmu.c, pagemap_open() */
uint64_t machine_physical_of(struct machine *m, uint64_t vaddr)
{
	if (m->noiommu != MACHINE_NOIOMMU_ALL && !machine_capable(m, CAP_SYS_ADMIN))
		return 0;
	return vfio_physical_of(m->sys, vaddr);
}

/* vfio_env's */
bool machine_may_rawio(void *arg)
{
	struct machine *m = arg;

	return m->noiommu == MACHINE_NOIOMMU_ALL || machine_capable(m, CAP_SYS_RAWIO);
}
