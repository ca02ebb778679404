/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/igb/irq.c: interrupts (82576 datasheet, 7.3). Two ways of the PF: with GPIE.Multiple_MSIX,
 * causes of queues go by IVAR to one of 25 vectors, each a bit of EICR, and the causes of ICR to
 * the vector of IVAR_MISC; without it all share one line or message, and EICR has what IVAR names.
 * A message goes out when an enabled cause arises or a risen one is enabled; which ones went out
 * already is remembered in sent, as MSI has no level. EITR keeps a vector's messages apart; what
 * comes too early waits for a timer. A VF has three of the 25 vectors, from the upper end, with
 * registers like those of the extended causes and an IVAR of its own.
 */
#include <errno.h>

#include "models/igb/internal.h"

/* Send message @i of a function, or have the timer send it. With the lock. */
static bool send(struct igb *g, struct igb_bank *b, unsigned i)
{
	struct igb_vector *vec = &g->irq.vec[b->first + i];
	uint64_t interval = (igb_get(g, IGB_EITR(b->first + i)) & EITR_INTERVAL) >> 2, now;

	if (vec->k->armed)
		return false;
	if (interval) {
		now = igb_now_ns();
		if (now < vec->k->next) {
			vec->k->armed = true;
			uvfio_timer_set(vec->timer, vec->k->next - now);
			return false;
		}
		vec->k->next = now + interval * 1000;
	}
	/* IVAR may have named an entry that the table does not have. */
	if (b->fn->dev && i < (b->fn->index == IGB_PF ? g->vectors : IGB_VF_VECTORS))
		uvfio_msi(b->fn->dev, i);
	return true;
}

/* Send the messages of the extended causes that are enabled and new. */
static void update_bank(struct igb *g, struct igb_bank *b)
{
	uint32_t fire = b->k->eicr & b->k->eims & ~b->k->sent & b->all, bit;

	while (fire) {
		unsigned i = (unsigned)__builtin_ctz(fire);

		bit = 1u << i;
		fire &= ~bit;
		if (!send(g, b, i))
			continue;
		b->k->sent |= bit;
		if (b->k->eiac & bit) { /* 8.8.5 */
			b->k->eicr &= ~bit;
			b->k->sent &= ~bit;
		}
		if (g->kept->irq.gpie & GPIE_EIAME) /* 8.8.6 */
			b->k->eims &= ~(b->k->eiam & bit);
	}
}

static void update_msix(struct igb *g)
{
	struct igb_bank *b = &g->irq.bank[IGB_PF];
	uint32_t other = igb_get(g, IGB_IVAR_MISC) >> 8 & 0xff;
	uint32_t icr = g->kept->irq.icr & g->kept->irq.ims;

	if (icr & ~g->kept->irq.sent && other & IVAR_VALID && (other & 31) < IGB_VECTORS) {
		g->kept->irq.sent |= icr;
		b->k->eicr |= 1u << (other & 31);
		b->k->sent &= ~(1u << (other & 31));
	}
	update_bank(g, b);
}

static void update_single(struct igb *g)
{
	struct igb_bank *b = &g->irq.bank[IGB_PF];
	uint32_t icr = g->kept->irq.icr & g->kept->irq.ims, eicr;
	enum uvfio_irq_mode mode = uvfio_irq_mode(g->dev);

	if (icr)
		b->k->eicr |= EICR_OTHER;
	else
		b->k->eicr &= ~EICR_OTHER;
	eicr = b->k->eicr & b->k->eims & ~EICR_OTHER;
	uvfio_intx(g->dev, mode == UVFIO_IRQ_INTX && (icr || eicr));
	if (mode == UVFIO_IRQ_INTX)
		return;
	if ((icr & ~g->kept->irq.sent || eicr & ~b->k->sent) && send(g, b, 0)) {
		g->kept->irq.sent |= icr;
		b->k->sent |= eicr;
	}
}

/* Send what is due after a change of causes, masks or mode. With the lock. */
static void update(struct igb *g)
{
	struct igb_bank *b = &g->irq.bank[IGB_PF];

	g->kept->irq.sent &= g->kept->irq.icr & g->kept->irq.ims;
	b->k->sent &= b->k->eicr & b->k->eims;
	if (g->kept->irq.gpie & GPIE_MSIX) {
		uvfio_intx(g->dev, false);
		update_msix(g);
	} else {
		update_single(g);
	}
}

