/* SPDX-License-Identifier: BSD-3-Clause */
/* vmm/dma.c: the address space of a device: the guest's memory, or one that the monitor fills. */
#include <errno.h>

#include "vmm/internal.h"

int vm_dma_init(struct uvfio_vm_device *dev)
{
	if (dev->options.iommu_vmm)
		return vm_fail(dev->vm, -ENOTSUP, "iommu=vmm is not done yet");
	dev->dma.ioas = dev->vm->memory.ioas;
	vfio_ioas_get(dev->dma.ioas);
	CDS_INIT_LIST_HEAD(&dev->dma.mappings);
	return 0;
}

void vm_dma_fini(struct uvfio_vm_device *dev)
{
	vfio_ioas_put(dev->dma.ioas);
}
