/* SPDX-License-Identifier: BSD-3-Clause */
/* device: testdev; kind: msix-unset; says: MSI-X vector 3 was sent. The device is told to send a
 * vector that has no eventfd. */
#include "mistakes.h"

int main(void)
{
	int fds[4] = { new_eventfd(), new_eventfd(), new_eventfd(), new_eventfd() };

	start();
	set_irqs(VFIO_PCI_MSIX_IRQ_INDEX, 0, MISTAKE ? 3 : 4, fds); /* MISTAKE */
	write32(TD_MSI, 3);
	take(fds[3]);
	return 0;
}
