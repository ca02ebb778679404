/* SPDX-License-Identifier: BSD-3-Clause */
/* models/testdev/reg_names.c: names of registers, for the log (docs/testdev.md). */
#include "models/testdev/internal.h"

#define REG(n, off, bytes, how, value)                                    \
	{                                                                 \
		.name = (n), .bar = 2, .offset = (off), .width = (bytes), \
		.access = UVFIO_REG_##how, .reset = (value)               \
	}

const struct uvfio_reg testdev_reg_names[] = {
	REG("ID", TD_ID, 4, RO, TD_ID_VALUE),
	REG("VERSION", TD_VERSION, 4, RO, 1),
	REG("READS", TD_READS, 4, RW, 0),
	REG("WRITES", TD_WRITES, 4, RW, 0),
	REG("LAST_ACCESS", TD_LAST_ACCESS, 4, RO, 0),
	REG("LAST_OFFSET", TD_LAST_OFFSET, 4, RO, 0),
	REG("SCRATCH8", TD_SCRATCH8, 1, RW, 0),
	REG("SCRATCH16", TD_SCRATCH16, 2, RW, 0),
	REG("SCRATCH32", TD_SCRATCH32, 4, RW, 0),
	REG("SCRATCH64", TD_SCRATCH64, 8, RW, 0),
	REG("FAIL", TD_FAIL, 4, WO, 0),
	REG("ONLY4", TD_ONLY4, 4, RW, 0),
	REG("MSI", TD_MSI, 4, WO, 0),
	REG("INTX", TD_INTX, 4, RW, 0),
	REG("MSI_BURST", TD_MSI_BURST, 4, WO, 0),
	REG("IRQ_MODE", TD_IRQ_MODE, 4, RO, 0),
	REG("TIMER_VECTOR", TD_TIMER_VECTOR, 4, RW, 0),
	REG("TIMER", TD_TIMER, 4, WO, 0),
	REG("ERROR", TD_ERROR, 4, WO, 0),
	REG("POWER", TD_POWER, 4, RO, 0),
	REG("RESETS", TD_RESETS, 4, RO, 0),
	REG("LAST_RESET", TD_LAST_RESET, 4, RO, 0),
	REG("CFG_WRITES", TD_CFG_WRITES, 4, RO, 0),
	REG("LAST_CFG", TD_LAST_CFG, 4, RO, 0),
	REG("DMA_SRC", TD_DMA_SRC, 8, RW, 0),
	REG("DMA_DST", TD_DMA_DST, 8, RW, 0),
	REG("DMA_LEN", TD_DMA_LEN, 8, RW, 0),
	REG("DMA_CMD", TD_DMA_CMD, 4, RW, 0),
	REG("DMA_STATUS", TD_DMA_STATUS, 4, RO, 0),
	REG("DMA_PATTERN", TD_DMA_PATTERN, 4, RW, 0),
	REG("DMA_VECTOR", TD_DMA_VECTOR, 4, RW, 0),
	REG("DMA_DELAY", TD_DMA_DELAY, 4, RW, 0),
	REG("DMA_DONE", TD_DMA_DONE, 8, RO, 0),
	REG("DMA_ADDR", TD_DMA_ADDR, 8, RO, 0),
	REG("PAGE_ADDR", TD_PAGE_ADDR, 8, RW, 0),
	REG("PAGE_CMD", TD_PAGE_CMD, 4, RW, 0),
	REG("PAGE_STATUS", TD_PAGE_STATUS, 4, RO, 0),
	REG("PAGE_ANSWERS", TD_PAGE_ANSWERS, 4, RO, 0),
	REG("PAGE_PASID", TD_PAGE_PASID, 4, RW, 0),
	REG("DMA_PASID", TD_DMA_PASID, 4, RW, 0),
	REG("WINDOW_ADDRESS", TD_WINDOW_ADDRESS, 4, RW, 0),
	REG("WINDOW_DATA", TD_WINDOW_DATA, 4, RO, 0),
	REG("OWN_RESET", TD_OWN_RESET, 4, WO, 0),
	{ 0 },
};
