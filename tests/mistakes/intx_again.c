/* SPDX-License-Identifier: BSD-3-Clause */
/* device: testdev; kind: intx-stuck; says: 100000 times in a row. The cause of INTx is not taken
 * away. */
#include "mistakes.h"

int main(void)
{
	int fd = new_eventfd();

	start();
	set_irqs(VFIO_PCI_INTX_IRQ_INDEX, 0, 1, &fd);
	write32(TD_INTX, 1);
	for (unsigned i = 0; i < 100000; i++) {
		take(fd);
		if (!MISTAKE && i == 100)
			write32(TD_INTX, 0);
		unmask_intx(); /* MISTAKE */
	}
	return 0;
}
