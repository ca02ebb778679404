/* SPDX-License-Identifier: BSD-3-Clause */
/* device: NVME,mdts=1; kind: proto-nvme-transfer-size; says: namespace 1, 24 blocks. MDTS is
 * two pages here. */
#include "nvme.h"

int main(void)
{
	start_io();
	command(1, read_of(MISTAKE ? 24 : 16, AT(DATA), AT(DATA + 1))); /* MISTAKE */
	return 0;
}
