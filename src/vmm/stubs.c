/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm/stubs.c: functions of parts that are not there yet, which others call. Whoever brings one in
 * takes it out here.
 */
#include "vmm/internal.h"

/* intx.c */
void vm_intx_access(struct uvfio_vm_device *dev)
{
	(void)dev;
}

/* msix.c */
uint64_t vm_msix_table_read(struct uvfio_vm_device *dev, uint64_t offset, unsigned size)
{
	(void)dev;
	(void)offset;
	return size < 8 ? (1ull << 8 * size) - 1 : UINT64_MAX;
}
void vm_msix_table_write(struct uvfio_vm_device *dev, uint64_t offset, unsigned size,
			 uint64_t value)
{
	(void)dev;
	(void)offset;
	(void)size;
	(void)value;
}
uint64_t vm_msix_pba_read(struct uvfio_vm_device *dev, uint64_t offset, unsigned size)
{
	(void)dev;
	(void)offset;
	return size < 8 ? (1ull << 8 * size) - 1 : UINT64_MAX;
}

/* msi.c */
void vm_msi_written(struct uvfio_vm_device *dev, uint16_t old)
{
	(void)dev;
	(void)old;
}
/* msix.c */
void vm_msix_written(struct uvfio_vm_device *dev, uint16_t old)
{
	(void)dev;
	(void)old;
}
/* reset.c */
void vm_reset_after(struct uvfio_vm_device *dev)
{
	vm_config_after_reset(dev);
}
