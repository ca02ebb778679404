/* SPDX-License-Identifier: BSD-3-Clause */
/* device: edu; kind: mmio-undefined; says: BAR0: write of 4 bytes at 0x10, where. */
#include "mistakes.h"

int main(void)
{
	open_device(1);
	map_bar(VFIO_PCI_BAR0_REGION_INDEX);
	if (MISTAKE)
		write32(0x10, 5); /* MISTAKE */
	else
		write32(0x08, 5);
	return 0;
}
