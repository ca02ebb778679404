/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/igb/migrate.c: a port that is stopped, saved and loaded. Nothing is in flight then: a
 * descriptor was carried out and written back, or it lies in its ring. Of the wire nothing moves:
 * frames that come while the port is stopped are lost, as on a cable that is being plugged over,
 * and the port counts them; whether there is a link shows at the new place.
 *
 * A port with virtual functions enabled does not migrate: each of them is a device of its own,
 * whose driver may be another program's. It migrates by itself (vf_migrate.c).
 */
#include <errno.h>
#include <time.h>

#include "models/igb/internal.h"

static int check_vfs(struct igb *g)
{
	if (!atomic_load(&g->vfs))
		return 0;
	uvfio_log(g->dev, UVFIO_LOG_ERROR,
		  "cannot migrate with virtual functions enabled: write 0 to sriov_numvfs first");
	return -EBUSY;
}

int igb_stop(struct uvfio_dev *dev, enum uvfio_stop_kind kind)
{
	struct igb *g = uvfio_priv(dev);
	int err = check_vfs(g);

	if (err)
		return err;
	/* with ctl, for those that see to the link */
	pthread_mutex_lock(&g->ctl);
	igb_halt(&g->fn[IGB_PF], IGB_STOPPED);
	pthread_mutex_unlock(&g->ctl);
	while (atomic_load(&g->receiving))
		nanosleep(&(struct timespec){ .tv_nsec = 20000 }, NULL);
	return 0;
}

void igb_resume(struct uvfio_dev *dev)
{
	struct igb *g = uvfio_priv(dev);
	struct igb_fn *fn = &g->fn[IGB_PF];
	bool moved;

	pthread_mutex_lock(&g->ctl);
	igb_finish(g);
	atomic_fetch_and(&fn->halt, ~IGB_STOPPED);
	moved = fn->moved;
	fn->moved = false;
	igb_link_update(g, false);
	igb_tell_again(g);
	pthread_mutex_unlock(&g->ctl);
	igb_carrier_update(g);
	igb_wake(fn); /* its driver may wait for a frame, and store nothing */
	igb_irq_mode_changed(g);
	if (moved)
		igb_irq_again(g);
	igb_tx_kick_all(g);
}

void igb_describe(struct uvfio_dev *dev, struct uvfio_state *s)
{
	struct igb *g = uvfio_priv(dev);

	/* not the address: it is in the EEPROM, which moves */
	uvfio_same(s, "vectors", g->vectors);
}

/* ---- registers: those that are not zero, by their offsets ---- */

#define END UINT32_MAX

static void save_registers(struct igb *g, struct uvfio_state *s)
{
	for (uint32_t off = 0; off < IGB_BAR0_SIZE; off += 4) {
		uint32_t v = igb_is_count(off) ? igb_count_get(g, off) : igb_get(g, off);

		if (!v)
			continue;
		uvfio_put32(s, off);
		uvfio_put32(s, v);
	}
	uvfio_put32(s, END);
	uvfio_put32(s, atomic_load(&g->kept->ioaddr));
}

static int load_registers(struct igb *g, struct uvfio_state *s)
{
	uint32_t at = 0, off, v;

	for (;;) {
		off = uvfio_get32(s);
		for (; at < off && at < IGB_BAR0_SIZE; at += 4)
			igb_put(g, at, 0);
		if (off == END)
			break;
		v = uvfio_get32(s);
		/* a state that ends too early gives zeroes */
		if (off < at || !v || !igb_reg_possible(off, v))
			return uvfio_load_error(s, "register %xh: %xh", off, v);
		igb_put(g, off, v);
		at = off + 4;
	}
	atomic_store(&g->kept->ioaddr, uvfio_get32(s) & ~3u);
	return 0;
}

/* ---- all of it ---- */

int igb_save(struct uvfio_dev *dev, struct uvfio_state *s)
{
	struct igb *g = uvfio_priv(dev);
	int err = check_vfs(g);

	if (err)
		return err;
	pthread_mutex_lock(&g->ctl);
	uvfio_section(s, "registers");
	save_registers(g, s);
	uvfio_section(s, "statistics");
	igb_stats_save(g, s);
	uvfio_section(s, "interrupts");
	igb_irq_save(g, s);
	uvfio_section(s, "receive queues");
	for (unsigned n = 0; n < IGB_QUEUES; n++)
		igb_rx_save(g, n, s);
	uvfio_section(s, "transmit queues");
	for (unsigned n = 0; n < IGB_QUEUES; n++)
		igb_tx_save(g, n, s);
	uvfio_section(s, "PHY");
	igb_phy_save(g, s);
	uvfio_section(s, "EEPROM");
	igb_nvm_save(g, s);
	pthread_mutex_unlock(&g->ctl);
	return 0;
}

/* With ctl. */
static int load_all(struct igb *g, struct uvfio_state *s)
{
	int err;

	uvfio_section(s, "registers");
	err = load_registers(g, s);
	if (err)
		return err;
	uvfio_section(s, "statistics");
	igb_stats_restore(g, s);
	uvfio_section(s, "interrupts");
	igb_irq_restore(g, s);
	uvfio_section(s, "receive queues");
	for (unsigned n = 0; n < IGB_QUEUES; n++)
		igb_rx_restore(g, n, s);
	uvfio_section(s, "transmit queues");
	for (unsigned n = 0; n < IGB_QUEUES && !err; n++)
		err = igb_tx_restore(g, n, s);
	if (err)
		return err;
	uvfio_section(s, "PHY");
	err = igb_phy_restore(g, s);
	if (err)
		return err;
	uvfio_section(s, "EEPROM");
	return igb_nvm_restore(g, s);
}

int igb_load(struct uvfio_dev *dev, struct uvfio_state *s, uint32_t version)
{
	struct igb *g = uvfio_priv(dev);
	int err = check_vfs(g);

	if (err)
		return err;
	pthread_mutex_lock(&g->ctl);
	err = load_all(g, s);
	g->fn[IGB_PF].moved = !err;
	pthread_mutex_unlock(&g->ctl);
	igb_steer_update(g);
	return err;
}
