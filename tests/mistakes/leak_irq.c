/* SPDX-License-Identifier: BSD-3-Clause */
/* device: testdev; kind: leak-irq; asked: -all,leak-irq; says: MSI-X is enabled to the end. */
#include "mistakes.h"

int main(void)
{
	struct vfio_irq_set off = { .argsz = sizeof(off),
				    .flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER,
				    .index = VFIO_PCI_MSIX_IRQ_INDEX };
	int fd = new_eventfd();

	open_device(1);
	set_irqs(VFIO_PCI_MSIX_IRQ_INDEX, 0, 1, &fd); /* MISTAKE */
	if (!MISTAKE)
		MUST(!ioctl(device, VFIO_DEVICE_SET_IRQS, &off));
	close(device);
	return 0;
}
