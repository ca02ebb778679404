/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/v3/odd.c: a device with capabilities of which the driver of 2010 knows little: one that is
 * unknown, and a vendor-specific one.
 */
#include <errno.h>
#include <string.h>

#include "uvfio/model.h"

static int create(struct uvfio_dev *dev)
{
	static const uint8_t unknown[10] = { 0x11, 0x22, 0x33, 0x44 };
	const struct uvfio_ids ids = { .vendor = 0x1234, .device = 0x0dd0, .class_code = 0xff0000 };
	int ret;

	uvfio_set_ids(dev, &ids);
	ret = uvfio_add_cap(dev, 0x30, unknown, unknown, sizeof(unknown) + 2);
	if (ret > 0)
		ret = uvfio_add_vendor_cap(dev, "abcdef", NULL, 9);
	return ret < 0 ? ret : 0;
}

UVFIO_PUBLIC const struct uvfio_model uvfio_model = {
	UVFIO_MODEL_INIT,
	.name = "odd",
	.create = create,
};
