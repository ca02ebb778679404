/* SPDX-License-Identifier: BSD-3-Clause */
/* vfio_user/names.c: commands by their names, as the specification has them. */
#include "base/util.h"
#include "vfio_user/wire.h"

const char *vu_command_name(uint32_t command)
{
	static const char *const names[] = {
		[VU_VERSION] = "VERSION",
		[VU_DMA_MAP] = "DMA_MAP",
		[VU_DMA_UNMAP] = "DMA_UNMAP",
		[VU_DEVICE_GET_INFO] = "DEVICE_GET_INFO",
		[VU_DEVICE_GET_REGION_INFO] = "DEVICE_GET_REGION_INFO",
		[VU_DEVICE_GET_REGION_IO_FDS] = "DEVICE_GET_REGION_IO_FDS",
		[VU_DEVICE_GET_IRQ_INFO] = "DEVICE_GET_IRQ_INFO",
		[VU_DEVICE_SET_IRQS] = "DEVICE_SET_IRQS",
		[VU_REGION_READ] = "REGION_READ",
		[VU_REGION_WRITE] = "REGION_WRITE",
		[VU_DMA_READ] = "DMA_READ",
		[VU_DMA_WRITE] = "DMA_WRITE",
		[VU_DEVICE_RESET] = "DEVICE_RESET",
		[VU_DIRTY_PAGES] = "DIRTY_PAGES",
		[VU_REGION_WRITE_MULTI] = "REGION_WRITE_MULTI",
		[VU_DEVICE_FEATURE] = "DEVICE_FEATURE",
		[VU_MIG_DATA_READ] = "MIG_DATA_READ",
		[VU_MIG_DATA_WRITE] = "MIG_DATA_WRITE",
	};

	/* our own, far from the others */
	if (command == VU_UVFIO_RING)
		return "UVFIO_RING";
	return command < ARRAY_SIZE(names) ? names[command] : NULL;
}