/* Do the same for a virtual function, which has nothing but MSI-X. */
static void update_vf(struct igb *g, unsigned vf)
{
	struct igb_bank *b = &g->irq.bank[vf];

	b->k->sent &= b->k->eicr & b->k->eims;
	update_bank(g, b);
}

/* Return the virtual function whose vector it is; NULL: it is the PF's. */
static struct igb_fn *vec_vf(struct igb_vector *vec)
{
	unsigned v = (unsigned)(vec - vec->g->irq.vec);

	for (unsigned vf = 0; vf < IGB_VFS; vf++)
		if (igb_vf_enabled(vec->g, vf) && v >= IGB_VF_VECTOR(vf) &&
		    v < IGB_VF_VECTOR(vf) + IGB_VF_VECTORS)
			return &vec->g->fn[vf];
	return NULL;
}

static void vector_timer(struct uvfio_dev *dev, void *arg)
{
	struct igb_vector *vec = arg;

	pthread_mutex_lock(&vec->g->irq.lock);
	/* of a VF that is stopped, though not its PF, it waits */
	if (vec->k->armed && !(vec_vf(vec) && igb_stopped(vec_vf(vec)))) {
		vec->k->armed = false;
		vec->k->next = 0;
		update(vec->g);
		for (unsigned vf = 0; vf < IGB_VFS; vf++)
			update_vf(vec->g, vf);
	}
	pthread_mutex_unlock(&vec->g->irq.lock);
}

void igb_irq_cause(struct igb *g, uint32_t icr)
{
	pthread_mutex_lock(&g->irq.lock);
	if (icr & ~g->kept->irq.icr) {
		g->kept->irq.icr |= icr;
		update(g);
	}
	pthread_mutex_unlock(&g->irq.lock);
}

static void vf_queue(struct igb *g, unsigned vf, uint32_t entry)
{
	struct igb_bank *b = &g->irq.bank[vf];
	uint32_t bit = 1u << (entry & 3) & b->all;

	if (!(entry & IVAR_VALID))
		return;
	pthread_mutex_lock(&g->irq.lock);
	if (bit & ~b->k->eicr || bit & ~b->k->sent) {
		b->k->eicr |= bit;
		update_vf(g, vf);
	}
	pthread_mutex_unlock(&g->irq.lock);
}

/* Signal that a descriptor of @queue was written back. */
void igb_irq_queue(struct igb *g, unsigned queue, bool tx)
{
	unsigned shift = (queue & 8 ? 16 : 0) + (tx ? 8 : 0);
	struct igb_bank *b = &g->irq.bank[IGB_PF];
	uint32_t entry, bit = 0;
	bool multiple;

	if (igb_vf_enabled(g, queue & 7)) {
		vf_queue(g, queue & 7, igb_get(g, IGB_VTIVAR(queue & 7)) >> shift);
		return;
	}
	entry = igb_get(g, IGB_IVAR(queue & 7)) >> shift & 0xff;
	pthread_mutex_lock(&g->irq.lock);
	multiple = g->kept->irq.gpie & GPIE_MSIX;
	if (entry & IVAR_VALID && (entry & 31) < (multiple ? IGB_VECTORS : 16))
		bit = 1u << (entry & 31);
	if (multiple) {
		if (bit & ~b->k->eicr || bit & ~b->k->sent) {
			b->k->eicr |= bit;
			update(g);
		}
	} else if (bit & ~b->k->eicr || (tx ? ICR_TXDW : ICR_RXDW) & ~g->kept->irq.icr) {
		b->k->eicr |= bit;
		g->kept->irq.icr |= tx ? ICR_TXDW : ICR_RXDW;
		update(g);
	}
	pthread_mutex_unlock(&g->irq.lock);
}

void igb_irq_mailbox(struct igb *g, unsigned vf)
{
	vf_queue(g, vf, igb_get(g, IGB_VTIVAR_MISC(vf)));
}

/* ---- registers ---- */

