/* SPDX-License-Identifier: BSD-3-Clause */
/* vmm/config.c: config space as the guest reads and writes it. */
#include <errno.h>

#include "vmm/internal.h"

int vm_config_init(struct uvfio_vm_device *dev)
{
	return vm_fail(dev->vm, -ENOSYS, "%s: config space is not done yet", dev->name);
}
void vm_config_fini(struct uvfio_vm_device *dev)
{
	(void)dev;
}
void vm_config_after_reset(struct uvfio_vm_device *dev)
{
	(void)dev;
}
