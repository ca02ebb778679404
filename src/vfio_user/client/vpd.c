/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_user/client/vpd.c: product data (VPD), which is read by two registers of config space, one
 * after the other. It is read as a whole when the device is found, so that who shows it in sysfs
 * later neither needs a connection nor disturbs a user of the registers. (PCI 2.2, I)
 */
#include <linux/pci_regs.h>

#include "vfio_user/client/internal.h"

#define CONFIG	 VFIO_PCI_CONFIG_REGION_INDEX
#define VPD_MAX	 4096u /* more than anybody has; the register would do for 32 KiB */
#define TRIES	 100u
#define END_TAG	 0x0fu
#define IS_LARGE 0x80u

/* Read the four bytes at @offset. 0, or -errno: there are none. */
static int read_word(struct vu_client *c, struct vu_session *s, unsigned offset, uint8_t out[4])
{
	uint16_t addr = (uint16_t)offset;

	if (vu_region_rw(s, CONFIG, c->vpd + PCI_VPD_ADDR, &addr, 2, true) != 2)
		return -EIO;
	for (unsigned i = 0; i < TRIES; i++) {
		if (vu_region_rw(s, CONFIG, c->vpd + PCI_VPD_ADDR, &addr, 2, false) != 2)
			return -EIO;
		if (addr & PCI_VPD_ADDR_F)
			return vu_region_rw(s, CONFIG, c->vpd + PCI_VPD_DATA, out, 4, false) == 4
				       ? 0
				       : -EIO;
	}
	return -EIO;
}

/* Have the data up to @end. 0 or -errno. */
static int read_to(struct vu_client *c, struct vu_session *s, uint8_t *data, unsigned *len,
		   unsigned end)
{
	int rc = end > VPD_MAX ? -EIO : 0;

	for (; !rc && *len < end; *len += 4)
		rc = read_word(c, s, *len, data + *len);
	return rc;
}

void vu_vpd_read(struct vu_client *c, struct vu_session *s)
{
	unsigned at = 0, len = 0;
	uint8_t *data, tag;
	bool ended = false;
	int rc;

	if (!c->vpd || c->vpd_data)
		return;
	data = heap_alloc(VPD_MAX);
	if (!data)
		return;
	do {
		rc = read_to(c, s, data, &len, at + 3);
		if (rc)
			break;
		tag = data[at];
		ended = !(tag & IS_LARGE) && tag >> 3 == END_TAG;
		at += tag & IS_LARGE ? 3u + data[at + 1] + 256u * data[at + 2] : 1u + (tag & 7);
		rc = read_to(c, s, data, &len, at);
	} while (!rc && !ended);
	if (ended && !rc) {
		c->vpd_data = data;
		c->vpd_len = len;
		return;
	}
	heap_free(data);
	report_info("vfio-user-vpd", c->vdev.name, 0,
		    "its product data (VPD) cannot be read: sysfs does not have it");
}

uint32_t vu_vpd_get(const struct vu_client *c, unsigned offset)
{
	uint32_t v = UINT32_MAX;

	if (range_within(offset, sizeof(v), c->vpd_len))
		memcpy(&v, c->vpd_data + offset, sizeof(v));
	return v;
}
