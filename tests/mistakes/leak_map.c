/* SPDX-License-Identifier: BSD-3-Clause */
/* device: testdev; kind: leak-map; asked: -all,leak-map; says: 0x101000. is mapped to the end.
 * At the end of the program. */
#include "mistakes.h"

int main(void)
{
	open_device(1);
	new_memory(PAGE);
	map_memory(PAGE, BOTH_WAYS); /* MISTAKE */
	if (!MISTAKE)
		unmap_memory(PAGE);
	return 0;
}
