/* SPDX-License-Identifier: BSD-3-Clause */
/* device: testdev; kind: intx-stuck; says: was never unmasked. The program serves INTx once. */
#include "mistakes.h"

int main(void)
{
	int fd = new_eventfd();

	start();
	set_irqs(VFIO_PCI_INTX_IRQ_INDEX, 0, 1, &fd); /* MISTAKE */
	for (unsigned i = 0; i < 3; i++) {
		write32(TD_INTX, 1);
		take(fd);
		write32(TD_INTX, 0);
		if (!MISTAKE)
			unmask_intx();
	}
	return 0;
}
