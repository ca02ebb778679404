/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/igb/kept.c: memory that outlives the process (kept.h): accesses that come again, and how a
 * port goes on whose process was killed. What its queues had under way they finish themselves
 * (rx.c, tx.c), once the driver's memory can be reached.
 */
#include <errno.h>
#include <string.h>

#include "models/igb/internal.h"

int igb_kept_init(struct igb *g)
{
	g->kept = uvfio_lasting(g->dev, sizeof(*g->kept));
	return g->kept ? 0 : -ENOMEM;
}

void igb_kept_begin(struct igb *g)
{
	struct igb_kept *k = g->kept;

	if (k->layout == IGB_KEPT_LAYOUT)
		return;
	igb_nvm_init(g, g->mac);
	k->vectors = g->vectors;
	k->layout = IGB_KEPT_LAYOUT;
}

void igb_kept_reset(struct igb *g)
{
	g->carried = false;
	atomic_store(&g->again, false);
	for (unsigned i = 0; i < 2; i++)
		atomic_store(&g->kept->access[i].state, IGB_ACCESS_NONE);
}

/* ---- accesses ---- */

static struct igb_kept_access *current(struct igb *g)
{
	return atomic_load_explicit(&g->access, memory_order_relaxed);
}

static uint64_t state_word(struct igb *g, enum igb_access_state state)
{
	return (uint64_t)uvfio_lasting_access(g->dev) << IGB_ACCESS_SHIFT | state;
}

static void set_state(struct igb *g, struct igb_kept_access *a, enum igb_access_state state)
{
	atomic_store(&a->state, state_word(g, state));
}

bool igb_access_begin(struct igb_fn *fn, unsigned half, uint32_t *answer)
{
	struct igb *g = fn->g;
	struct igb_kept_access *a = &g->kept->access[half];

	if (fn->index != IGB_PF || !uvfio_lasting_access(g->dev))
		return true;
	if (atomic_load(&g->again) && atomic_load(&a->state) == state_word(g, IGB_ACCESS_DONE)) {
		*answer = a->answer;
		return false;
	}
	atomic_store(&g->access, a);
	return true;
}

void igb_access_end(struct igb *g, bool write)
{
	struct igb_kept_access *a = current(g);

	if (!a)
		return;
	if (write)
		set_state(g, a, IGB_ACCESS_DONE);
	atomic_store(&g->access, NULL);
}

void igb_access_over(struct igb *g)
{
	if (atomic_load_explicit(&g->again, memory_order_relaxed))
		atomic_store(&g->again, false);
}

/* Where there is a copy of what an access may change: into it, or back. */
static void copy_part(struct igb_kept *k, enum igb_access_state undo, bool back)
{
	bool irq = undo == IGB_ACCESS_UNDO_IRQ;
	void *is = irq ? (void *)&k->irq : (void *)&k->ctl;
	void *was = irq ? (void *)&k->irq_was : (void *)&k->ctl_was;

	memcpy(back ? is : was, back ? was : is, irq ? sizeof(k->irq) : sizeof(k->ctl));
}

void igb_undo_begin(struct igb *g, enum igb_access_state undo)
{
	struct igb_kept_access *a = current(g);

	if (!a)
		return;
	copy_part(g->kept, undo, false);
	set_state(g, a, undo);
}

void igb_undo_end(struct igb *g, uint32_t answer)
{
	struct igb_kept_access *a = current(g);

	if (!a)
		return;
	a->answer = answer;
	set_state(g, a, IGB_ACCESS_DONE);
}

static void set_all(struct igb *g, const struct igb_kept_access *a)
{
	for (unsigned i = 0; i < 2 && a->set[i].at; i++) {
		char *at = (char *)g->kept + a->set[i].at;

		if (a->set[i].wide)
			atomic_store((_Atomic uint64_t *)at, a->set[i].value);
		else
			atomic_store((_Atomic uint32_t *)at, (uint32_t)a->set[i].value);
	}
}

static void note_set(struct igb *g, struct igb_kept_access *a, unsigned i, const void *what,
		     bool wide, uint64_t value)
{
	a->set[i].at = what ? (uint32_t)((const char *)what - (const char *)g->kept) : 0;
	a->set[i].wide = wide;
	a->set[i].value = value;
}

static void redo(struct igb *g, struct igb_kept_access *a, uint32_t answer)
{
	a->answer = answer;
	set_state(g, a, IGB_ACCESS_REDO);
	set_all(g, a);
	set_state(g, a, IGB_ACCESS_DONE);
}

uint64_t igb_take(struct igb *g, _Atomic uint64_t *taken, uint64_t now)
{
	struct igb_kept_access *a = current(g);
	uint64_t new;

	if (!a)
		return now - atomic_exchange(taken, now);
	new = now - atomic_load(taken);
	note_set(g, a, 0, taken, true, now);
	note_set(g, a, 1, NULL, false, 0);
	redo(g, a, (uint32_t) new);
	return new;
}

