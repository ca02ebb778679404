/* SPDX-License-Identifier: BSD-3-Clause */
/* vmm/quirks.c: what single kinds of devices need besides. */
#include <errno.h>

#include "vmm/internal.h"

int vm_quirks_init(struct uvfio_vm_device *dev)
{
	(void)dev;
	return 0;
}
void vm_quirks_fini(struct uvfio_vm_device *dev)
{
	(void)dev;
}
