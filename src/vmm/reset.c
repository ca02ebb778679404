/* SPDX-License-Identifier: BSD-3-Clause */
/* vmm/reset.c: resets of one device, and of all of a guest. */
#include "vmm/internal.h"

void vm_reset_init(struct uvfio_vm_device *dev)
{
	(void)dev;
}
void vm_reset_before(struct uvfio_vm_device *dev)
{
	(void)dev;
}
