/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/igb/kinds.c: what the 82576's datasheet forbids drivers, as far as the chip sees it: of
 * rings, of descriptors, of the semaphore.
 */
#include "models/igb/internal.h"

const struct uvfio_kind igb_kinds[] = {
	[IGB_BAD_TAIL_RANGE] = {
		.name = "tail-range",
		.line = "A tail is stored that is not less than the number of descriptors",
		.section = "82576 datasheet, 8.10.9 and 8.12.12",
		.fix = "Write the index of a descriptor, which goes back to 0 after the last "
			"one; RDLEN and TDLEN are in bytes, 16 for each.",
	},
	[IGB_BAD_TAIL_EARLY] = {
		.name = "tail-early",
		.line = "A tail is moved while its queue is disabled",
		.section = "82576 datasheet, 4.5.9 and 4.5.10",
		.fix = "Set RXDCTL.ENABLE or TXDCTL.ENABLE, read it until it is set, and move "
			"the tail then: what is stored before is lost.",
	},
	[IGB_BAD_TAIL_BACK] = {
		.name = "tail-back",
		.line = "A tail moves back, so that descriptors are taken away that the device "
			"has",
		.section = "82576 datasheet, 7.1.6 and 7.2.1",
		.fix = "Move the tail forward only; to have descriptors back, disable the "
			"queue.",
	},
	[IGB_BAD_RING_FULL] = {
		.name = "ring-full",
		.line = "A tail is moved to the head: the ring is empty then, not full",
		.section = "82576 datasheet, 7.1.6 and 7.2.1",
		.fix = "Leave one descriptor free: the device may have all but one of them.",
	},
	[IGB_BAD_RING_LENGTH] = {
		.name = "ring-length",
		.line = "A queue works with a ring whose length it cannot have",
		.section = "82576 datasheet, 8.10.7 and 8.12.10",
		.fix = "Give RDLEN and TDLEN multiples of 128 bytes, which is 8 descriptors, up to "
		       "512 KiB.",
	},
	[IGB_BAD_RING_BASE] = {
		.name = "ring-base",
		.line = "A queue works with a ring that is not aligned to 128 bytes",
		.section = "82576 datasheet, 8.10.5 and 8.12.8",
		.fix = "Align rings: the low seven bits of the address are not there.",
	},
	[IGB_BAD_RING_BUSY] = {
		.name = "ring-busy",
		.line = "The place or length of a ring changes while its queue is enabled",
		.section = "82576 datasheet, 4.5.9 and 4.5.10",
		.fix = "Clear RXDCTL.ENABLE or TXDCTL.ENABLE first, and read it until it is "
			"clear.",
	},
	[IGB_BAD_RING_NONE] = {
		.name = "ring-none",
		.line = "A queue is enabled that has no ring",
		.section = "82576 datasheet, 4.5.9 and 4.5.10",
		.fix = "Write the ring's address and its length before ENABLE is set.",
	},
	[IGB_BAD_RX_TYPE] = {
		.name = "rx-type",
		.line = "A receive queue is enabled with a reserved kind of descriptors",
		.section = "82576 datasheet, 8.10.2",
		.fix = "Take one of the values of SRRCTL.DESCTYPE that are there: 0, 1, 2 or "
			"5.",
	},
	[IGB_BAD_TX_TYPE] = {
		.name = "tx-type",
		.line = "A transmit descriptor is of a reserved kind",
		.section = "82576 datasheet, 7.2.2",
		.fix = "With DEXT, DTYP is 2 (context) or 3 (data); look whether the "
			"descriptor was written at all.",
	},
	[IGB_BAD_TX_CONTEXT] = {
		.name = "tx-context",
		.line = "A packet asks for an offload by a context that was never written",
		.section = "82576 datasheet, 7.2.2.2",
		.fix = "Put a context descriptor into the queue before it, with the IDX of the "
			"packet's first descriptor.",
	},
	[IGB_BAD_TX_MIXED] = {
		.name = "tx-mixed",
		.line = "Descriptors of several kinds are in one packet",
		.section = "82576 datasheet, 7.2.2",
		.fix = "End a packet with EOP before another one, or a context, begins; do not "
			"mix legacy and advanced descriptors.",
	},
	[IGB_BAD_TX_SIZE] = {
		.name = "tx-size",
		.line = "A packet is empty, too short or too long, and is not sent",
		.section = "82576 datasheet, 7.2.1",
		.fix = "A packet has from 14 to 9728 bytes in all, and with TSE up to 256 KiB; "
			"look at the lengths of its descriptors and at EOP.",
	},
	[IGB_BAD_TX_TSO] = {
		.name = "tx-tso",
		.line = "A packet is to be segmented by a context that does not fit it",
		.section = "82576 datasheet, 7.2.4",
		.fix = "Give MACLEN, IPLEN, L4LEN and MSS of this packet, which is TCP or UDP "
			"and longer than its headers.",
	},
	[IGB_BAD_TX_PAYLEN] = {
		.name = "tx-paylen",
		.line = "PAYLEN is not the length of the packet's data",
		.section = "82576 datasheet, 7.2.2.3",
		.fix = "Give the bytes of all descriptors of the packet, and with TSE those "
			"behind the headers, in its first one.",
	},
	[IGB_BAD_SYNC_UNOWNED] = {
		.name = "sync-unowned",
		.line = "SW_FW_SYNC is written without the semaphore that guards it",
		.section = "82576 datasheet, 4.7",
		.fix = "Take SWSM.SMBI (by reading it as 0) and then SWSM.SWESMBI before "
			"SW_FW_SYNC is read and written, and give them back.",
	},
	{ 0 },
};

