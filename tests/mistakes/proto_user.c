/* SPDX-License-Identifier: BSD-3-Clause */
/* device: COUNTER; kind: proto-counter-report-unaligned; says: BAR0 REPORT .0x0010.: 0x1000.
 * What a model of a user's knows. */
#include "mistakes.h"

#define REPORT 0x10

int main(void)
{
	open_device(1);
	map_bar(VFIO_PCI_BAR0_REGION_INDEX);
	if (MISTAKE)
		write64(REPORT, IOVA + 1); /* MISTAKE */
	else
		write64(REPORT, IOVA + 8);
	return 0;
}
