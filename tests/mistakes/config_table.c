/* SPDX-License-Identifier: BSD-3-Clause */
/* device: testdev; kind: config-lost; says: into the table of MSI-X. The table is the kernel's. */
#include "mistakes.h"

int main(void)
{
	off_t regs = (off_t)region(VFIO_PCI_BAR2_REGION_INDEX);
	uint32_t address = 0xfee00000;
	uint32_t where;

	start();
	MUST(pread(device, &where, 4,
		   (off_t)region(VFIO_PCI_CONFIG_REGION_INDEX) + find_capability(PCI_CAP_ID_MSIX) +
			   PCI_MSIX_TABLE) == 4);
	MUST((where & PCI_MSIX_TABLE_BIR) == VFIO_PCI_BAR2_REGION_INDEX);
	if (!MISTAKE)
		return 0;
	pwrite(device, &address, 4, regs + (where & PCI_MSIX_TABLE_OFFSET)); /* MISTAKE */
	return 0;
}
