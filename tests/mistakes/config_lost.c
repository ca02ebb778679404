/* SPDX-License-Identifier: BSD-3-Clause */
/* device: testdev,flr=off; kind: config-lost; says: the function has no FLR. The program wants to
 * reset it by a bit that this function does not have. */
#include "mistakes.h"

int main(void)
{
	off_t config = (off_t)region(VFIO_PCI_CONFIG_REGION_INDEX);
	uint16_t at, control;

	start();
	at = find_capability(PCI_CAP_ID_EXP) + PCI_EXP_DEVCTL;
	MUST(pread(device, &control, 2, config + at) == 2);
	control |= MISTAKE ? PCI_EXP_DEVCTL_BCR_FLR : PCI_EXP_DEVCTL_NOSNOOP_EN;
	pwrite(device, &control, 2, config + at); /* MISTAKE */
	return 0;
}
