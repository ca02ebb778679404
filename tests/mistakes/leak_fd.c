/* SPDX-License-Identifier: BSD-3-Clause */
/* device: testdev; kind: leak-fd; asked: -all,leak-fd; says: is open to the end. */
#include "mistakes.h"

int main(void)
{
	container = open("/dev/vfio/vfio", O_RDWR); /* MISTAKE */
	MUST(container >= 0);
	if (!MISTAKE)
		close(container);
	return 0;
}
