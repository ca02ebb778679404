/* SPDX-License-Identifier: BSD-3-Clause */
/* device: testdev; kind: dma-rights. The device writes what it may read only. */
#include "mistakes.h"

int main(void)
{
	open_device(1);
	map_bar(VFIO_PCI_BAR2_REGION_INDEX);
	new_memory(PAGE);
	map_memory(PAGE, MISTAKE ? VFIO_DMA_MAP_FLAG_READ : BOTH_WAYS);
	prepare_fill(IOVA, 64);
	write32(TD_DMA_CMD, TD_OP_FILL); /* MISTAKE */
	return 0;
}
