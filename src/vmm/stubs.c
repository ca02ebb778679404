/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm/stubs.c: functions of parts that are not there yet, which others call. Whoever brings one in
 * takes it out here.
 */
#include "vmm/internal.h"

/* reset.c */
void vm_reset_after(struct uvfio_vm_device *dev)
{
	vm_config_after_reset(dev);
}
