/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/testdev/testdev.h: what testdev.c (registers) and dma.c (the engine) share. The register
 * map is regs.h.
 */
#ifndef MODELS_TESTDEV_TESTDEV_H
#define MODELS_TESTDEV_TESTDEV_H
#include "uvfio/model.h"
#include "regs.h"

extern const struct uvfio_model model_testdev;

struct testdev_dma {
	uint64_t src, dst, len, done, addr;
	uint32_t cmd, status, pattern, vector, delay;
	struct uvfio_timer *timer;
};

struct testdev {
	uint8_t *ram; /* BAR0 */
	uint64_t ram_size;
	uint8_t io[64], small[256]; /* BAR3, BAR4 */
	uint32_t reads, writes, last_access, last_offset;
	uint8_t scratch8;
	uint16_t scratch16;
	uint32_t scratch32, only4;
	uint64_t scratch64;
	uint32_t timer_vector;
	/* these survive a reset: they are how one sees it */
	uint32_t power, resets, last_reset, cfg_writes, last_cfg;
	bool intx;
	struct uvfio_timer *timer;
	struct testdev_dma dma;
};

/*
 * An interrupt as whoever set the device up wants it: a message, or with neither MSI nor MSI-X
 * enabled the line.
 */
void testdev_interrupt(struct uvfio_dev *dev, uint32_t vector);

int testdev_dma_init(struct uvfio_dev *dev);
void testdev_dma_fini(struct uvfio_dev *dev);
void testdev_dma_reset(struct uvfio_dev *dev);
/* A command was written. */
void testdev_dma_start(struct uvfio_dev *dev, uint32_t cmd);

#endif
