/* SPDX-License-Identifier: BSD-3-Clause */
/* device: igb; kind: proto-igb-sync-unowned; says: SW_FW_SYNC .0x5b5c.: 0x1. */
#include "igb.h"

int main(void)
{
	open_igb();
	if (!MISTAKE)
		write32(0x5b50, 2);
	write32(0x5b5c, 1); /* MISTAKE */
	return 0;
}
