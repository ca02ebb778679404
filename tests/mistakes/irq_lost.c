/* SPDX-License-Identifier: BSD-3-Clause */
/* device: testdev,msi_mask=off; kind: irq-lost; says: MSI vector 3 was sent. The device may use
 * four, as three are no power of two. */
#include "mistakes.h"

int main(void)
{
	int fds[4] = { new_eventfd(), new_eventfd(), new_eventfd(), new_eventfd() };

	start();
	set_irqs(VFIO_PCI_MSI_IRQ_INDEX, 0, MISTAKE ? 3 : 4, fds);
	write32(TD_MSI, 3); /* MISTAKE */
	take(fds[3]);
	return 0;
}