static uint32_t read_cause(struct igb *g, struct igb_bank *b)
{
	uint32_t v = b->k->eicr;

	/* 8.8.1: read to clear; EIAM is applied when there is no message to do it */
	if (!(g->kept->irq.gpie & GPIE_EIAME))
		b->k->eims &= ~b->k->eiam;
	b->k->eicr = 0;
	return v;
}

/* True for VTEICS to VTEICR: a VF's registers, which it sees under these names without VT. */
static bool is_vf_reg(uint32_t off)
{
	return off >= IGB_VTCTRL(0) && off < IGB_VT_END &&
	       (((off & 0xff) >= VTEICS && (off & 0xff) <= VTEIAM) || (off & 0xff) == VTEICR);
}

static uint32_t vf_read(struct igb *g, uint32_t off)
{
	unsigned vf = off >> 8 & 7;
	struct igb_bank *b = &g->irq.bank[vf];
	uint32_t v;

	switch (off & 0xff) {
	case VTEICR:
		v = read_cause(g, b);
		update_vf(g, vf);
		return v;
	case VTEIMS:
		return b->k->eims;
	case VTEIAC:
		return b->k->eiac;
	case VTEIAM:
		return b->k->eiam;
	default: /* write-only: VTEICS, VTEIMC */
		return 0;
	}
}

static void vf_write(struct igb *g, uint32_t off, uint32_t value)
{
	unsigned vf = off >> 8 & 7;
	struct igb_bank *b = &g->irq.bank[vf];

	value &= b->all;
	switch (off & 0xff) {
	case VTEICR:
		b->k->eicr &= ~value;
		break;
	case VTEICS:
		b->k->eicr |= value;
		b->k->sent &= ~value;
		break;
	case VTEIMS:
		b->k->eims |= value;
		break;
	case VTEIMC:
		b->k->eims &= ~value;
		break;
	case VTEIAC:
		b->k->eiac = value;
		break;
	case VTEIAM:
		b->k->eiam = value;
		break;
	default:
		break;
	}
	update_vf(g, vf);
}

bool igb_irq_reg(uint32_t off)
{
	return (off >= IGB_ICR && off <= IGB_EIAM) || off == IGB_EICR || is_vf_reg(off);
}

uint32_t igb_irq_read(struct igb *g, uint32_t off)
{
	struct igb_bank *b = &g->irq.bank[IGB_PF];
	uint32_t v = 0;

	pthread_mutex_lock(&g->irq.lock);
	if (off == IGB_ICR || off == IGB_EICR)
		igb_undo_begin(g, IGB_ACCESS_UNDO_IRQ);
	switch (off) {
	case IGB_ICR:
		/*
		 * 7.3.4.3, 8.8.8: clears if an interrupt is asserted, nothing is enabled, or
		 * always.
		 */
		v = g->kept->irq.icr;
		if (v & g->kept->irq.ims)
			v |= ICR_ASSERTED;
		if (v & ICR_ASSERTED || !g->kept->irq.ims || g->kept->irq.gpie & GPIE_NSICR) {
			if (v & ICR_ASSERTED || g->kept->irq.gpie & GPIE_NSICR)
				g->kept->irq.ims &= ~g->kept->irq.iam;
			g->kept->irq.icr = 0;
			update(g);
		}
		break;
	case IGB_IMS:
		v = g->kept->irq.ims;
		break;
	case IGB_IAM:
		v = g->kept->irq.iam;
		break;
	case IGB_GPIE:
		v = g->kept->irq.gpie;
		break;
	case IGB_EICR:
		v = read_cause(g, b);
		update(g);
		break;
	case IGB_EIMS:
		v = b->k->eims;
		break;
	case IGB_EIAC:
		v = b->k->eiac;
		break;
	case IGB_EIAM:
		v = b->k->eiam;
		break;
	case IGB_ICS: /* write-only */
	case IGB_IMC:
	case IGB_EICS:
	case IGB_EIMC:
		break;
	default:
		if (is_vf_reg(off))
			v = vf_read(g, off);
		break;
	}
	if (off == IGB_ICR || off == IGB_EICR)
		igb_undo_end(g, v);
	pthread_mutex_unlock(&g->irq.lock);
	return v;
}

