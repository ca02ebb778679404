/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/nvme/reg_names.c: names of registers, for the log (NVMe 1.4, 3.1). The doorbells of all
 * queues that there can be are named, however many the options allow.
 */
#include "models/nvme/internal.h"

#define REG(n, off, bytes, how)                                                           \
	{                                                                                 \
		.name = (n), .offset = (off), .width = (bytes), .access = UVFIO_REG_##how \
	}

const struct uvfio_reg nvme_reg_names[] = {
	{ .name = "CAP",
	  .offset = NVME_REG_CAP,
	  .width = 8,
	  .access = UVFIO_REG_RO,
	  .varies = true },
	{ .name = "VS",
	  .offset = NVME_REG_VS,
	  .width = 4,
	  .access = UVFIO_REG_RO,
	  .reset = NVME_VS_1_4 },
	REG("INTMS", NVME_REG_INTMS, 4, W1S),
	REG("INTMC", NVME_REG_INTMC, 4, W1C),
	REG("CC", NVME_REG_CC, 4, RW),
	/* 3.1.6: NSSRO can be cleared; what else is written is proto-nvme-csts-store */
	REG("CSTS", NVME_REG_CSTS, 4, W1C),
	REG("NSSR", NVME_REG_NSSR, 4, RW),
	REG("AQA", NVME_REG_AQA, 4, RW),
	REG("ASQ", NVME_REG_ASQ, 8, RW),
	REG("ACQ", NVME_REG_ACQ, 8, RW),
	REG("CMBLOC", 0x38, 4, RO),
	REG("CMBSZ", 0x3c, 4, RO),
	REG("BPINFO", 0x40, 4, RO),
	REG("BPRSEL", 0x44, 4, RW),
	REG("BPMBL", 0x48, 8, RW),
	REG("CMBMSC", 0x50, 8, RW),
	REG("CMBSTS", 0x58, 4, RO),
	REG("PMRCAP", 0xe00, 4, RO),
	REG("PMRCTL", 0xe04, 4, RW),
	REG("PMRSTS", 0xe08, 4, RO),
	REG("PMREBS", 0xe0c, 4, RO),
	REG("PMRSWTP", 0xe10, 4, RO),
	{ .name = "SQTDBL",
	  .offset = NVME_DOORBELLS,
	  .width = 4,
	  .access = UVFIO_REG_WO,
	  .count = NVME_QUEUES,
	  .stride = 8 },
	{ .name = "CQHDBL",
	  .offset = NVME_DOORBELLS + 4,
	  .width = 4,
	  .access = UVFIO_REG_WO,
	  .count = NVME_QUEUES,
	  .stride = 8 },
	{ 0 },
};

/* Behind BPMBL and CMBSTS everything up to the doorbells but the PMR's registers is reserved. */
const struct uvfio_reg_range nvme_reg_ranges[] = {
	{ .size = NVME_DOORBELLS },
	{ 0 },
};
