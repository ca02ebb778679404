/* SPDX-License-Identifier: BSD-3-Clause */
/* device: NVME; kind: proto-nvme-prp-offset; says: PRP1 0x104800, PRP2 0x105200. */
#include "nvme.h"

int main(void)
{
	start_io();
	command(1, read_of(8, AT(DATA) + 2048, AT(DATA + 1) + (MISTAKE ? 512 : 0))); /* MISTAKE */
	return 0;
}
