/* SPDX-License-Identifier: BSD-3-Clause */
/* device: testdev,msi_mask=off; kind: irq-lost; says: MSI vector 1 was sent. It has no eventfd, and
 * MSI without mask bits has no place for what waits. */
#include "mistakes.h"

int main(void)
{
	int fds[2] = { new_eventfd(), MISTAKE ? -1 : new_eventfd() };

	start();
	set_irqs(VFIO_PCI_MSI_IRQ_INDEX, 0, 2, fds);
	write32(TD_MSI, 1); /* MISTAKE */
	if (!MISTAKE)
		take(fds[1]);
	return 0;
}
