/* SPDX-License-Identifier: BSD-3-Clause */
/* device: testdev; kind: irq-unhandled; says: vector 0 was signalled 1 times. Nobody reads the
 * eventfd. */
#include "mistakes.h"

int main(void)
{
	int fd = new_eventfd();

	start();
	set_irqs(VFIO_PCI_MSIX_IRQ_INDEX, 0, 1, &fd); /* MISTAKE */
	write32(TD_MSI, 0);
	usleep(1100000);
	if (!MISTAKE)
		take(fd);
	return 0;
}
