/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_pci/config_tables.c: the rights of a user, capability by capability, as two bit masks for
 * each register: virt (the bit lives in the virtual copy) and write (the bit can be written, to the
 * copy if it is virtual, else to the hardware). A register that is not named reads from the
 * hardware and drops writes. The pointer to the next capability is always virtual, so that a
 * capability can be taken out of the chain.
 *
 * The tables follow the kernel's vfio-pci: what a function can do to itself is the user's; what
 * would change how others on the bus see it (BARs, payload size, ARI) or how the host delivers
 * interrupts (MSI address, DisINTx) is not.
 */
#include "vfio_pci/internal.h"

#define ALL	  0xffffffffu
#define FIELDS(f) .fields = (f), .num_fields = ARRAY_SIZE(f)

/* PCIe 6.0, 7.5.1.1 and 7.5.1.2: the type 0 header */
static const struct vfio_pci_field header_fields[] = {
	{ PCI_VENDOR_ID, 2, ALL, 0 },
	{ PCI_DEVICE_ID, 2, ALL, 0 },
	{ PCI_COMMAND, 2, PCI_COMMAND_INTX_DISABLE, ALL },
	{ PCI_STATUS, 2, PCI_STATUS_CAP_LIST, 0 },
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
	{ PCI_CAPABILITY_LIST, 1, ALL, 0 },
	{ PCI_INTERRUPT_LINE, 1, ALL, ALL },
	{ PCI_INTERRUPT_PIN, 1, ALL, 0 },
};
static const struct vfio_pci_perm header_perm = {
	.len = PCI_STD_HEADER_SIZEOF,
	.write = vfio_pci_write_header,
	FIELDS(header_fields),
};

#define NEXT                                 \
	{                                    \
		PCI_CAP_LIST_NEXT, 1, ALL, 0 \
	}

/*
 * PCIe 6.0, 7.5.2. The user cannot be given PME events: the bits read 0. The state field goes
 * through vfio_pci_write_pm.
 */
#define PM_PME (PCI_PM_CTRL_PME_ENABLE | PCI_PM_CTRL_PME_STATUS)
static const struct vfio_pci_field pm_fields[] = {
	NEXT,
	{ PCI_PM_PMC, 2, PCI_PM_CAP_PME_MASK, 0 },
	{ PCI_PM_CTRL, 4, PM_PME, ~(uint32_t)(PM_PME | PCI_PM_CTRL_STATE_MASK) },
};

/* PCIe 6.0, 7.9.18: the window is virtual, vfio_pci_write_vpd makes the transfer */
static const struct vfio_pci_field vpd_fields[] = {
	NEXT,
	{ PCI_VPD_ADDR, 2, ALL, ALL },
	{ PCI_VPD_DATA, 4, ALL, ALL },
};

/* PCI-X 2.0, 7.2 */
static const struct vfio_pci_field pcix_fields[] = {
	NEXT,
	{ PCI_X_CMD, 2, 0, ALL },
	{ PCI_X_ECC_CSR, 4, 0, ALL },
};

/*
 * PCIe 6.0, 7.5.3: FLR, payload and read request sizes are emulated; phantom functions would
 * confuse an IOMMU, and ARI forwarding is a matter of the bus.
 */
static const struct vfio_pci_field exp_fields[] = {
	NEXT,
	{ PCI_EXP_DEVCTL, 2,
	  PCI_EXP_DEVCTL_BCR_FLR | PCI_EXP_DEVCTL_PAYLOAD | PCI_EXP_DEVCTL_READRQ,
	  (uint16_t)~PCI_EXP_DEVCTL_PHANTOM },
	{ PCI_EXP_DEVCTL2, 2, 0, (uint16_t)~PCI_EXP_DEVCTL2_ARI },
};

/* PCIe 6.0, 7.9.21 */
static const struct vfio_pci_field af_fields[] = {
	NEXT,
	{ PCI_AF_CTRL, 1, PCI_AF_CTRL_FLR, PCI_AF_CTRL_FLR },
};

static const struct vfio_pci_field direct_fields[] = { NEXT };

