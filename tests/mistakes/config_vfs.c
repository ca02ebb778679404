/* SPDX-License-Identifier: BSD-3-Clause */
/* device: igb; kind: config-lost; says: sriov_numvfs. The program would enable virtual
 * functions itself. */
#include "mistakes.h"

static uint16_t find_sriov(void)
{
	off_t config = (off_t)region(VFIO_PCI_CONFIG_REGION_INDEX);
	uint32_t header, at = PCI_CFG_SPACE_SIZE;

	for (;; at = PCI_EXT_CAP_NEXT(header)) {
		MUST(at && pread(device, &header, 4, config + at) == 4);
		if (PCI_EXT_CAP_ID(header) == PCI_EXT_CAP_ID_SRIOV)
			return (uint16_t)at;
	}
}

int main(void)
{
	off_t config = (off_t)region(VFIO_PCI_CONFIG_REGION_INDEX);
	uint16_t at, n = MISTAKE ? 2 : 0;

	open_device(1);
	at = find_sriov() + PCI_SRIOV_NUM_VF;
	pwrite(device, &n, 2, config + at); /* MISTAKE */
	return 0;
}
