/* SPDX-License-Identifier: BSD-3-Clause */
/* device: NVME,latency=200ms; kind: dma-race; asked: all,-leak;
 * says: a PRP list, 16 bytes at IOVA 0x10c000
 *
 * The list of a read is changed before the read completes. */
#include "nvme.h"

int main(void)
{
	struct command c = read_of(24, AT(DATA), AT(LIST));
	volatile uint16_t *cqe;
	volatile uint64_t *list;
	int late;

	start_io();
	list = (volatile uint64_t *)(memory + LIST * PAGE);
	cqe = (volatile uint16_t *)(memory + IO_CQ * PAGE);
	do { /* again, if this thread did not run for too long */
		list[0] = AT(DATA + 1);
		list[1] = AT(DATA + 2);
		put(1, &c);
		write32(SQTDBL(1), tail[1]); /* MISTAKE */
		if (MISTAKE)
			list[1] = AT(DATA + 3);
		late = MISTAKE && cqe[8 * head[1] + 7] & 1u;
		MUST(!reap(1));
		took(1);
		list[0] = 0;
	} while (late && head[1] < ENTRIES - 1);
	return 0;
}