/*
 * By capability ID (PCI Code and ID Assignment 1.11, 2). A capability that is not here is hidden
 * from the user: hot plug, bridges' and debug capabilities, enhanced allocation, and the unknown.
 */
static const struct vfio_pci_perm std_perms[PCI_CAP_ID_MAX + 1] = {
	[PCI_CAP_ID_PM] = { .len = PCI_PM_SIZEOF, .write = vfio_pci_write_pm, FIELDS(pm_fields) },
	[PCI_CAP_ID_AGP] = { .len = PCI_AGP_SIZEOF, FIELDS(direct_fields) },
	[PCI_CAP_ID_VPD] = { .len = PCI_CAP_VPD_SIZEOF,
			     .write = vfio_pci_write_vpd,
			     FIELDS(vpd_fields) },
	[PCI_CAP_ID_MSI] = { .len = VFIO_PCI_LEN_VAR }, /* vfio_pci_msi_perm */
	[PCI_CAP_ID_PCIX] = { .len = VFIO_PCI_LEN_VAR, FIELDS(pcix_fields) },
	[PCI_CAP_ID_HT] = { .len = VFIO_PCI_LEN_VAR, FIELDS(direct_fields) },
	[PCI_CAP_ID_VNDR] = { .len = VFIO_PCI_LEN_VAR, .raw_write = true, FIELDS(direct_fields) },
	[PCI_CAP_ID_EXP] = { .len = VFIO_PCI_LEN_VAR,
			     .write = vfio_pci_write_exp,
			     FIELDS(exp_fields) },
	[PCI_CAP_ID_MSIX] = { .len = PCI_CAP_MSIX_SIZEOF,
			      FIELDS(direct_fields),
			      .write = vfio_pci_write_msix },
	[PCI_CAP_ID_SATA] = { .len = VFIO_PCI_LEN_VAR, FIELDS(direct_fields) },
	[PCI_CAP_ID_AF] = { .len = PCI_CAP_AF_SIZEOF,
			    .write = vfio_pci_write_af,
			    FIELDS(af_fields) },
};

/*
 * PCIe 6.0, 7.7.1. The control register's upper byte is reserved; its lower byte, address and data
 * are virtual, mask bits are the hardware's (pending bits are read-only there).
 */
#define MSI_COMMON                              \
	NEXT, { PCI_MSI_FLAGS, 1, ALL, ALL },   \
	{                                       \
		PCI_MSI_ADDRESS_LO, 4, ALL, ALL \
	}
#define MSI_64                               \
	{ PCI_MSI_ADDRESS_HI, 4, ALL, ALL }, \
	{                                    \
		PCI_MSI_DATA_64, 2, ALL, ALL \
	}
static const struct vfio_pci_field msi_32_fields[] = { MSI_COMMON,
						       { PCI_MSI_DATA_32, 2, ALL, ALL } };
static const struct vfio_pci_field msi_64_fields[] = { MSI_COMMON, MSI_64 };
static const struct vfio_pci_field msi_32m_fields[] = {
	MSI_COMMON,
	{ PCI_MSI_DATA_32, 2, ALL, ALL },
	{ PCI_MSI_MASK_32, 4, 0, ALL },
	{ PCI_MSI_PENDING_32, 4, 0, ALL },
};
static const struct vfio_pci_field msi_64m_fields[] = {
	MSI_COMMON,
	MSI_64,
	{ PCI_MSI_MASK_64, 4, 0, ALL },
	{ PCI_MSI_PENDING_64, 4, 0, ALL },
};
static const struct vfio_pci_perm msi_perms[2][2] = {
	/* [64 bits][mask] */
	{
		{ .len = 10, .write = vfio_pci_write_msi, FIELDS(msi_32_fields) },
		{ .len = 20, .write = vfio_pci_write_msi, FIELDS(msi_32m_fields) },
	},
	{
		{ .len = 14, .write = vfio_pci_write_msi, FIELDS(msi_64_fields) },
		{ .len = 24, .write = vfio_pci_write_msi, FIELDS(msi_64m_fields) },
	},
};

/* the first dword of an extended capability: ID, version, next */
#define EXT_HEADER           \
	{                    \
		0, 4, ALL, 0 \
	}
static const struct vfio_pci_field ext_direct_fields[] = { EXT_HEADER };

