/* SPDX-License-Identifier: BSD-3-Clause */
/* device: NVME; kind: proto-nvme-flags; says: flags 40h. An SGL. */
#include "nvme.h"

int main(void)
{
	struct command read = read_of(1, AT(DATA), 0);

	start_io();
	read.flags = MISTAKE ? 0x40 : 0;
	command(1, read); /* MISTAKE */
	return 0;
}