/* If the low half was not read, all of it goes. */
uint32_t igb_take_shown(struct igb *g, unsigned view, uint64_t total)
{
	_Atomic uint64_t *taken = &g->kept->stats.taken[view], *shown = &g->kept->stats.shown[view];
	struct igb_kept_access *a = current(g);
	uint64_t n = a ? atomic_load(shown) : atomic_exchange(shown, 0);

	if (!n)
		n = total - atomic_load(taken);
	if (!a) {
		atomic_fetch_add(taken, n);
		return (uint32_t)(n >> 32);
	}
	note_set(g, a, 0, taken, true, atomic_load(taken) + n);
	note_set(g, a, 1, shown, true, 0);
	redo(g, a, (uint32_t)(n >> 32));
	return a->answer;
}

uint32_t igb_read_and_set(struct igb *g, uint32_t off, uint32_t bits)
{
	_Atomic uint32_t *reg = &g->kept->reg[off >> 2];
	struct igb_kept_access *a = current(g);
	uint32_t was;

	if (!a)
		return atomic_fetch_or(reg, bits);
	was = atomic_load(reg);
	note_set(g, a, 0, reg, false, was | bits);
	note_set(g, a, 1, NULL, false, 0);
	redo(g, a, was);
	return was;
}

/* ---- a process was killed ---- */

/*
 * True if what was about to be stored is a count or a register: nothing else is finished, and one
 * store cannot change where the next one goes.
 */
static bool can_redo(const struct igb_kept_access *a)
{
	for (unsigned i = 0; i < 2 && a->set[i].at; i++) {
		uint32_t at = a->set[i].at, size = a->set[i].wide ? 8 : 4;

		if (at < offsetof(struct igb_kept, stats) || at % size ||
		    at > offsetof(struct igb_kept, reg) + IGB_BAR0_SIZE - size)
			return false;
	}
	return true;
}

/* Undo an access that was cut, or finish it. False: no process of ours wrote that. */
static bool end_access(struct igb *g, struct igb_kept_access *a)
{
	uint64_t word = atomic_load(&a->state), number = word >> IGB_ACCESS_SHIFT;
	enum igb_access_state state = word & ((1u << IGB_ACCESS_SHIFT) - 1);

	switch (state) {
	case IGB_ACCESS_NONE:
	case IGB_ACCESS_DONE:
		return true;
	case IGB_ACCESS_UNDO_IRQ:
	case IGB_ACCESS_UNDO_CTL:
		copy_part(g->kept, state, true);
		atomic_store(&a->state, IGB_ACCESS_NONE);
		return true;
	case IGB_ACCESS_REDO:
		if (!can_redo(a))
			return false;
		set_all(g, a);
		atomic_store(&a->state, number << IGB_ACCESS_SHIFT | IGB_ACCESS_DONE);
		return true;
	}
	return false;
}

/* With ctl. NULL, or why it cannot go on. */
static const char *take_up(struct igb *g)
{
	struct igb_kept *k = g->kept;

	if (k->layout != IGB_KEPT_LAYOUT)
		return "it is of another version of uvfio";
	if (k->vectors != g->vectors)
		return "vectors was another number";
	for (unsigned i = 0; i < 2; i++)
		if (!end_access(g, &k->access[i]))
			return "an access was cut in a way that there is not";
	for (uint32_t off = 0; off < IGB_BAR0_SIZE; off += 4)
		if (!igb_reg_possible(off, igb_get(g, off)))
			return "a register has a value that it cannot have";
	if (!igb_phy_take_up(g))
		return "the PHY has no such mode of the link";
	if (!igb_nvm_take_up(g))
		return "the EEPROM's pins are in no state that there is";
	for (unsigned n = 0; n < IGB_QUEUES; n++)
		if (!igb_rx_take_up(g, n) || !igb_tx_take_up(g, n))
			return "a queue has more under way than there can be";
	igb_irq_take_up(g);
	return NULL;
}

int igb_carry_on(struct uvfio_dev *dev)
{
	struct igb *g = uvfio_priv(dev);
	const char *why;

	pthread_mutex_lock(&g->ctl);
	why = take_up(g);
	g->carried = g->fn[IGB_PF].moved = !why;
	atomic_store(&g->again, !why);
	pthread_mutex_unlock(&g->ctl);
	if (why) {
		uvfio_log(dev, UVFIO_LOG_ERROR, "cannot go on from what was kept: %s", why);
		return -EINVAL;
	}
	igb_steer_update(g);
	return 0;
}

void igb_finish(struct igb *g)
{
	unsigned all = 0;

	if (!g->carried)
		return;
	for (unsigned n = 0; n < IGB_QUEUES; n++) {
		all += igb_rx_finish(g, n);
		all += igb_tx_finish(g, n);
	}
	uvfio_log(g->dev, UVFIO_LOG_DEBUG, "went on; %u descriptors were in flight", all);
}

void igb_tell_again(struct igb *g)
{
	if (!g->carried)
		return;
	g->carried = false;
	if (atomic_load(&g->kept->ctl.link_news)) {
		igb_irq_cause(g, ICR_LSC);
		atomic_store(&g->kept->ctl.link_news, false);
	}
	for (unsigned n = 0; n < IGB_QUEUES; n++) {
		if (igb_get(g, IGB_RXQ(n, RXDCTL)) & QUEUE_ENABLE && igb_get(g, IGB_RXQ(n, RDLEN)))
			igb_irq_queue(g, n, false);
		if (igb_get(g, IGB_TXQ(n, TXDCTL)) & QUEUE_ENABLE && igb_get(g, IGB_TXQ(n, TDLEN)))
			igb_irq_queue(g, n, true);
	}
}
