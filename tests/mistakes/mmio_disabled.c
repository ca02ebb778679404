/* SPDX-License-Identifier: BSD-3-Clause */
/* device: testdev; kind: mmio-disabled; says: BAR2 SCRATCH32 .0x0024.: write of 4 bytes. The
 * program has turned memory decoding off. */
#include "mistakes.h"

int main(void)
{
	uint16_t command = MISTAKE ? 0 : PCI_COMMAND_MEMORY;
	off_t at = (off_t)region(VFIO_PCI_BAR2_REGION_INDEX) + TD_SCRATCH32;
	uint32_t value = 1;

	start();
	MUST(pwrite(device, &command, 2,
		    (off_t)region(VFIO_PCI_CONFIG_REGION_INDEX) + PCI_COMMAND) == 2);
	pwrite(device, &value, 4, at); /* MISTAKE */
	return 0;
}
