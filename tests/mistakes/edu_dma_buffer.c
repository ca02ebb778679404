/* SPDX-License-Identifier: BSD-3-Clause */
/* device: edu; kind: proto-edu-dma-buffer; says: DMA of 64 bytes at device address 0x0. */
#include "mistakes.h"

int main(void)
{
	open_device(1);
	map_bar(VFIO_PCI_BAR0_REGION_INDEX);
	new_memory(PAGE);
	map_memory(PAGE, BOTH_WAYS);
	write64(0x80, IOVA);
	write64(0x88, MISTAKE ? 0 : 0x40000);
	write64(0x90, 64);
	write64(0x98, 1); /* MISTAKE */
	while (read32(0x98) & 1)
		;
	return 0;
}
