/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine/run/drivers.c: drivers of Linux that a device of the view can have. vfio-pci and pci-stub
 * take any device, but only when they are told to; the others know theirs by its IDs (pci_device_id
 * tables of Linux 7.3). None of the others runs here: one that has a device keeps it from its
 * group's users, as it does on a host, and no disk or network comes of it.
 */
#include <string.h>

#include "base/util.h"
#include "machine/run/internal.h"
#include "vfio/abi.h"

#define ANY_ID 0xffffffffu

static const struct known {
	const char *driver;
	unsigned vendor, device, class, class_mask;
} known[] = {
	{ "igb", 0x8086, 0x10c9, 0, 0 },
	{ "igbvf", 0x8086, 0x10ca, 0, 0 },
	{ "nvme", ANY_ID, ANY_ID, 0x010802, 0xffffff },
	{ "pcieport", ANY_ID, ANY_ID, 0x060400, 0xffffff },
};

bool run_driver_has_id(const char *driver, const struct run_id *id)
{
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		const struct known *k = &known[i];

		if (!strcmp(k->driver, driver) &&
		    (k->vendor == ANY_ID || k->vendor == id->vendor) &&
		    (k->device == ANY_ID || k->device == id->device) &&
		    !((k->class ^ id->class) & k->class_mask))
			return true;
	}
	return false;
}

bool run_driver_is_safe(const char *driver)
{
	return !*driver || !strcmp(driver, vfio_abi_driver()) || !strcmp(driver, RUN_PCI_STUB) ||
	       !strcmp(driver, "pcieport");
}