/* A queue's registers, and a store to one of them. */
struct store {
	struct igb_fn *fn;
	uint32_t off;  /* where the driver stored */
	uint32_t base; /* where the queue's registers begin, in their canonical place */
	uint32_t reg, value;
	bool tx;
};

static uint32_t of_queue(const struct store *s, uint32_t reg)
{
	return igb_get(s->fn->g, s->base + reg);
}

/* True if the queue works, as far as the driver says so: 8.10.10, 8.12.13. */
static bool is_on(const struct store *s)
{
	struct igb *g = s->fn->g;

	return of_queue(s, RXDCTL) & QUEUE_ENABLE &&
	       (s->tx ? igb_get(g, IGB_TCTL) & TCTL_EN : igb_get(g, IGB_RCTL) & RCTL_EN);
}

#define TELL(s, kind, ...)                                                                 \
	do {                                                                               \
		uint64_t value_ = (s)->value;                                              \
                                                                                           \
		uvfio_report_reg((s)->fn->dev, (kind), 0, (s)->off, &value_, __VA_ARGS__); \
	} while (0)

static void judge_tail(const struct store *s)
{
	uint32_t size = of_queue(s, RDLEN) / 16, head = of_queue(s, RDH), old = of_queue(s, RDT);
	struct igb *g = s->fn->g;
	unsigned n = s->base >> 6 & 15;
	pthread_mutex_t *lock = s->tx ? &g->txq[n].lock : &g->rxq[n].lock;
	uint32_t had, has;

	if (!(of_queue(s, RXDCTL) & QUEUE_ENABLE)) {
		/* that of a VF may have been disabled by its PF's driver */
		if (s->value && s->fn->index == IGB_PF)
			TELL(s, IGB_BAD_TAIL_EARLY, "%u, and the queue is disabled (head %u)",
			     s->value, head);
		return;
	}
	if (!is_on(s))
		return;
	/* 0 is what a driver stores when it sets a queue up */
	if (s->value && s->value >= size) {
		TELL(s, IGB_BAD_TAIL_RANGE, "%u, and the ring has %u descriptors", s->value, size);
		return;
	}
	if (head >= size || old >= size)
		return;
	had = (old + size - head) % size;
	has = (s->value + size - head) % size;
	/*
	 * A driver may have descriptors back, and give them again, of which the head does not tell
	 * yet. So that is looked at once more while the queue is at rest; one that is at work is
	 * not judged.
	 */
	if (has >= had || pthread_mutex_trylock(lock))
		return;
	head = of_queue(s, RDH);
	pthread_mutex_unlock(lock);
	if (head >= size)
		return;
	had = (old + size - head) % size;
	has = (s->value + size - head) % size;
	if (has >= had)
		return;
	if (has)
		TELL(s, IGB_BAD_TAIL_BACK, "%u, it was %u, and the head is %u", s->value, old,
		     head);
	else
		TELL(s, IGB_BAD_RING_FULL, "%u, which is the head; it was %u", s->value, old);
}

