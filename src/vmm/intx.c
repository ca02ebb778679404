/* SPDX-License-Identifier: BSD-3-Clause */
/* vmm/intx.c: INTx: by the user's mode, with a line, or past the monitor. */
#include "vmm/internal.h"

void vm_intx_eoi(struct uvfio_vm_device *dev)
{
	(void)dev;
}
void vm_intx_route_changed(struct uvfio_vm_device *dev)
{
	(void)dev;
}
void vm_intx_pause(struct uvfio_vm_device *dev, bool paused)
{
	(void)dev;
	(void)paused;
}
