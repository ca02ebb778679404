/* SPDX-License-Identifier: BSD-3-Clause */
/* device: NVME; kind: proto-nvme-aer-limit; says: opcode 0ch. */
#include "nvme.h"

int main(void)
{
	start_nvme();
	for (unsigned i = 0; i < 4 + MISTAKE; i++) {
		put(0, &(struct command){ .opcode = 12, .cid = (uint16_t)i });
		write32(SQTDBL(0), tail[0]); /* MISTAKE */
	}
	return 0;
}