/*
 * Note an address or a length that cannot be: the driver's mistake is made when the queue begins to
 * work with it. Until then it may be a driver that tests registers.
 */
static void note_ring(const struct store *s)
{
	uint32_t old = of_queue(s, s->reg);
	unsigned n = s->base >> 6 & 15;
	atomic_uint *wrong = NULL;
	bool bad = s->value & 0x7f;

	if (s->reg == RDBAL)
		wrong = &s->fn->g->wrong_base[s->tx];
	if (s->reg == RDLEN) {
		wrong = &s->fn->g->wrong_length[s->tx];
		bad |= s->value > 0x80000;
	}
	if (wrong && bad)
		atomic_fetch_or(wrong, 1u << n);
	else if (wrong && atomic_load_explicit(wrong, memory_order_relaxed) >> n & 1)
		atomic_fetch_and(wrong, ~(1u << n));
	if (s->value != old && is_on(s))
		TELL(s, IGB_BAD_RING_BUSY, "0x%x, it was 0x%x", s->value, old);
}

/* The queue begins to work, by this store. */
static void judge_start(const struct store *s)
{
	unsigned n = s->base >> 6 & 15;
	const char *way = s->tx ? "transmit" : "receive";

	if (atomic_load(&s->fn->g->wrong_base[s->tx]) >> n & 1)
		TELL(s, IGB_BAD_RING_BASE, "%s queue %u: its ring is at 0x%x now", way, n,
		     of_queue(s, RDBAL));
	if (atomic_load(&s->fn->g->wrong_length[s->tx]) >> n & 1)
		TELL(s, IGB_BAD_RING_LENGTH, "%s queue %u: its ring has %u bytes now", way, n,
		     of_queue(s, RDLEN));
	if (!s->tx && of_queue(s, RDLEN) && !igb_descriptor_type_known(of_queue(s, SRRCTL)))
		TELL(s, IGB_BAD_RX_TYPE, "receive queue %u: SRRCTL is 0x%x", n,
		     of_queue(s, SRRCTL));
}

static void judge_enable(const struct store *s)
{
	struct igb *g = s->fn->g;
	uint32_t old = of_queue(s, RXDCTL);

	if (!(s->value & ~old & QUEUE_ENABLE) ||
	    !(s->tx ? igb_get(g, IGB_TCTL) & TCTL_EN : igb_get(g, IGB_RCTL) & RCTL_EN))
		return;
	if (!of_queue(s, RDLEN))
		TELL(s, IGB_BAD_RING_NONE, "0x%x, and its ring has no length", s->value);
	judge_start(s);
}

void igb_judge_all(struct igb_fn *fn, uint32_t off, uint32_t value)
{
	bool tx = off == IGB_TCTL;

	if (!(value & ~igb_get(fn->g, off) & (tx ? TCTL_EN : RCTL_EN)))
		return;
	for (unsigned n = 0; n < IGB_QUEUES; n++) {
		const struct store s = { .fn = fn,
					 .off = off,
					 .base = tx ? IGB_TXQ(n, 0) : IGB_RXQ(n, 0),
					 .value = value,
					 .tx = tx };

		if (of_queue(&s, RXDCTL) & QUEUE_ENABLE)
			judge_start(&s);
	}
}

