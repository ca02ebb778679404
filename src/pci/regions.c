/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pci/regions.c: regions of a device that are no BAR: a model adds them, and its driver offers them
 * to users by type and subtype (VFIO_REGION_INFO_CAP_TYPE).
 */
#include <errno.h>
#include <string.h>

#include "base/report.h"
#include "pci/internal.h"

int uvfio_add_region(struct uvfio_dev *dev, const struct uvfio_region *region)
{
	unsigned n = dev->regions.n;

	if (!dev->create.now || !region->size || region->size >> PCI_REGION_SIZE_BITS ||
	    !region->access)
		return -EINVAL;
	if (n == PCI_REGIONS_MAX)
		return uvfio_error(dev, "regions: there can be %u", PCI_REGIONS_MAX);
	dev->regions.is[dev->regions.n++] = *region;
	return (int)n;
}

unsigned pci_num_regions(const pci_function *fn)
{
	return fn->regions.n;
}

const struct uvfio_region *pci_region(const pci_function *fn, unsigned i)
{
	return &fn->regions.is[i];
}

int pci_region_access(pci_function *fn, unsigned i, uint64_t offset, void *buf, size_t n,
		      bool write)
{
	int ret;

	if (atomic_load_explicit(&fn->lost, memory_order_relaxed))
		return -EIO;
	pci_model_enter(fn);
	ret = fn->regions.is[i].access(fn, i, offset, buf, n, write);
	pci_model_leave(fn);
	if (ret < 0)
		report_warn("region-access", fn->name, 0,
			    "region %u: the device refuses a %s of %zu bytes at 0x%llx: %s", i,
			    write ? "write" : "read", n, (unsigned long long)offset,
			    strerror(-ret));
	return ret < 0 ? -EIO : 0;
}
