/* SPDX-License-Identifier: BSD-3-Clause */
/* device: NVME; kind: proto-nvme-lba-range; says: namespace 1, 8 blocks at block 32761. */
#include "nvme.h"

int main(void)
{
	struct command read = read_of(8, AT(DATA), 0);

	start_io();
	read.cdw10 = 16 * 2048 - 8 + MISTAKE;
	command(1, read); /* MISTAKE */
	return 0;
}
