/* SPDX-License-Identifier: BSD-3-Clause */
/* device: edu,factorial_delay=10000000; kind: proto-edu-factorial-busy;
 * says: FACTORIAL .0x0008.: another. */
#include "mistakes.h"

int main(void)
{
	open_device(1);
	map_bar(VFIO_PCI_BAR0_REGION_INDEX);
	write32(0x08, 5);
	if (MISTAKE)
		write32(0x08, 6); /* MISTAKE */
	return 0;
}
