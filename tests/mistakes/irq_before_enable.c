/* SPDX-License-Identifier: BSD-3-Clause */
/* device: testdev; kind: irq-before-enable; says: messages were enabled in config space. The bit
 * does not do it. */
#include "mistakes.h"

int main(void)
{
	off_t config = (off_t)region(VFIO_PCI_CONFIG_REGION_INDEX);
	uint16_t msix, control = PCI_MSIX_FLAGS_ENABLE;
	int fd = new_eventfd();

	start();
	msix = find_capability(PCI_CAP_ID_MSIX);
	pwrite(device, &control, 2, config + msix + PCI_MSIX_FLAGS); /* MISTAKE */
	if (!MISTAKE)
		set_irqs(VFIO_PCI_MSIX_IRQ_INDEX, 0, 1, &fd);
	write32(TD_MSI, 0);
	take(fd);
	return 0;
}
