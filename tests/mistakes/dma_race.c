/* SPDX-License-Identifier: BSD-3-Clause */
/* device: NVME; kind: dma-race; asked: all,-leak;
 * says: an entry of a submission queue, 64 bytes at IOVA 0x102040
 *
 * The completion queue is full, so the second command waits in its queue; it is changed there. To
 * change it when it was fetched is right. */
#include "nvme.h"

int main(void)
{
	struct command flush = { .opcode = 0, .nsid = 1, .cid = 1 };
	volatile struct command *sq;

	start_nvme();
	MUST(!create_cq(1, AT(IO_CQ), 2));
	MUST(!create_sq(1, AT(IO_SQ), 1));
	put(1, &flush);
	write32(SQTDBL(1), tail[1]);
	MUST(!reap(1));
	flush.cid = 2;
	put(1, &flush);
	write32(SQTDBL(1), tail[1]); /* MISTAKE */
	sq = (volatile struct command *)(memory + IO_SQ * PAGE);
	if (MISTAKE)
		sq[1].cid = 3;
	write32(CQHDBL(1), 1);
	while (!(((volatile uint16_t *)(memory + IO_CQ * PAGE))[8 + 7] & 1u))
		;
	sq[1].cid = 4;
	sq[0].cid = 5;
	put(1, &flush);
	return 0;
}