/* PCIe 6.0, 7.8.4: errors are the user's to read and clear */
#define AER_UNC                                                                                    \
	(PCI_ERR_UNC_UND | PCI_ERR_UNC_DLP | PCI_ERR_UNC_SURPDN | PCI_ERR_UNC_POISON_TLP |         \
	 PCI_ERR_UNC_FCP | PCI_ERR_UNC_COMP_TIME | PCI_ERR_UNC_COMP_ABORT | PCI_ERR_UNC_UNX_COMP | \
	 PCI_ERR_UNC_RX_OVER | PCI_ERR_UNC_MALF_TLP | PCI_ERR_UNC_ECRC | PCI_ERR_UNC_UNSUP |       \
	 PCI_ERR_UNC_ACSV | PCI_ERR_UNC_INTN | PCI_ERR_UNC_MCBTLP | PCI_ERR_UNC_ATOMEG |           \
	 PCI_ERR_UNC_TLPPRE)
#define AER_COR                                                                                 \
	(PCI_ERR_COR_RCVR | PCI_ERR_COR_BAD_TLP | PCI_ERR_COR_BAD_DLLP | PCI_ERR_COR_REP_ROLL | \
	 PCI_ERR_COR_REP_TIMER | PCI_ERR_COR_ADV_NFAT | PCI_ERR_COR_INTERNAL |                  \
	 PCI_ERR_COR_LOG_OVER)
static const struct vfio_pci_field aer_fields[] = {
	EXT_HEADER,
	{ PCI_ERR_UNCOR_STATUS, 4, 0, AER_UNC },
	{ PCI_ERR_UNCOR_MASK, 4, 0, AER_UNC },
	{ PCI_ERR_UNCOR_SEVER, 4, 0, AER_UNC },
	{ PCI_ERR_COR_STATUS, 4, 0, AER_COR },
	{ PCI_ERR_COR_MASK, 4, 0, AER_COR },
	{ PCI_ERR_CAP, 4, 0, PCI_ERR_CAP_ECRC_GENE | PCI_ERR_CAP_ECRC_CHKE },
};

/*
 * PCIe 6.0, 7.8.1. The kernel lets the byte of the data register through (not the selector before
 * it); so do we.
 */
static const struct vfio_pci_field pwr_fields[] = { EXT_HEADER, { PCI_PWR_DATA, 1, 0, ALL } };

#define EXT_DIRECT(bytes)                                 \
	{                                                 \
		.len = (bytes), FIELDS(ext_direct_fields) \
	}
#define EXT_RAW                                                                       \
	{                                                                             \
		.len = VFIO_PCI_LEN_VAR, .raw_write = true, FIELDS(ext_direct_fields) \
	}
#ifndef PCI_EXT_CAP_ID_DVSEC
#define PCI_EXT_CAP_ID_DVSEC 0x23 /* PCIe 6.0, 7.9.6 */
#endif
static const struct vfio_pci_perm ext_perms[] = {
	[PCI_EXT_CAP_ID_ERR] = { .len = PCI_ERR_ROOT_COMMAND, FIELDS(aer_fields) },
	[PCI_EXT_CAP_ID_VC] = EXT_DIRECT(VFIO_PCI_LEN_VAR),
	[PCI_EXT_CAP_ID_DSN] = EXT_DIRECT(PCI_EXT_CAP_DSN_SIZEOF),
	[PCI_EXT_CAP_ID_PWR] = { .len = PCI_EXT_CAP_PWR_SIZEOF, FIELDS(pwr_fields) },
	[PCI_EXT_CAP_ID_MFVC] = EXT_DIRECT(VFIO_PCI_LEN_VAR),
	[PCI_EXT_CAP_ID_VC9] = EXT_DIRECT(VFIO_PCI_LEN_VAR),
	[PCI_EXT_CAP_ID_VNDR] = EXT_RAW,
	[PCI_EXT_CAP_ID_ACS] = EXT_DIRECT(VFIO_PCI_LEN_VAR),
	[PCI_EXT_CAP_ID_ARI] = EXT_DIRECT(PCI_EXT_CAP_ARI_SIZEOF),
	[PCI_EXT_CAP_ID_ATS] = EXT_DIRECT(PCI_EXT_CAP_ATS_SIZEOF),
	[PCI_EXT_CAP_ID_SRIOV] = EXT_DIRECT(PCI_EXT_CAP_SRIOV_SIZEOF),
	[PCI_EXT_CAP_ID_MCAST] = EXT_DIRECT(PCI_EXT_CAP_MCAST_ENDPOINT_SIZEOF),
	[PCI_EXT_CAP_ID_PRI] = EXT_DIRECT(PCI_EXT_CAP_PRI_SIZEOF),
	[PCI_EXT_CAP_ID_REBAR] = EXT_DIRECT(VFIO_PCI_LEN_VAR),
	[PCI_EXT_CAP_ID_DPA] = EXT_DIRECT(VFIO_PCI_LEN_VAR),
	[PCI_EXT_CAP_ID_TPH] = EXT_DIRECT(VFIO_PCI_LEN_VAR),
	[PCI_EXT_CAP_ID_LTR] = EXT_DIRECT(PCI_EXT_CAP_LTR_SIZEOF),
	[PCI_EXT_CAP_ID_DVSEC] = EXT_RAW,
};

