/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * igb: interrupts (82576 datasheet, 7.3). Two ways: with GPIE.Multiple_MSIX, causes of queues go by
 * IVAR to one of 25 vectors, each a bit of EICR, and the causes of ICR to the vector of IVAR_MISC;
 * without it all share one line or message, and EICR has what IVAR names. A message goes out when
 * an enabled cause arises or a risen one is enabled; which ones went out already is remembered in
 * sent and esent, as MSI has no level. EITR keeps a vector's messages apart; what comes too early
 * waits for a timer.
 */
#include <errno.h>
#include <time.h>
#include "models/igb.h"

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Sends message @v, or has the timer send it. With the lock. */
static bool send(struct igb *g, unsigned v)
{
	struct igb_vector *vec = &g->irq.vec[v];
	uint64_t interval = (igb_get(g, IGB_EITR(v)) & EITR_INTERVAL) >> 2, now;

	if (vec->armed)
		return false;
	if (interval) {
		now = now_ns();
		if (now < vec->next) {
			vec->armed = true;
			uvfio_timer_set(vec->timer, vec->next - now);
			return false;
		}
		vec->next = now + interval * 1000;
	}
	if (v < g->vectors) /* else IVAR named an entry that the table does not have */
		uvfio_msi(g->dev, v);
	return true;
}

static void update_msix(struct igb *g)
{
	uint32_t other = igb_get(g, IGB_IVAR_MISC) >> 8 & 0xff, fire, bit;
	uint32_t icr = g->irq.icr & g->irq.ims;

	if (icr & ~g->irq.sent && other & IVAR_VALID && (other & 31) < IGB_VECTORS) {
		g->irq.sent |= icr;
		g->irq.eicr |= 1u << (other & 31);
		g->irq.esent &= ~(1u << (other & 31));
	}
	fire = g->irq.eicr & g->irq.eims & ~g->irq.esent;
	while (fire) {
		unsigned v = (unsigned)__builtin_ctz(fire);

		bit = 1u << v;
		fire &= ~bit;
		if (!send(g, v))
			continue;
		g->irq.esent |= bit;
		if (g->irq.eiac & bit) { /* 8.8.5 */
			g->irq.eicr &= ~bit;
			g->irq.esent &= ~bit;
		}
		if (g->irq.gpie & GPIE_EIAME) /* 8.8.6 */
			g->irq.eims &= ~(g->irq.eiam & bit);
	}
}

static void update_single(struct igb *g)
{
	uint32_t icr = g->irq.icr & g->irq.ims, eicr;
	enum uvfio_irq_mode mode = uvfio_irq_mode(g->dev);

	if (icr)
		g->irq.eicr |= EICR_OTHER;
	else
		g->irq.eicr &= ~EICR_OTHER;
	eicr = g->irq.eicr & g->irq.eims & ~EICR_OTHER;
	uvfio_intx(g->dev, mode == UVFIO_IRQ_INTX && (icr || eicr));
	if (mode == UVFIO_IRQ_INTX)
		return;
	if ((icr & ~g->irq.sent || eicr & ~g->irq.esent) && send(g, 0)) {
		g->irq.sent |= icr;
		g->irq.esent |= eicr;
	}
}

/* After any change of causes, masks or mode. With the lock. */
static void update(struct igb *g)
{
	g->irq.sent &= g->irq.icr & g->irq.ims;
	g->irq.esent &= g->irq.eicr & g->irq.eims;
	if (g->irq.gpie & GPIE_MSIX) {
		uvfio_intx(g->dev, false);
		update_msix(g);
	} else {
		update_single(g);
	}
}

static void vector_timer(struct uvfio_dev *dev, void *arg)
{
	struct igb_vector *vec = arg;

	pthread_mutex_lock(&vec->g->irq.lock);
	if (vec->armed) {
		vec->armed = false;
		vec->next = 0;
		update(vec->g);
	}
	pthread_mutex_unlock(&vec->g->irq.lock);
}

void igb_irq_cause(struct igb *g, uint32_t icr)
{
	pthread_mutex_lock(&g->irq.lock);
	if (icr & ~g->irq.icr) {
		g->irq.icr |= icr;
		update(g);
	}
	pthread_mutex_unlock(&g->irq.lock);
}

/* A descriptor of @queue was written back. */
void igb_irq_queue(struct igb *g, unsigned queue, bool tx)
{
	unsigned shift = (queue & 8 ? 16 : 0) + (tx ? 8 : 0);
	uint32_t entry = igb_get(g, IGB_IVAR(queue & 7)) >> shift & 0xff, bit = 0;
	bool multiple;

	pthread_mutex_lock(&g->irq.lock);
	multiple = g->irq.gpie & GPIE_MSIX;
	if (entry & IVAR_VALID && (entry & 31) < (multiple ? IGB_VECTORS : 16))
		bit = 1u << (entry & 31);
	if (multiple) {
		if (bit & ~g->irq.eicr || bit & ~g->irq.esent) {
			g->irq.eicr |= bit;
			update(g);
		}
	} else if (bit & ~g->irq.eicr || (tx ? ICR_TXDW : ICR_RXDW) & ~g->irq.icr) {
		g->irq.eicr |= bit;
		g->irq.icr |= tx ? ICR_TXDW : ICR_RXDW;
		update(g);
	}
	pthread_mutex_unlock(&g->irq.lock);
}