void igb_irq_write(struct igb *g, uint32_t off, uint32_t value)
{
	struct igb_bank *b = &g->irq.bank[IGB_PF];
	uint32_t bits;

	pthread_mutex_lock(&g->irq.lock);
	igb_undo_begin(g, IGB_ACCESS_UNDO_IRQ);
	if (is_vf_reg(off)) {
		vf_write(g, off, value);
		goto out;
	}
	bits = g->kept->irq.gpie & GPIE_MSIX ? EICR_BITS : EICR_LEGACY_BITS;
	switch (off) {
	case IGB_ICR:
		g->kept->irq.icr &= ~value;
		g->kept->irq.ims &= ~g->kept->irq.iam;
		break;
	case IGB_ICS:
		g->kept->irq.icr |= value & ICR_BITS;
		break;
	case IGB_IMS:
		g->kept->irq.ims |= value & ICR_BITS;
		break;
	case IGB_IMC:
		g->kept->irq.ims &= ~value;
		break;
	case IGB_IAM:
		g->kept->irq.iam = value & ICR_BITS;
		break;
	case IGB_GPIE:
		g->kept->irq.gpie = value & GPIE_BITS;
		/* Bits that the other way does not have: no vector is behind them. */
		bits = g->kept->irq.gpie & GPIE_MSIX ? EICR_BITS : EICR_LEGACY_BITS;
		b->k->eicr &= bits;
		b->k->eims &= bits;
		b->k->eiam &= bits;
		break;
	case IGB_EICR:
		b->k->eicr &= ~value;
		break;
	case IGB_EICS:
		b->k->eicr |= value & bits;
		b->k->sent &= ~(value & bits);
		break;
	case IGB_EIMS:
		b->k->eims |= value & bits;
		break;
	case IGB_EIMC:
		b->k->eims &= ~value;
		break;
	case IGB_EIAC:
		b->k->eiac = value & EICR_BITS;
		break;
	case IGB_EIAM:
		b->k->eiam = value & bits;
		break;
	default:
		break;
	}
	update(g);
out:
	igb_undo_end(g, 0);
	pthread_mutex_unlock(&g->irq.lock);
}

void igb_irq_mode_changed(struct igb *g)
{
	pthread_mutex_lock(&g->irq.lock);
	update(g);
	pthread_mutex_unlock(&g->irq.lock);
}

/* ---- life ---- */

static void reset_vector(struct igb *g, unsigned v)
{
	struct igb_vector *vec = &g->irq.vec[v];

	if (vec->k->armed)
		uvfio_timer_set(vec->timer, UINT64_MAX);
	vec->k->armed = false;
	vec->k->next = 0;
}

static void reset_bank(struct igb_bank *b)
{
	b->k->eicr = b->k->eims = b->k->eiac = b->k->eiam = b->k->sent = 0;
}

void igb_irq_vf_reset(struct igb *g, unsigned vf)
{
	pthread_mutex_lock(&g->irq.lock);
	igb_put(g, IGB_VTIVAR(vf), 0);
	igb_put(g, IGB_VTIVAR_MISC(vf), 0);
	for (unsigned i = 0; i < IGB_VF_VECTORS; i++) {
		igb_put(g, IGB_EITR(IGB_VF_VECTOR(vf) + i), 0);
		reset_vector(g, IGB_VF_VECTOR(vf) + i);
	}
	reset_bank(&g->irq.bank[vf]);
	pthread_mutex_unlock(&g->irq.lock);
}

/* Take the vectors of enabled VFs away from the PF. */
void igb_irq_vfs_changed(struct igb *g)
{
	uint32_t all = EICR_BITS;

	pthread_mutex_lock(&g->irq.lock);
	for (unsigned vf = 0; vf < IGB_VFS; vf++) {
		if (igb_vf_enabled(g, vf))
			all &= ~(7u << IGB_VF_VECTOR(vf));
	}
	g->irq.bank[IGB_PF].all = all;
	update(g);
	pthread_mutex_unlock(&g->irq.lock);
}

void igb_irq_reset(struct igb *g)
{
	pthread_mutex_lock(&g->irq.lock);
	g->kept->irq.icr = g->kept->irq.ims = g->kept->irq.iam = g->kept->irq.gpie = 0;
	for (unsigned i = 0; i < IGB_FUNCTIONS; i++)
		reset_bank(&g->irq.bank[i]);
	for (unsigned i = 0; i < IGB_VECTORS; i++)
		reset_vector(g, i);
	update(g);
	pthread_mutex_unlock(&g->irq.lock);
}

