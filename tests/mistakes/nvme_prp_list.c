/* SPDX-License-Identifier: BSD-3-Clause */
/* device: NVME; kind: proto-nvme-prp-offset; says: PRP1 0x104000, PRP2 0x10c000. */
#include "nvme.h"

int main(void)
{
	uint64_t *list;

	start_io();
	list = (uint64_t *)(memory + LIST * PAGE);
	list[0] = AT(DATA + 1);
	list[1] = AT(DATA + 2) + (MISTAKE ? 64 : 0);
	command(1, read_of(24, AT(DATA), AT(LIST))); /* MISTAKE */
	return 0;
}
