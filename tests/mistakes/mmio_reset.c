/* SPDX-License-Identifier: BSD-3-Clause */
/* device: igb; kind: mmio-before-ready; says: BAR0 RCTL .0x0100.: used after CTRL.RST. A port that
 * is set up while it is being reset. */
#include "igb.h"

int main(void)
{
	open_igb();
	write32(CTRL, read32(CTRL) | CTRL_RST);
	while (!MISTAKE && !(read32(EECD) & AUTO_RD))
		;
	write32(RCTL, 0); /* MISTAKE */
	return 0;
}