void igb_judge_queue(struct igb_fn *fn, uint32_t off, uint32_t place, uint32_t value)
{
	const struct store s = {
		.fn = fn,
		.off = off,
		.base = place & ~0x3fu,
		.reg = place & 0x3f,
		.value = value,
		.tx = place >= IGB_TXQ(0, 0),
	};

	/* the registers of both directions lie alike */
	_Static_assert(RDBAL == TDBAL && RDBAH == TDBAH && RDLEN == TDLEN && RDH == TDH &&
			       RDT == TDT && RXDCTL == TXDCTL,
		       "8.1.3");
	switch (s.reg) {
	case RDBAL:
	case RDBAH:
	case RDLEN:
		note_ring(&s);
		break;
	case RDT:
		judge_tail(&s);
		break;
	case RXDCTL:
		judge_enable(&s);
		break;
	default:
		break;
	}
}

void igb_judge_sync(struct igb_fn *fn, uint32_t value)
{
	uint64_t v = value;

	if (!(igb_get(fn->g, IGB_SWSM) & SWSM_SWESMBI))
		uvfio_report_reg(fn->dev, IGB_BAD_SYNC_UNOWNED, 0, IGB_SW_FW_SYNC, &v,
				 "0x%x, and SWSM is 0x%x", value, igb_get(fn->g, IGB_SWSM));
}

/* ---- what is to be sent ---- */

void igb_judge_descriptor(struct igb *g, const struct igb_txq *q, const struct igb_desc *d)
{
	unsigned n = (unsigned)(q - g->txq), type = d->cmd & TXD_DEXT ? TXD_DTYP(d->cmd) : 0;

	if (d->cmd & TXD_DEXT && type != DTYP_CONTEXT && type != DTYP_DATA)
		uvfio_report(q->fn->dev, IGB_BAD_TX_TYPE,
			     "transmit queue %u: DTYP %u; address 0x%llx, command 0x%x", n, type,
			     (unsigned long long)d->addr, d->cmd);
	else if (q->s.started && (type == DTYP_CONTEXT || (q->s.first_cmd ^ d->cmd) & TXD_DEXT))
		uvfio_report(q->fn->dev, IGB_BAD_TX_MIXED,
			     "transmit queue %u: command 0x%x in a packet that begins with 0x%x", n,
			     d->cmd, q->s.first_cmd);
}

/* A packet that has its last descriptor. */
void igb_judge_packet(struct igb *g, const struct igb_txq *q)
{
	const struct igb_context *c = &q->s.ctx[q->s.first_opt >> 4 & 1];
	uint32_t cmd = q->s.first_cmd, opt = q->s.first_opt, len = q->s.len, data = len;
	unsigned n = (unsigned)(q - g->txq);
	bool tso = cmd & TXD_DEXT && cmd & TXD_TSE;

	if (q->s.bad || len < 14) {
		uvfio_report(q->fn->dev, IGB_BAD_TX_SIZE,
			     "transmit queue %u: a packet of %s%u bytes", n,
			     q->s.bad ? "more than " : "", len);
		return;
	}
	if (!(cmd & TXD_DEXT))
		return;
	/* a context has DEXT in its command: one that was written is not 0 */
	if (!c->tucmd && (tso || cmd & TXD_VLE || opt & (POPTS_IXSM | POPTS_TXSM))) {
		uvfio_report(q->fn->dev, IGB_BAD_TX_CONTEXT,
			     "transmit queue %u: context %u; command 0x%x, options 0x%x", n,
			     opt >> 4 & 1, cmd, opt);
		return;
	}
	if (tso)
		data -= c->maclen + c->iplen + c->l4len;
	if (tso && (int32_t)data <= 0)
		return; /* igb_judge_segments() */
	if (opt >> 14 != data)
		uvfio_report(q->fn->dev, IGB_BAD_TX_PAYLEN,
			     "transmit queue %u: PAYLEN %u of a packet with %u bytes of data", n,
			     opt >> 14, data);
}

void igb_judge_segments(struct igb *g, const struct igb_txq *q, const struct igb_context *c)
{
	uvfio_report(q->fn->dev, IGB_BAD_TX_TSO,
		     "transmit queue %u: MACLEN %u, IPLEN %u, L4LEN %u, MSS %u, L4T %u, and the "
		     "packet has %u bytes",
		     (unsigned)(q - g->txq), (unsigned)c->maclen, (unsigned)c->iplen,
		     (unsigned)c->l4len, (unsigned)c->mss, TUCMD_L4T(c->tucmd), q->s.len);
}