const struct vfio_pci_perm *vfio_pci_header_perm(void)
{
	return &header_perm;
}

const struct vfio_pci_perm *vfio_pci_std_perm(uint8_t id)
{
	return id < ARRAY_SIZE(std_perms) && std_perms[id].len ? &std_perms[id] : NULL;
}

const struct vfio_pci_perm *vfio_pci_ext_perm(uint16_t id)
{
	return id < ARRAY_SIZE(ext_perms) && ext_perms[id].len ? &ext_perms[id] : NULL;
}

const struct vfio_pci_perm *vfio_pci_msi_perm(uint16_t flags)
{
	return &msi_perms[!!(flags & PCI_MSI_FLAGS_64BIT)][!!(flags & PCI_MSI_FLAGS_MASKBIT)];
}

/*
 * PCIe 6.0, 7.5.3.2: version 1 has what the function has; version 2 has all registers, integrated
 * endpoints no slot's
 */
static unsigned exp_len(pci_function *fn, unsigned pos)
{
	unsigned flags = pci_config_read(fn, pos + PCI_EXP_FLAGS, 2);
	bool integrated = (flags & PCI_EXP_FLAGS_TYPE) >> 4 == PCI_EXP_TYPE_RC_END;

	if ((flags & PCI_EXP_FLAGS_VERS) == 1)
		return integrated ? 0x0c : 0x14;
	return integrated ? 0x2c : 0x3c;
}

unsigned vfio_pci_std_cap_len(pci_function *fn, uint8_t id, unsigned pos)
{
	const struct vfio_pci_perm *perm = vfio_pci_std_perm(id);

	if (!perm)
		return 0;
	if (perm->len != VFIO_PCI_LEN_VAR)
		return perm->len;
	switch (id) {
	case PCI_CAP_ID_MSI:
		return vfio_pci_msi_perm(pci_config_read(fn, pos + PCI_MSI_FLAGS, 2))->len;
	case PCI_CAP_ID_PCIX: /* PCI-X 2.0, 7.2.3: version in bits 13:12 */
		return PCI_X_CMD_VERSION(pci_config_read(fn, pos + PCI_X_CMD, 2))
			       ? PCI_CAP_PCIX_SIZEOF_V2
			       : PCI_CAP_PCIX_SIZEOF_V0;
	case PCI_CAP_ID_VNDR: /* its length stands after the next pointer */
		return pci_config_read(fn, pos + PCI_CAP_FLAGS, 1);
	case PCI_CAP_ID_EXP:
		return exp_len(fn, pos);
	/* HyperTransport 3.1, 7.4: host/secondary blocks (type 001) are the short ones */
	case PCI_CAP_ID_HT:
		return pci_config_read(fn, pos + 3, 1) & HT_3BIT_CAP_MASK ? HT_CAP_SIZEOF_SHORT
									  : HT_CAP_SIZEOF_LONG;
	case PCI_CAP_ID_SATA: /* Serial ATA AHCI 1.3.1, 2.4: registers inline */
		return (pci_config_read(fn, pos + PCI_SATA_REGS, 1) & PCI_SATA_REGS_MASK) ==
				       PCI_SATA_REGS_INLINE
			       ? PCI_SATA_SIZEOF_LONG
			       : PCI_SATA_SIZEOF_SHORT;
	}
	return 0;
}

