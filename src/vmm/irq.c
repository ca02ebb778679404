/* SPDX-License-Identifier: BSD-3-Clause */
/* vmm/irq.c: which kind of interrupt a device has now, and the way from one to the other. */
#include <errno.h>

#include "vmm/internal.h"

int vm_irq_init(struct uvfio_vm_device *dev)
{
	return vm_fail(dev->vm, -ENOSYS, "%s: interrupts are not done yet", dev->name);
}
void vm_irq_fini(struct uvfio_vm_device *dev)
{
	(void)dev;
}
int vm_irq_to_intx(struct uvfio_vm_device *dev)
{
	(void)dev;
	return -ENOSYS;
}
void vm_irq_off(struct uvfio_vm_device *dev)
{
	(void)dev;
}
int vm_irq_listen(struct uvfio_vm_device *dev)
{
	(void)dev;
	return 0;
}
void vm_irq_unlisten(struct uvfio_vm_device *dev)
{
	(void)dev;
}
void vm_irq_describe(struct uvfio_vm_device *dev, FILE *f)
{
	(void)dev;
	(void)f;
}
