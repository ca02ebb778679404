/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/igb/vf_migrate.c: a virtual function that is stopped, saved and loaded, while its port and
 * the other functions go on. Its own are the registers that it sees, its queues, its interrupts and
 * its end of the mailbox. What the PF's driver has set for its pool is that driver's: the address,
 * VLANs, what of multicast it gets, whether it may send at all. Where the model stands for that
 * driver (host_driver.c), what the VF has asked it for goes along, and the one at the new place
 * does it. Where a program drives the PF, nothing of it moves: what the program there allows it
 * gets, and a message that was not read is that one's to answer.
 *
 * Frames that come for it while it is stopped are lost, and counted nowhere.
 */
#include "models/igb/internal.h"

int igb_vf_stop(struct uvfio_dev *dev, enum uvfio_stop_kind kind)
{
	struct igb_fn *fn = uvfio_priv(dev);

	atomic_fetch_or(&fn->halt, IGB_STOPPED);
	igb_host_driver_leave(fn->g);
	igb_halt(fn, IGB_STOPPED);
	return 0;
}

void igb_vf_resume(struct uvfio_dev *dev)
{
	struct igb_fn *fn = uvfio_priv(dev);
	struct igb *g = fn->g;
	bool moved;

	pthread_mutex_lock(&g->ctl);
	atomic_fetch_and(&fn->halt, ~IGB_STOPPED);
	moved = fn->moved;
	fn->moved = false;
	pthread_mutex_unlock(&g->ctl);
	igb_wake(fn); /* its driver may wait for a frame, and store nothing */
	igb_irq_vf_resume(g, fn->index, moved);
	igb_mbx_vf_resume(g, fn->index);
	if (moved)
		igb_host_driver_vf_moved(g, fn->index);
	for (unsigned n = fn->index; n < IGB_QUEUES; n += IGB_VFS)
		igb_tx_kick(g, n);
}

static bool hosted(struct igb *g)
{
	return atomic_load(&g->host_driver.drives);
}

void igb_vf_describe(struct uvfio_dev *dev, struct uvfio_state *s)
{
	struct igb_fn *fn = uvfio_priv(dev);

	uvfio_same(s, "PF driven by driver=igb", hosted(fn->g));
}

/* ---- registers: those that it sees, but for those of other parts ---- */

/* Return the PF's register that just holds a value and that a VF sees at @off; or IGB_NOWHERE. */
static uint32_t own_register(unsigned vf, uint32_t off)
{
	uint32_t pf = igb_vf_in_pf(vf, off, false);

	if (pf == IGB_STATUS || pf == IGB_FRTIMER || pf == IGB_VTCTRL(vf) || igb_irq_reg(pf) ||
	    igb_mbx_reg(pf))
		return IGB_NOWHERE;
	return pf;
}

static void save_registers(struct igb_fn *fn, struct uvfio_state *s)
{
	for (uint32_t off = 0; off < IGB_VF_BAR_SIZE; off += 4) {
		uint32_t pf = own_register(fn->index, off);

		if (pf != IGB_NOWHERE)
			uvfio_put32(s, igb_is_count(pf) ? igb_count_get(fn->g, pf)
							: igb_get(fn->g, pf));
	}
}

static int load_registers(struct igb_fn *fn, struct uvfio_state *s)
{
	for (uint32_t off = 0; off < IGB_VF_BAR_SIZE; off += 4) {
		uint32_t pf = own_register(fn->index, off), v;

		if (pf == IGB_NOWHERE)
			continue;
		v = uvfio_get32(s);
		if (!igb_reg_possible(pf, v))
			return uvfio_load_error(s, "register %xh: %xh", off, v);
		if (igb_is_count(pf))
			igb_count_put(fn->g, pf, v);
		else
			igb_put(fn->g, pf, v);
	}
	return 0;
}

/* ---- all of it ---- */

int igb_vf_save(struct uvfio_dev *dev, struct uvfio_state *s)
{
	struct igb_fn *fn = uvfio_priv(dev);
	struct igb *g = fn->g;

	uvfio_section(s, "asked of the PF");
	if (hosted(g))
		igb_host_driver_vf_save(g, fn->index, s);
	pthread_mutex_lock(&g->ctl);
	uvfio_section(s, "registers");
	save_registers(fn, s);
	uvfio_section(s, "interrupts");
	igb_irq_vf_save(g, fn->index, s);
	uvfio_section(s, "queues");
	for (unsigned n = fn->index; n < IGB_QUEUES; n += IGB_VFS) {
		igb_rx_save(g, n, s);
		igb_tx_save(g, n, s);
	}
	uvfio_section(s, "mailbox");
	igb_mbx_vf_save(g, fn->index, s);
	pthread_mutex_unlock(&g->ctl);
	return 0;
}

/* With ctl. */
static int load_own(struct igb_fn *fn, struct uvfio_state *s)
{
	struct igb *g = fn->g;
	int err;

	uvfio_section(s, "registers");
	err = load_registers(fn, s);
	if (err)
		return err;
	uvfio_section(s, "interrupts");
	igb_irq_vf_restore(g, fn->index, s);
	uvfio_section(s, "queues");
	for (unsigned n = fn->index; n < IGB_QUEUES && !err; n += IGB_VFS) {
		igb_rx_restore(g, n, s);
		err = igb_tx_restore(g, n, s);
	}
	if (err)
		return err;
	uvfio_section(s, "mailbox");
	igb_mbx_vf_restore(g, fn->index, s);
	fn->moved = true;
	return 0;
}

int igb_vf_load(struct uvfio_dev *dev, struct uvfio_state *s, uint32_t version)
{
	struct igb_fn *fn = uvfio_priv(dev);
	struct igb *g = fn->g;
	int err = 0;

	uvfio_section(s, "asked of the PF");
	if (hosted(g))
		err = igb_host_driver_vf_restore(g, fn->index, s);
	if (err)
		return err;
	pthread_mutex_lock(&g->ctl);
	err = load_own(fn, s);
	pthread_mutex_unlock(&g->ctl);
	return err;
}
