/* SPDX-License-Identifier: BSD-3-Clause */
/* vmm/bars.c: BARs in the guest. */
#include <errno.h>

#include "vmm/internal.h"

int vm_bars_init(struct uvfio_vm_device *dev)
{
	return vm_fail(dev->vm, -ENOSYS, "%s: BARs are not done yet", dev->name);
}
void vm_bars_fini(struct uvfio_vm_device *dev)
{
	(void)dev;
}
void vm_bars_down(struct uvfio_vm_device *dev)
{
	(void)dev;
}
void vm_bars_describe(struct uvfio_vm_device *dev, FILE *f)
{
	(void)dev;
	(void)f;
}
