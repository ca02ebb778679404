/* SPDX-License-Identifier: BSD-3-Clause */
/* device: igb; kind: proto-igb-rx-type; says: SRRCTL is 0x6000002. */
#include "igb.h"

int main(void)
{
	start_igb(0);
	write32(RCTL, 0);
	write32(SRRCTL, (MISTAKE ? 3u : 1u) << 25 | 2);
	write32(RCTL, RCTL_EN); /* MISTAKE */
	return 0;
}
