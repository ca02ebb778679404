/* SPDX-License-Identifier: BSD-3-Clause */
/* device: testdev; kind: leak-map; asked: -all,leak-map; says: 0x101000. is mapped to the end.
 * By a close. */
#include "mistakes.h"

int main(void)
{
	open_device(1);
	new_memory(PAGE);
	map_memory(PAGE, BOTH_WAYS); /* MISTAKE */
	if (!MISTAKE)
		unmap_memory(PAGE);
	close(device);
	close(group);
	close(container);
	_exit(0);
}
