/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * v3/config_tables.c: the rights of a user in config space, capability by capability: which bits of
 * a register are the driver's copy (virt), and which can be written (write), to the copy or to the
 * device. What has no line here is read from the device, and writes to it are dropped.
 */
#include "v3/internal.h"

#define ALL	  0xffffffffu
#define FIELDS(f) .fields = (f), .num_fields = ARRAY_SIZE(f)

/*
 * PCIe 6.0, 7.5.1. Decoding stays on: COMMAND's bits 0 and 1 cannot be written. A user masters the
 * bus and disables INTx as it likes.
 */
static const struct v3_field header_fields[] = {
	{ PCI_VENDOR_ID, 2, ALL, 0 },
	{ PCI_DEVICE_ID, 2, ALL, 0 },
	{ PCI_COMMAND, 2, 0, (uint16_t) ~(PCI_COMMAND_IO | PCI_COMMAND_MEMORY) },
	{ PCI_STATUS, 2, 0, ALL },
	{ PCI_CACHE_LINE_SIZE, 1, 0, ALL },
	{ PCI_LATENCY_TIMER, 1, 0, ALL },
	{ PCI_BIST, 1, 0, ALL },
	{ PCI_BASE_ADDRESS_0, 4, ALL, ALL },
	{ PCI_BASE_ADDRESS_1, 4, ALL, ALL },
	{ PCI_BASE_ADDRESS_2, 4, ALL, ALL },
	{ PCI_BASE_ADDRESS_3, 4, ALL, ALL },
	{ PCI_BASE_ADDRESS_4, 4, ALL, ALL },
	{ PCI_BASE_ADDRESS_5, 4, ALL, ALL },
	{ PCI_ROM_ADDRESS, 4, ALL, ALL },
	{ PCI_INTERRUPT_LINE, 1, ALL, ALL },
};
const struct v3_rights v3_header = {
	.len = PCI_STD_HEADER_SIZEOF,
	.write = v3_write_header,
	FIELDS(header_fields),
};

/* PCIe 6.0, 7.5.2: D-states and power management events are the user's */
static const struct v3_field pm_fields[] = { { PCI_PM_CTRL, 4, 0, ALL } };
/* PCIe 6.0, 7.9.18: the user makes the transfer */
static const struct v3_field vpd_fields[] = { { PCI_VPD_ADDR, 2, 0, ALL },
					      { PCI_VPD_DATA, 4, 0, ALL } };
/* PCI-X 2.0, 7.2 */
static const struct v3_field pcix_fields[] = { { PCI_X_CMD, 2, 0, ALL },
					       { PCI_X_ECC_CSR, 4, 0, ALL } };
/* PCIe 6.0, 7.5.3: device control and status, link control's low byte, slot control */
static const struct v3_field exp_fields[] = { { PCI_EXP_DEVCTL, 4, 0, ALL },
					      { PCI_EXP_LNKCTL, 1, 0, ALL },
					      { PCI_EXP_SLTCTL, 3, 0, ALL } };
/* PCIe 6.0, 7.9.21 */
static const struct v3_field af_fields[] = { { PCI_AF_CTRL, 1, 0, PCI_AF_CTRL_FLR } };

/*
 * PCIe 6.0, 7.7.1: message control is read-only, since it shows the work of the ioctl; address and
 * data are a copy that has no effect; mask bits are the user's.
 */
static const struct v3_field msi_32[] = { { PCI_MSI_ADDRESS_LO, 4, ALL, ALL },
					  { PCI_MSI_DATA_32, 2, ALL, ALL },
					  { PCI_MSI_MASK_32, 4, 0, ALL },
					  { PCI_MSI_PENDING_32, 4, 0, ALL } };
static const struct v3_field msi_64[] = { { PCI_MSI_ADDRESS_LO, 4, ALL, ALL },
					  { PCI_MSI_ADDRESS_HI, 4, ALL, ALL },
					  { PCI_MSI_DATA_64, 2, ALL, ALL },
					  { PCI_MSI_MASK_64, 4, 0, ALL },
					  { PCI_MSI_PENDING_64, 4, 0, ALL } };
static const struct v3_rights msi_rights[2] = { { FIELDS(msi_32) }, { FIELDS(msi_64) } };

/* By ID (PCI Code and ID Assignment 1.11, 2). One that is not here has its header and two bytes. */
static const struct v3_rights unknown = { .len = 4 };
static const struct v3_rights rights[PCI_CAP_ID_MAX + 1] = {
	[PCI_CAP_ID_PM] = { .len = PCI_PM_SIZEOF, .write = v3_write_pm, FIELDS(pm_fields) },
	[PCI_CAP_ID_AGP] = { .len = 12 },
	[PCI_CAP_ID_VPD] = { .len = 8, FIELDS(vpd_fields) },
	[PCI_CAP_ID_PCIX] = { FIELDS(pcix_fields) },
	[PCI_CAP_ID_HT] = { .len = 28 },
	[PCI_CAP_ID_VNDR] = { 0 },
	/* 36 bytes whatever its version: what came later is nobody's */
	[PCI_CAP_ID_EXP] = { .len = 36, .write = v3_write_exp, FIELDS(exp_fields) },
	[PCI_CAP_ID_MSIX] = { .len = PCI_CAP_MSIX_SIZEOF },
	[PCI_CAP_ID_AF] = { .len = PCI_CAP_AF_SIZEOF, .write = v3_write_af, FIELDS(af_fields) },
};

static bool is_known(uint8_t id)
{
	static const uint8_t known[] = { PCI_CAP_ID_PM,	  PCI_CAP_ID_AGP,  PCI_CAP_ID_VPD,
					 PCI_CAP_ID_PCIX, PCI_CAP_ID_HT,   PCI_CAP_ID_VNDR,
					 PCI_CAP_ID_EXP,  PCI_CAP_ID_MSIX, PCI_CAP_ID_AF };

	for (size_t i = 0; i < sizeof(known); i++)
		if (known[i] == id)
			return true;
	return false;
}

const struct v3_rights *v3_rights_of(const uint8_t *cfg, uint8_t id, unsigned pos)
{
	if (id == PCI_CAP_ID_MSI && pos + PCI_MSI_FLAGS < PCI_CFG_SIZE)
		return &msi_rights[!!(cfg[pos + PCI_MSI_FLAGS] & PCI_MSI_FLAGS_64BIT)];
	return is_known(id) ? &rights[id] : &unknown;
}

unsigned v3_cap_len(const uint8_t *cfg, uint8_t id, unsigned pos)
{
	const struct v3_rights *r = v3_rights_of(cfg, id, pos);
	unsigned flags;

	if (r->len)
		return r->len;
	switch (id) {
	case PCI_CAP_ID_MSI:
		flags = cfg[pos + PCI_MSI_FLAGS] | cfg[pos + PCI_MSI_FLAGS + 1] << 8;
		return 10u + (flags & PCI_MSI_FLAGS_64BIT ? 4 : 0) +
		       (flags & PCI_MSI_FLAGS_MASKBIT ? 10 : 0);
	case PCI_CAP_ID_PCIX:
		return cfg[pos + PCI_X_CMD + 1] & 0x30 ? 24 : 8;
	default: /* vendor-specific: its third byte, which counts its header */
		return cfg[pos + PCI_CAP_FLAGS] < 2 ? 2 : cfg[pos + PCI_CAP_FLAGS];
	}
}
