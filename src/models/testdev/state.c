/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/testdev/state.c: testdev's part in a migration: its registers and what its engine is at,
 * and BAR0, of which it notes by pages what changes, so that it can be moved beforehand.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "models/testdev/internal.h"

#define PAGE  4096u
#define BATCH 64u /* pages that are saved at a time */

static uint64_t num_pages(const struct testdev *td)
{
	return td->ram_size / PAGE;
}

void testdev_touched(struct testdev *td, uint64_t off, uint64_t len)
{
	if (!td->dirty || !len)
		return;
	for (uint64_t p = off / PAGE; p <= (off + len - 1) / PAGE; p++) {
		td->num_dirty += !td->dirty[p];
		td->dirty[p] = true;
	}
}

int testdev_track(struct uvfio_dev *dev, bool on)
{
	struct testdev *td = uvfio_priv(dev);

	free(td->dirty);
	td->num_dirty = 0;
	td->dirty = on ? calloc(num_pages(td), sizeof(*td->dirty)) : NULL;
	if (on && !td->dirty)
		return -ENOMEM;
	testdev_touched(td, 0, td->ram_size);
	return 0;
}

uint64_t testdev_dirty(struct uvfio_dev *dev)
{
	const struct testdev *td = uvfio_priv(dev);

	return td->num_dirty * PAGE;
}

int testdev_save_dirty(struct uvfio_dev *dev, struct uvfio_state *s)
{
	struct testdev *td = uvfio_priv(dev);
	uint64_t n = td->num_dirty < BATCH ? td->num_dirty : BATCH;

	uvfio_put32(s, (uint32_t)n);
	for (uint64_t p = 0; n; p++) {
		if (!td->dirty[p])
			continue;
		td->dirty[p] = false;
		td->num_dirty--;
		n--;
		uvfio_put32(s, (uint32_t)p);
		uvfio_put_bytes(s, td->ram + p * PAGE, PAGE);
	}
	return 0;
}

int testdev_load_dirty(struct uvfio_dev *dev, struct uvfio_state *s, uint32_t version)
{
	struct testdev *td = uvfio_priv(dev);
	uint32_t n = uvfio_get32(s), page;

	if (n > BATCH)
		return uvfio_load_error(s, "%u pages at a time", n);
	while (n--) {
		page = uvfio_get32(s);
		if (page >= num_pages(td))
			return uvfio_load_error(s, "page %u of BAR0", page);
		uvfio_get_bytes(s, td->ram + (uint64_t)page * PAGE, PAGE);
	}
	return 0;
}

uint64_t testdev_state_size(struct uvfio_dev *dev)
{
	const struct testdev *td = uvfio_priv(dev);

	return td->ram_size + num_pages(td) * 8 + PAGE;
}

void testdev_describe(struct uvfio_dev *dev, struct uvfio_state *s)
{
	const struct testdev *td = uvfio_priv(dev);

	uvfio_same(s, "ram", td->ram_size);
	uvfio_same(s, "region", uvfio_opt_bool(dev, "region", 0));
	uvfio_same(s, "mirror", td->mirror);
}

/* ---- what is not memory ---- */

/* The engine stands still: a command that comes now waits for the timer, which does, too. */
int testdev_stop(struct uvfio_dev *dev, enum uvfio_stop_kind kind)
{
	struct testdev *td = uvfio_priv(dev);

	td->stopped = true;
	/* what a driver stored in memory of its own mapping nobody has noted */
	if (td->ram_memory)
		testdev_touched(td, 0, td->ram_size);
	return 0;
}

void testdev_resume(struct uvfio_dev *dev)
{
	struct testdev *td = uvfio_priv(dev);

	td->stopped = false;
}

