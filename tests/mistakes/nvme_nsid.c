/* SPDX-License-Identifier: BSD-3-Clause */
/* device: NVME; kind: proto-nvme-nsid; says: namespace 2, 1 blocks at block 0. */
#include "nvme.h"

int main(void)
{
	struct command read = read_of(1, AT(DATA), 0);

	start_io();
	read.nsid += MISTAKE;
	command(1, read); /* MISTAKE */
	return 0;
}
