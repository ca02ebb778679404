/* SPDX-License-Identifier: BSD-3-Clause */
/* device: edu; kind: dma-unmapped; says: the last store to this device. edu makes its DMA on a
 * thread of uvfio's, a moment after the store. */
#include "mistakes.h"

int main(void)
{
	open_device(1);
	map_bar(VFIO_PCI_BAR0_REGION_INDEX);
	new_memory(PAGE);
	map_memory(PAGE, BOTH_WAYS);
	write64(0x80, 0x40000);			    /* source: in the device */
	write64(0x88, IOVA + (MISTAKE ? PAGE : 0)); /* destination */
	write64(0x90, 64);
	write64(0x98, 3); /* MISTAKE */
	while (*(volatile uint64_t *)(bar + 0x98) & 1)
		usleep(1000);
	return 0;
}
