/* SPDX-License-Identifier: BSD-3-Clause */
/* device: testdev; kind: dma-blocked. A reset took bus mastering away. */
#include "mistakes.h"

int main(void)
{
	start();
	if (MISTAKE) {
		uint16_t command = PCI_COMMAND_MEMORY;

		MUST(!ioctl(device, VFIO_DEVICE_RESET));
		MUST(pwrite(device, &command, 2,
			    (off_t)region(VFIO_PCI_CONFIG_REGION_INDEX) + PCI_COMMAND) == 2);
	}
	prepare_fill(IOVA, 64);
	write32(TD_DMA_CMD, TD_OP_FILL); /* MISTAKE */
	return 0;
}
