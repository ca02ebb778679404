/* SPDX-License-Identifier: BSD-3-Clause */
/* A device whose reads of BAR0 never return, as if its client withheld the memory it waits for. */
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "uvfio/model.h"

static int create(struct uvfio_dev *dev)
{
	static const struct uvfio_ids ids = { .vendor = 0x1234, .device = 0x5678 };
	int rc = uvfio_set_ids(dev, &ids);

	return rc ? rc : uvfio_add_bar(dev, 0, 4096, 0);
}

static int bar_read(struct uvfio_dev *dev, unsigned bar, uint64_t offset, unsigned size,
		    uint64_t *value)
{
	(void)dev, (void)bar, (void)offset, (void)size, (void)value;
	fputs("it is inside\n", stderr);
	while (pause())
		;
	return 0;
}

UVFIO_PUBLIC const struct uvfio_model uvfio_model = {
	UVFIO_MODEL_INIT,
	.name = "stuck",
	.create = create,
	.bar_read = bar_read,
};
