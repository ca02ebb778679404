/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/igb/split.c: header splitting (82576 datasheet, 7.1.6): which bytes of a frame go to the
 * header buffer of its first descriptor, and what that descriptor says of it. Linux's igbvf uses it
 * for frames of more than 1522 bytes. Two ways: headers that were asked for and found (PSRTYPE) go
 * there, and nothing else; or the buffer is used for each frame, for its first bytes where there is
 * no header. Header replication is not there.
 */
#include "models/igb/internal.h"

#define HEADER_MAX 1023u /* HDR_LEN has 10 bits (7.1.5.2) */

void igb_split(uint32_t srrctl, size_t header, size_t len, struct igb_split *s)
{
	size_t room = (srrctl >> 8 & 0x3f) * 64; /* BSIZEHEADER, 8.10.2 */
	unsigned type = SRRCTL_DESCTYPE(srrctl);

	*s = (struct igb_split){ 0 };
	if (type != DESCTYPE_SPLIT && type != DESCTYPE_SPLIT_ALWAYS)
		return;
	if (header > HEADER_MAX)
		header = 0;
	if (room > HEADER_MAX)
		room = HEADER_MAX;
	if (type == DESCTYPE_SPLIT_ALWAYS && len <= room) {
		s->front = len;
		s->info = RXD_HDR_LEN(len);
		return;
	}
	if (header)
		s->info = RXD_SPH | RXD_HDR_LEN(header);
	if (header && header <= room) {
		s->front = header;
		return;
	}
	if (header)
		s->error = RXD_HBO;
	if (type == DESCTYPE_SPLIT_ALWAYS) {
		s->front = room;
		if (!header)
			s->info = RXD_HDR_LEN(room);
	}
}

bool igb_descriptor_type_known(uint32_t srrctl)
{
	unsigned type = SRRCTL_DESCTYPE(srrctl);

	return type == DESCTYPE_LEGACY || type == DESCTYPE_ADVANCED || type == DESCTYPE_SPLIT ||
	       type == DESCTYPE_SPLIT_ALWAYS;
}
