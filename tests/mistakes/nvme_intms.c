/* SPDX-License-Identifier: BSD-3-Clause */
/* device: NVME; kind: proto-nvme-intms-msix; says: BAR0 INTMS .0x000c.: 0x1. */
#include "nvme.h"

int main(void)
{
	struct {
		struct vfio_irq_set set;
		int fd;
	} irq = { { .argsz = sizeof(irq),
		    .flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
		    .index = MISTAKE ? VFIO_PCI_MSIX_IRQ_INDEX : VFIO_PCI_INTX_IRQ_INDEX,
		    .count = 1 },
		  eventfd(0, 0) };

	start_nvme();
	MUST(!ioctl(device, VFIO_DEVICE_SET_IRQS, &irq));
	write32(0x0c, 1); /* MISTAKE */
	return 0;
}
