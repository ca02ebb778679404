/* SPDX-License-Identifier: BSD-3-Clause */
/* device: testdev; kind: mmio-after-close; says: the device was closed, . The mapping keeps the
 * device open, in the kernel as well. */
#include "mistakes.h"

int main(void)
{
	start();
	if (MISTAKE)
		close(device);
	write32(TD_SCRATCH32, 1); /* MISTAKE */
	return 0;
}