bool igb_irq_reg(uint32_t off)
{
	return (off >= IGB_ICR && off <= IGB_EIAM) || off == IGB_EICR;
}

uint32_t igb_irq_read(struct igb *g, uint32_t off)
{
	uint32_t v = 0;

	pthread_mutex_lock(&g->irq.lock);
	switch (off) {
	case IGB_ICR:
		/* 7.3.4.3, 8.8.8: clears if an interrupt is asserted, nothing is enabled, or
		 * always. */
		v = g->irq.icr;
		if (v & g->irq.ims)
			v |= ICR_ASSERTED;
		if (v & ICR_ASSERTED || !g->irq.ims || g->irq.gpie & GPIE_NSICR) {
			if (v & ICR_ASSERTED || g->irq.gpie & GPIE_NSICR)
				g->irq.ims &= ~g->irq.iam;
			g->irq.icr = 0;
			update(g);
		}
		break;
	case IGB_IMS:
		v = g->irq.ims;
		break;
	case IGB_IAM:
		v = g->irq.iam;
		break;
	case IGB_GPIE:
		v = g->irq.gpie;
		break;
	case IGB_EICR: /* 8.8.1: read to clear; EIAM is applied when there is no message to do it */
		v = g->irq.eicr;
		if (!(g->irq.gpie & GPIE_EIAME))
			g->irq.eims &= ~g->irq.eiam;
		g->irq.eicr = 0;
		update(g);
		break;
	case IGB_EIMS:
		v = g->irq.eims;
		break;
	case IGB_EIAC:
		v = g->irq.eiac;
		break;
	case IGB_EIAM:
		v = g->irq.eiam;
		break;
	default: /* write-only: ICS, IMC, EICS, EIMC */
		break;
	}
	pthread_mutex_unlock(&g->irq.lock);
	return v;
}

void igb_irq_write(struct igb *g, uint32_t off, uint32_t value)
{
	uint32_t bits;

	pthread_mutex_lock(&g->irq.lock);
	bits = g->irq.gpie & GPIE_MSIX ? EICR_BITS : EICR_LEGACY_BITS;
	switch (off) {
	case IGB_ICR:
		g->irq.icr &= ~value;
		g->irq.ims &= ~g->irq.iam;
		break;
	case IGB_ICS:
		g->irq.icr |= value & ICR_BITS;
		break;
	case IGB_IMS:
		g->irq.ims |= value & ICR_BITS;
		break;
	case IGB_IMC:
		g->irq.ims &= ~value;
		break;
	case IGB_IAM:
		g->irq.iam = value & ICR_BITS;
		break;
	case IGB_GPIE:
		g->irq.gpie = value & 0xc0000f91;
		/* Bits that the other way does not have: no vector is behind them. */
		bits = g->irq.gpie & GPIE_MSIX ? EICR_BITS : EICR_LEGACY_BITS;
		g->irq.eicr &= bits;
		g->irq.eims &= bits;
		g->irq.eiam &= bits;
		break;
	case IGB_EICR:
		g->irq.eicr &= ~value;
		break;
	case IGB_EICS:
		g->irq.eicr |= value & bits;
		g->irq.esent &= ~(value & bits);
		break;
	case IGB_EIMS:
		g->irq.eims |= value & bits;
		break;
	case IGB_EIMC:
		g->irq.eims &= ~value;
		break;
	case IGB_EIAC:
		g->irq.eiac = value & EICR_BITS;
		break;
	case IGB_EIAM:
		g->irq.eiam = value & bits;
		break;
	default:
		break;
	}
	update(g);
	pthread_mutex_unlock(&g->irq.lock);
}

void igb_irq_mode_changed(struct igb *g)
{
	pthread_mutex_lock(&g->irq.lock);
	update(g);
	pthread_mutex_unlock(&g->irq.lock);
}

void igb_irq_reset(struct igb *g)
{
	pthread_mutex_lock(&g->irq.lock);
	g->irq.icr = g->irq.ims = g->irq.iam = g->irq.gpie = 0;
	g->irq.eicr = g->irq.eims = g->irq.eiac = g->irq.eiam = 0;
	for (unsigned i = 0; i < IGB_VECTORS; i++) {
		if (g->irq.vec[i].armed)
			uvfio_timer_set(g->irq.vec[i].timer, UINT64_MAX);
		g->irq.vec[i].armed = false;
		g->irq.vec[i].next = 0;
	}
	update(g);
	pthread_mutex_unlock(&g->irq.lock);
}

int igb_irq_init(struct igb *g)
{
	pthread_mutex_init(&g->irq.lock, NULL);
	for (unsigned i = 0; i < IGB_VECTORS; i++) {
		g->irq.vec[i].g = g;
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
