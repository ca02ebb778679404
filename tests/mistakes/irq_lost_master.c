/* SPDX-License-Identifier: BSD-3-Clause */
/* device: testdev; kind: irq-lost; says: with bus mastering off. A message is a write of the
 * device. */
#include "mistakes.h"

int main(void)
{
	int fd = new_eventfd();

	open_device(!MISTAKE);
	map_bar(VFIO_PCI_BAR2_REGION_INDEX);
	set_irqs(VFIO_PCI_MSIX_IRQ_INDEX, 0, 1, &fd);
	write32(TD_MSI, 0); /* MISTAKE */
	take(fd);
	return 0;
}