int testdev_save(struct uvfio_dev *dev, struct uvfio_state *s)
{
	struct testdev *td = uvfio_priv(dev);
	const struct testdev_dma *d = &td->dma;

	uvfio_section(s, "registers");
	uvfio_put32(s, td->reads);
	uvfio_put32(s, td->writes);
	uvfio_put32(s, td->last_access);
	uvfio_put32(s, td->last_offset);
	uvfio_put8(s, td->scratch8);
	uvfio_put16(s, td->scratch16);
	uvfio_put32(s, td->scratch32);
	uvfio_put32(s, td->only4);
	uvfio_put64(s, td->scratch64);
	uvfio_put32(s, td->timer_vector);
	uvfio_put32(s, td->power);
	uvfio_put32(s, td->resets);
	uvfio_put32(s, td->last_reset);
	uvfio_put32(s, td->cfg_writes);
	uvfio_put32(s, td->last_cfg);
	uvfio_put8(s, td->intx);
	uvfio_put64(s, uvfio_timer_left(td->timer));
	uvfio_section(s, "dma");
	uvfio_put64(s, d->src);
	uvfio_put64(s, d->dst);
	uvfio_put64(s, d->len);
	uvfio_put64(s, d->done);
	uvfio_put64(s, d->addr);
	uvfio_put32(s, d->cmd);
	uvfio_put32(s, d->status);
	uvfio_put32(s, d->pattern);
	uvfio_put32(s, d->vector);
	uvfio_put32(s, d->delay);
	uvfio_put64(s, uvfio_timer_left(d->timer));
	uvfio_section(s, "io and small");
	uvfio_put_bytes(s, td->io, sizeof(td->io));
	uvfio_put_bytes(s, td->small, sizeof(td->small));
	if (uvfio_opt_bool(dev, "region", 0)) {
		uvfio_section(s, "region");
		uvfio_put_bytes(s, td->region, sizeof(td->region));
	}
	if (uvfio_opt_bool(dev, "pri", 0))
		testdev_pages_save(dev, s);
	if (td->pasid_bits) {
		uvfio_section(s, "pasids");
		uvfio_put32(s, td->pages.pasid);
		uvfio_put32(s, d->pasid);
	}
	if (td->mirror) {
		uvfio_section(s, "window");
		uvfio_put32(s, td->window);
	}
	return 0;
}

int testdev_load(struct uvfio_dev *dev, struct uvfio_state *s, uint32_t version)
{
	struct testdev *td = uvfio_priv(dev);
	struct testdev_dma *d = &td->dma;

	uvfio_section(s, "registers");
	td->reads = uvfio_get32(s);
	td->writes = uvfio_get32(s);
	td->last_access = uvfio_get32(s);
	td->last_offset = uvfio_get32(s);
	td->scratch8 = uvfio_get8(s);
	td->scratch16 = uvfio_get16(s);
	td->scratch32 = uvfio_get32(s);
	td->only4 = uvfio_get32(s);
	td->scratch64 = uvfio_get64(s);
	td->timer_vector = uvfio_get32(s);
	td->power = uvfio_get32(s);
	td->resets = uvfio_get32(s);
	td->last_reset = uvfio_get32(s);
	td->cfg_writes = uvfio_get32(s);
	td->last_cfg = uvfio_get32(s);
	td->intx = uvfio_get8(s);
	uvfio_timer_set(td->timer, uvfio_get64(s));
	uvfio_section(s, "dma");
	d->src = uvfio_get64(s);
	d->dst = uvfio_get64(s);
	d->len = uvfio_get64(s);
	d->done = uvfio_get64(s);
	d->addr = uvfio_get64(s);
	d->cmd = uvfio_get32(s);
	d->status = uvfio_get32(s);
	d->pattern = uvfio_get32(s);
	d->vector = uvfio_get32(s);
	d->delay = uvfio_get32(s);
	uvfio_timer_set(d->timer, uvfio_get64(s));
	uvfio_section(s, "io and small");
	uvfio_get_bytes(s, td->io, sizeof(td->io));
	uvfio_get_bytes(s, td->small, sizeof(td->small));
	if (uvfio_opt_bool(dev, "region", 0)) {
		uvfio_section(s, "region");
		uvfio_get_bytes(s, td->region, sizeof(td->region));
	}
	if (uvfio_opt_bool(dev, "pri", 0))
		testdev_pages_load(dev, s);
	if (td->pasid_bits) {
		uvfio_section(s, "pasids");
		td->pages.pasid = uvfio_get32(s);
		d->pasid = uvfio_get32(s);
	}
	if (td->mirror) {
		uvfio_section(s, "window");
		td->window = uvfio_get32(s);
	}
	/*
	 * What the engine is told to do is checked when it does it: a new length may be less than
	 * what was done of the one before.
	 */
	if (d->status > TD_DMA_BAD)
		return uvfio_load_error(s, "the engine's status %u", d->status);
	return 0;
}