/* ---- migration ---- */

static void save_bank(const struct igb_bank *b, struct uvfio_state *s)
{
	uvfio_put32(s, b->k->eicr);
	uvfio_put32(s, b->k->eims);
	uvfio_put32(s, b->k->eiac);
	uvfio_put32(s, b->k->eiam);
	uvfio_put32(s, b->k->sent);
}

static void save_vector(const struct igb_vector *v, struct uvfio_state *s)
{
	uint64_t now = igb_now_ns(), left = v->k->armed ? uvfio_timer_left(v->timer) : UINT64_MAX;

	/* it fired, and waits for its VF to go on */
	if (v->k->armed && left == UINT64_MAX)
		left = 0;
	uvfio_put64(s, left);
	uvfio_put64(s, v->k->next > now ? v->k->next - now : 0);
}

void igb_irq_save(struct igb *g, struct uvfio_state *s)
{
	pthread_mutex_lock(&g->irq.lock);
	uvfio_put32(s, g->kept->irq.icr);
	uvfio_put32(s, g->kept->irq.ims);
	uvfio_put32(s, g->kept->irq.iam);
	uvfio_put32(s, g->kept->irq.gpie);
	uvfio_put32(s, g->kept->irq.sent);
	for (unsigned i = 0; i < IGB_FUNCTIONS; i++)
		save_bank(&g->irq.bank[i], s);
	for (unsigned i = 0; i < IGB_VECTORS; i++)
		save_vector(&g->irq.vec[i], s);
	pthread_mutex_unlock(&g->irq.lock);
}

void igb_irq_vf_save(struct igb *g, unsigned vf, struct uvfio_state *s)
{
	pthread_mutex_lock(&g->irq.lock);
	save_bank(&g->irq.bank[vf], s);
	for (unsigned i = 0; i < IGB_VF_VECTORS; i++)
		save_vector(&g->irq.vec[IGB_VF_VECTOR(vf) + i], s);
	pthread_mutex_unlock(&g->irq.lock);
}

/* Load the causes and masks of a function: those bits that it has. */
static void load_bank(struct igb_bank *b, struct uvfio_state *s, uint32_t bits)
{
	b->k->eicr = uvfio_get32(s) & bits;
	b->k->eims = uvfio_get32(s) & bits;
	b->k->eiac = uvfio_get32(s) & bits & EICR_BITS;
	b->k->eiam = uvfio_get32(s) & bits;
	b->k->sent = uvfio_get32(s) & bits;
}

static void load_vector(struct igb_vector *v, struct uvfio_state *s)
{
	uint64_t longest = (EITR_INTERVAL >> 2) * 1000ull, left = uvfio_get64(s);

	v->k->armed = left != UINT64_MAX;
	uvfio_timer_set(v->timer, !v->k->armed ? UINT64_MAX : left < longest ? left : longest);
	left = uvfio_get64(s);
	v->k->next = left ? igb_now_ns() + (left < longest ? left : longest) : 0;
}

void igb_irq_restore(struct igb *g, struct uvfio_state *s)
{
	pthread_mutex_lock(&g->irq.lock);
	g->kept->irq.icr = uvfio_get32(s) & ICR_BITS;
	g->kept->irq.ims = uvfio_get32(s) & ICR_BITS;
	g->kept->irq.iam = uvfio_get32(s) & ICR_BITS;
	g->kept->irq.gpie = uvfio_get32(s) & GPIE_BITS;
	g->kept->irq.sent = uvfio_get32(s) & ICR_BITS;
	for (unsigned i = 0; i < IGB_FUNCTIONS; i++)
		load_bank(&g->irq.bank[i], s,
			  i != IGB_PF			  ? 7
			  : g->kept->irq.gpie & GPIE_MSIX ? EICR_BITS
							  : EICR_LEGACY_BITS);
	for (unsigned i = 0; i < IGB_VECTORS; i++)
		load_vector(&g->irq.vec[i], s);
	pthread_mutex_unlock(&g->irq.lock);
}