/* PCIe 6.0, 7.9.1: the base, a block for each virtual channel, the arbitration table */
static unsigned vc_len(pci_function *fn, unsigned pos)
{
	uint32_t cap2 = pci_config_read(fn, pos + PCI_VC_PORT_CAP2, 4);
	unsigned extra = pci_config_read(fn, pos + PCI_VC_PORT_CAP1, 4) & PCI_VC_CAP1_EVCC;
	unsigned phases = cap2 & PCI_VC_CAP2_128_PHASE	? 128
			  : cap2 & PCI_VC_CAP2_64_PHASE ? 64
			  : cap2 & PCI_VC_CAP2_32_PHASE ? 32
							: 0;
	unsigned len = PCI_CAP_VC_BASE_SIZEOF + (1 + extra) * PCI_CAP_VC_PER_VC_SIZEOF;

	return phases ? align_up(len, 16) + phases * 4 / 8 : len;
}

/*
 * PCIe 6.0, 7.7.11: with egress control, a vector of as many bits as the register says, 0 for 256
 */
static unsigned acs_len(pci_function *fn, unsigned pos)
{
	unsigned bits;

	if (!(pci_config_read(fn, pos + PCI_ACS_CAP, 1) & PCI_ACS_EC))
		return 8;
	bits = pci_config_read(fn, pos + PCI_ACS_EGRESS_BITS, 1);
	return 8 + (bits ? align_up(bits, 32) : 256) / 8;
}

unsigned vfio_pci_ext_cap_len(pci_function *fn, uint16_t id, unsigned pos)
{
	const struct vfio_pci_perm *perm = vfio_pci_ext_perm(id);
	uint32_t v;

	if (!perm)
		return 0;
	if (perm->len != VFIO_PCI_LEN_VAR)
		return perm->len;
	switch (id) {
	case PCI_EXT_CAP_ID_VNDR:  /* PCIe 6.0, 7.9.5.2: VSEC length in bits 31:20 */
	case PCI_EXT_CAP_ID_DVSEC: /* PCIe 6.0, 7.9.6.2: the same place */
		return pci_config_read(fn, pos + PCI_VNDR_HEADER, 4) >> 20;
	case PCI_EXT_CAP_ID_VC:
	case PCI_EXT_CAP_ID_VC9:
	case PCI_EXT_CAP_ID_MFVC:
		return vc_len(fn, pos);
	case PCI_EXT_CAP_ID_ACS:
		return acs_len(fn, pos);
	/* PCIe 6.0, 7.8.6.3: number of BARs in bits 7:5 of the first control register */
	case PCI_EXT_CAP_ID_REBAR:
		v = pci_config_read(fn, pos + PCI_REBAR_CTRL, 1);
		return 4 + 8 * ((v & PCI_REBAR_CTRL_NBAR_MASK) >> PCI_REBAR_CTRL_NBAR_SHIFT);
	case PCI_EXT_CAP_ID_DPA: /* PCIe 6.0, 7.9.12.2: one byte of allocation for each substate */
		v = pci_config_read(fn, pos + PCI_DPA_CAP, 1);
		return PCI_DPA_BASE_SIZEOF + (v & PCI_DPA_CAP_SUBSTATE_MASK) + 1;
	case PCI_EXT_CAP_ID_TPH: /* PCIe 6.0, 7.9.13.2: a steering table, if it stands here */
		v = pci_config_read(fn, pos + PCI_TPH_CAP, 4);
		if ((v & PCI_TPH_CAP_LOC_MASK) != PCI_TPH_LOC_CAP)
			return PCI_TPH_BASE_SIZEOF;
		return PCI_TPH_BASE_SIZEOF +
		       2 * (((v & PCI_TPH_CAP_ST_MASK) >> PCI_TPH_CAP_ST_SHIFT) + 1);
	}
	return 0;
}
