/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/testdev/internal.h: the state of a testdev: testdev.c (registers), dma.c (the engine),
 * pages.c (page requests), oddities.c (what single kinds of devices have) and state.c (migration).
 * The model is not concurrent: its callbacks come one at a time, and it has no lock.
 */
#ifndef MODELS_TESTDEV_INTERNAL_H
#define MODELS_TESTDEV_INTERNAL_H
#include "uvfio/model.h"
#include "models/testdev/testdev.h"

struct testdev_dma {
	uint64_t src, dst, len, done, addr;
	uint64_t asked; /* the page that was asked for last: its address, 1, and 2 to write it */
	uint32_t cmd, status, pattern, vector, delay, pasid;
	struct uvfio_timer *timer;
};

struct testdev_pages {
	uint64_t addr;
	uint32_t cmd, status, answers, pasid;
	bool asking; /* the engine waits for an answer */
};

struct testdev {
	uint8_t *ram;	 /* BAR0 */
	bool ram_memory; /* drivers have it as memory, and nobody tells us what they store */
	uint64_t ram_size;
	bool *dirty; /* of each page of ram, while that is noted; else NULL */
	uint64_t num_dirty;
	bool stopped; /* for a migration */
	unsigned pasid_bits;
	bool mirror, own_reset;	    /* oddities.c */
	uint32_t window;	    /* WINDOW_ADDRESS */
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
	struct testdev_pages pages;
};

/* Clear what a reset clears. */
void testdev_reset(struct uvfio_dev *dev, enum uvfio_reset_kind kind);
/* Interrupt: by message @vector, or with neither MSI nor MSI-X enabled by the line. */
void testdev_interrupt(struct uvfio_dev *dev, uint32_t vector);

int testdev_dma_init(struct uvfio_dev *dev);
void testdev_dma_fini(struct uvfio_dev *dev);
void testdev_dma_reset(struct uvfio_dev *dev);
/* Carry out a command that was written. */
void testdev_dma_start(struct uvfio_dev *dev, uint32_t cmd);
/* Go on: the page that the engine asked for is there, or (!@there) cannot be had. */
void testdev_dma_continue(struct uvfio_dev *dev, bool there);

/* pages.c */
/* Carry out a command that was written. */
void testdev_page_command(struct uvfio_dev *dev, uint32_t cmd);
void testdev_page_response(struct uvfio_dev *dev, unsigned group, uint32_t pasid,
			   enum uvfio_page_answer answer);
/* Ask for the page at @addr, for the engine. False: it is there, or cannot be asked for. */
bool testdev_page_ask(struct uvfio_dev *dev, uint64_t addr, bool write);
void testdev_pages_save(struct uvfio_dev *dev, struct uvfio_state *s);
void testdev_pages_load(struct uvfio_dev *dev, struct uvfio_state *s);

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

/* oddities.c */
/* Access BAR2 where an oddity has something there: false, or true and *@ret is the answer. */
bool testdev_odd_access(struct uvfio_dev *dev, uint64_t offset, unsigned size, uint64_t *value,
			bool write, int *ret);
void testdev_odd_ids(struct uvfio_dev *dev, struct uvfio_ids *ids);
/* Have the capability at @cap as the options want it. */
void testdev_odd_pcie(struct uvfio_dev *dev, unsigned cap);
void testdev_odd_msix(struct uvfio_dev *dev, unsigned cap, unsigned bar);

/* reg_names.c */
extern const struct uvfio_reg testdev_reg_names[];
#endif