void igb_irq_vf_restore(struct igb *g, unsigned vf, struct uvfio_state *s)
{
	pthread_mutex_lock(&g->irq.lock);
	load_bank(&g->irq.bank[vf], s, 7);
	for (unsigned i = 0; i < IGB_VF_VECTORS; i++)
		load_vector(&g->irq.vec[IGB_VF_VECTOR(vf) + i], s);
	pthread_mutex_unlock(&g->irq.lock);
}

void igb_irq_vf_resume(struct igb *g, unsigned vf, bool again)
{
	struct igb_bank *b = &g->irq.bank[vf];

	pthread_mutex_lock(&g->irq.lock);
	for (unsigned i = 0; i < IGB_VF_VECTORS; i++) {
		struct igb_vector *v = &g->irq.vec[IGB_VF_VECTOR(vf) + i];

		if (v->k->armed && uvfio_timer_left(v->timer) == UINT64_MAX)
			uvfio_timer_set(v->timer, 0);
		/* as in igb_irq_again() */
		if (again && b->fn->dev && (b->k->eims | b->k->eiam | b->k->eiac) >> i & 1)
			uvfio_msi(b->fn->dev, i);
	}
	pthread_mutex_unlock(&g->irq.lock);
}

void igb_irq_again(struct igb *g)
{
	struct igb_bank *b = &g->irq.bank[IGB_PF];
	enum uvfio_irq_mode mode = uvfio_irq_mode(g->dev);

	pthread_mutex_lock(&g->irq.lock);
	if (mode == UVFIO_IRQ_MSI && (g->kept->irq.ims || b->k->eims))
		uvfio_msi(g->dev, 0);
	/* of those with EIAM the mask shows that the driver has not answered yet */
	for (unsigned i = 0; mode == UVFIO_IRQ_MSIX && i < g->vectors; i++) {
		if ((b->k->eims | b->k->eiam | b->k->eiac) >> i & 1)
			uvfio_msi(g->dev, i);
	}
	pthread_mutex_unlock(&g->irq.lock);
}

/*
 * Messages that were sent count as not sent: which of them went out before a kill nobody knows.
 */
void igb_irq_take_up(struct igb *g)
{
	struct igb_kept_irq *k = &g->kept->irq;
	uint64_t longest = (EITR_INTERVAL >> 2) * 1000ull, now = igb_now_ns();

	pthread_mutex_lock(&g->irq.lock);
	k->sent = 0;
	for (unsigned i = 0; i < IGB_FUNCTIONS; i++)
		k->bank[i].sent = 0;
	for (unsigned i = 0; i < IGB_VECTORS; i++) {
		struct igb_kept_vector *v = &k->vec[i];

		if (v->next > now + longest)
			v->next = now + longest;
		if (v->armed)
			uvfio_timer_set(g->irq.vec[i].timer, v->next > now ? v->next - now : 0);
	}
	pthread_mutex_unlock(&g->irq.lock);
}

/* ---- creation ---- */

int igb_irq_init(struct igb *g)
{
	pthread_mutex_init(&g->irq.lock, NULL);
	for (unsigned i = 0; i < IGB_FUNCTIONS; i++) {
		g->irq.bank[i].fn = &g->fn[i];
		g->irq.bank[i].k = &g->kept->irq.bank[i];
		g->irq.bank[i].first = i == IGB_PF ? 0 : IGB_VF_VECTOR(i);
		g->irq.bank[i].all = i == IGB_PF ? EICR_BITS : 7;
	}
	for (unsigned i = 0; i < IGB_VECTORS; i++) {
		g->irq.vec[i].g = g;
		g->irq.vec[i].k = &g->kept->irq.vec[i];
		g->irq.vec[i].timer = uvfio_timer_new(g->dev, vector_timer, &g->irq.vec[i]);
		if (!g->irq.vec[i].timer)
			return -ENOMEM;
	}
	return 0;
}

void igb_irq_fini(struct igb *g)
{
	for (unsigned i = 0; i < IGB_VECTORS; i++) {
		if (g->irq.vec[i].timer)
			uvfio_timer_free(g->irq.vec[i].timer);
	}
	pthread_mutex_destroy(&g->irq.lock);
}
