/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/testdev/internal.h: the state of a testdev: testdev.c (registers), dma.c (the engine) and
 * state.c (migration).
 * The model is not concurrent: its callbacks come one at a time, and it has no lock.
 */
#ifndef MODELS_TESTDEV_INTERNAL_H
#define MODELS_TESTDEV_INTERNAL_H
#include "uvfio/model.h"
#include "models/testdev/testdev.h"

struct testdev_dma {
	uint64_t src, dst, len, done, addr;
	uint32_t cmd, status, pattern, vector, delay;
	struct uvfio_timer *timer;
};

struct testdev {
	uint8_t *ram; /* BAR0 */
	uint64_t ram_size;
	bool *dirty; /* of each page of ram, while that is noted; else NULL */
	uint64_t num_dirty;
	bool stopped;		    /* for a migration */
	uint8_t io[64], small[256]; /* BAR3, BAR4 */
	uint8_t region[4096];	    /* that is no BAR */
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

/* Interrupt: by message @vector, or with neither MSI nor MSI-X enabled by the line. */
void testdev_interrupt(struct uvfio_dev *dev, uint32_t vector);

int testdev_dma_init(struct uvfio_dev *dev);
void testdev_dma_fini(struct uvfio_dev *dev);
void testdev_dma_reset(struct uvfio_dev *dev);
/* Carry out a command that was written. */
void testdev_dma_start(struct uvfio_dev *dev, uint32_t cmd);

/* state.c */
/* Note that bytes of ram change. */
void testdev_touched(struct testdev *td, uint64_t off, uint64_t len);
int testdev_stop(struct uvfio_dev *dev, enum uvfio_stop_kind kind);
void testdev_resume(struct uvfio_dev *dev);
void testdev_describe(struct uvfio_dev *dev, struct uvfio_state *s);
int testdev_save(struct uvfio_dev *dev, struct uvfio_state *s);
int testdev_load(struct uvfio_dev *dev, struct uvfio_state *s, uint32_t version);
uint64_t testdev_state_size(struct uvfio_dev *dev);
int testdev_track(struct uvfio_dev *dev, bool on);
uint64_t testdev_dirty(struct uvfio_dev *dev);
int testdev_save_dirty(struct uvfio_dev *dev, struct uvfio_state *s);
int testdev_load_dirty(struct uvfio_dev *dev, struct uvfio_state *s, uint32_t version);

/* reg_names.c */
extern const struct uvfio_reg testdev_reg_names[];
#endif
