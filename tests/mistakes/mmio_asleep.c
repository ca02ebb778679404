/* SPDX-License-Identifier: BSD-3-Clause */
/* device: testdev; kind: mmio-disabled; says: BAR2 ID .0x0000.: read of 4 bytes: it is in D3. By a
 * mapping: the program gets SIGBUS, as with the kernel. */
#include <setjmp.h>
#include <signal.h>

#include "mistakes.h"

static sigjmp_buf back;

static void on_bus_error(int sig)
{
	siglongjmp(back, 1);
}

int main(void)
{
	off_t config = (off_t)region(VFIO_PCI_CONFIG_REGION_INDEX);
	uint16_t pm, state = MISTAKE ? 3 : 0;

	start();
	pm = find_capability(PCI_CAP_ID_PM);
	MUST(pwrite(device, &state, 2, config + pm + PCI_PM_CTRL) == 2);
	signal(SIGBUS, on_bus_error);
	if (!sigsetjmp(back, 1))
		read32(TD_ID); /* MISTAKE */
	return 0;
}
