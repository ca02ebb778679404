/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm/stubs.c: functions of parts that are not there yet, which others call. Whoever brings one in
 * takes it out here.
 */
#include "vmm/internal.h"

/* config.c */
void vm_config_set(struct uvfio_vm_device *dev, unsigned offset, unsigned size, uint32_t value,
		   uint32_t emulated, uint32_t writable)
{
	(void)dev;
	(void)offset;
	(void)size;
	(void)value;
	(void)emulated;
	(void)writable;
}
uint32_t vm_config_copy(const struct uvfio_vm_device *dev, unsigned offset, unsigned size)
{
	(void)dev;
	(void)offset;
	(void)size;
	return 0;
}

/* rom.c */
uint64_t vm_rom_read(struct uvfio_vm_device *dev, uint64_t offset, unsigned size)
{
	(void)dev;
	(void)offset;
	return size < 8 ? (1ull << 8 * size) - 1 : UINT64_MAX;
}

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
