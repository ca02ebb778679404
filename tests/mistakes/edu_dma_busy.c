/* SPDX-License-Identifier: BSD-3-Clause */
/* device: edu,dma_delay=60000000; kind: proto-edu-dma-busy;
 * says: BAR0 DMA_SRC .0x0080.: a DMA is running. */
#include "mistakes.h"

int main(void)
{
	open_device(1);
	map_bar(VFIO_PCI_BAR0_REGION_INDEX);
	write64(0x80, IOVA);
	write64(0x88, 0x40000);
	write64(0x90, 64);
	if (MISTAKE)
		write64(0x98, 1);
	write64(0x80, IOVA + PAGE); /* MISTAKE */
	return 0;
}
