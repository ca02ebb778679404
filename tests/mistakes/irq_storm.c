/* SPDX-License-Identifier: BSD-3-Clause */
/* device: testdev; kind: irq-storm; says: vector 0 was signalled 65536 times. Nobody reads the
 * eventfd. */
#include "mistakes.h"

int main(void)
{
	int fd = new_eventfd();

	start();
	set_irqs(VFIO_PCI_MSI_IRQ_INDEX, 0, 1, &fd);
	for (unsigned i = 0; i < 65536; i += 1024) {
		write32(TD_MSI_BURST, 1024 << 16); /* MISTAKE */
		if (!MISTAKE)
			take(fd);
	}
	take(fd);
	return 0;
}
