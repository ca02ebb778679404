/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/igb/stats.c: statistics (82576 datasheet, 8.18): cleared by reading. Of what passes most
 * registers are views of a few totals that only grow, so that a frame costs two additions: a
 * register shows its total less what it had when it was last read. Octet counters have two halves;
 * the read of the low one remembers what it showed, and the read of the high one takes just that
 * away, so that nothing that arrives between the two is lost.
 */
#include "models/igb/internal.h"

enum { ANY = IGB_SIZES, OCTETS }; /* what a register shows: frames of a size, all frames, octets */
enum { UNICAST, MULTICAST, BROADCAST, CASTS };

static const struct view {
	uint32_t off;
	uint8_t way, what, cast; /* cast CASTS: all */
} views[IGB_VIEWS] = {
	{ IGB_PRC64, IGB_RX, 0, CASTS },       { IGB_PRC64 + 4, IGB_RX, 1, CASTS },
	{ IGB_PRC64 + 8, IGB_RX, 2, CASTS },   { IGB_PRC64 + 12, IGB_RX, 3, CASTS },
	{ IGB_PRC64 + 16, IGB_RX, 4, CASTS },  { IGB_PRC64 + 20, IGB_RX, 5, CASTS },
	{ IGB_PTC64, IGB_TX, 0, CASTS },       { IGB_PTC64 + 4, IGB_TX, 1, CASTS },
	{ IGB_PTC64 + 8, IGB_TX, 2, CASTS },   { IGB_PTC64 + 12, IGB_TX, 3, CASTS },
	{ IGB_PTC64 + 16, IGB_TX, 4, CASTS },  { IGB_PTC64 + 20, IGB_TX, 5, CASTS },
	{ IGB_GPRC, IGB_RX, ANY, CASTS },      { IGB_BPRC, IGB_RX, ANY, BROADCAST },
	{ IGB_MPRC, IGB_RX, ANY, MULTICAST },  { IGB_RPTHC, IGB_RX, ANY, CASTS },
	{ IGB_TPR, IGB_RX, ANY, CASTS },       { IGB_GPTC, IGB_TX, ANY, CASTS },
	{ IGB_BPTC, IGB_TX, ANY, BROADCAST },  { IGB_MPTC, IGB_TX, ANY, MULTICAST },
	{ IGB_HGPTC, IGB_TX, ANY, CASTS },     { IGB_TPT, IGB_TX, ANY, CASTS },
	{ IGB_GORCL, IGB_RX, OCTETS, CASTS },  { IGB_TORL, IGB_RX, OCTETS, CASTS },
	{ IGB_HGORCL, IGB_RX, OCTETS, CASTS }, { IGB_GOTCL, IGB_TX, OCTETS, CASTS },
	{ IGB_TOTL, IGB_TX, OCTETS, CASTS },   { IGB_HGOTCL, IGB_TX, OCTETS, CASTS },
};

void igb_stats_add(struct igb *g, uint32_t off, uint32_t n)
{
	atomic_fetch_add_explicit(&g->kept->reg[off >> 2], n, memory_order_relaxed);
}

static uint64_t total(struct igb *g, const struct view *v)
{
	struct igb_traffic *t = &g->kept->stats.traffic[v->way];
	uint64_t n = 0;

	if (v->what == OCTETS)
		n = atomic_load(&t->octets);
	for (unsigned size = 0; size < IGB_SIZES; size++) {
		for (unsigned cast = 0; cast < CASTS; cast++) {
			if ((v->what == size || v->what == ANY) &&
			    (v->cast == cast || v->cast == CASTS))
				n += atomic_load(&t->frames[size][cast]);
		}
	}
	if (v->off == IGB_TPR)
		n += atomic_load(&t->refused);
	if (v->off == IGB_TORL)
		n += atomic_load(&t->refused_octets);
	return n;
}

uint32_t igb_stats_read(struct igb *g, uint32_t off)
{
	uint64_t now, n;

	for (unsigned i = 0; i < IGB_VIEWS; i++) {
		const struct view *v = &views[i];

		if (off == v->off && v->what != OCTETS) {
			now = total(g, v);
			return (uint32_t)igb_take(g, &g->kept->stats.taken[i], now);
		}
		if (off == v->off) {
			n = total(g, v) - atomic_load(&g->kept->stats.taken[i]);
			atomic_store(&g->kept->stats.shown[i], n);
			igb_undo_end(g, (uint32_t)n); /* with the high half in one access */
			return (uint32_t)n;
		}
		if (off == v->off + 4 && v->what == OCTETS) {
			return igb_take_shown(g, i, total(g, v));
		}
	}
	return igb_count_read(g, off);
}

/* ---- registers that count by themselves: they show what came since they were read ---- */

bool igb_is_count(uint32_t off)
{
	return (off >= IGB_STATS && off < IGB_STATS_END) ||
	       (off >= IGB_RXQ(0, 0) && off < IGB_RXQ_END && (off & 0x3f) == RQDPC);
}

static _Atomic uint64_t *count_read(struct igb *g, uint32_t off)
{
	unsigned i = off < IGB_STATS_END ? (off - IGB_STATS) / 4
					 : (IGB_STATS_END - IGB_STATS) / 4 + (off >> 6 & 15);

	return &g->kept->stats.read[i];
}

uint32_t igb_count_read(struct igb *g, uint32_t off)
{
	return (uint32_t)igb_take(g, count_read(g, off), igb_get(g, off));
}

uint32_t igb_count_get(struct igb *g, uint32_t off)
{
	return igb_get(g, off) - (uint32_t)atomic_load(count_read(g, off));
}

void igb_count_put(struct igb *g, uint32_t off, uint32_t n)
{
	igb_put(g, off, n);
	atomic_store(count_read(g, off), 0);
}

void igb_stats_reset(struct igb *g)
{
	for (unsigned i = 0; i < IGB_VIEWS; i++) {
		atomic_store(&g->kept->stats.taken[i], total(g, &views[i]));
		atomic_store(&g->kept->stats.shown[i], 0);
	}
	for (unsigned i = 0; i < IGB_COUNTS; i++)
		atomic_store(&g->kept->stats.read[i], 0);
}

/* Return in which of six ranges @len bytes on the wire are. */
static unsigned size_class(size_t len)
{
	static const uint16_t up_to[] = { 64, 127, 255, 511, 1023 };
	unsigned i = 0;

	while (i < IGB_SIZES - 1 && len > up_to[i])
		i++;
	return i;
}

static void passed(struct igb_traffic *t, const uint8_t *frame, size_t len)
{
	unsigned cast = !(frame[0] & 1) ? UNICAST : igb_is_broadcast(frame) ? BROADCAST : MULTICAST;

	len += 4; /* FCS */
	atomic_fetch_add_explicit(&t->frames[size_class(len)][cast], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&t->octets, len, memory_order_relaxed);
}

void igb_stats_tx(struct igb *g, const uint8_t *frame, size_t len)
{
	passed(&g->kept->stats.traffic[IGB_TX], frame, len);
}

void igb_stats_rx(struct igb *g, const uint8_t *frame, size_t len)
{
	passed(&g->kept->stats.traffic[IGB_RX], frame, len);
}

/* Count a frame that came and was given to nobody. */
void igb_stats_refused(struct igb *g, size_t len)
{
	struct igb_traffic *t = &g->kept->stats.traffic[IGB_RX];

	atomic_fetch_add_explicit(&t->refused, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&t->refused_octets, len + 4, memory_order_relaxed);
}

/*
 * A VF's own counters (8.26) go round and are never cleared: a driver takes differences. What goes
 * between pools is in them, and counted apart too.
 */
void igb_stats_pool_tx(struct igb *g, unsigned pool, size_t len, bool looped)
{
	uint32_t base = IGB_VTCTRL(pool);

	len += 4;
	igb_stats_add(g, base + PVFGPTC, 1);
	igb_stats_add(g, base + PVFGOTC, (uint32_t)len);
	if (looped) {
		igb_stats_add(g, base + PVFGPTLBC, 1);
		igb_stats_add(g, base + PVFGOTLBC, (uint32_t)len);
	}
}

void igb_stats_pool_rx(struct igb *g, unsigned pool, const uint8_t *frame, size_t len, bool looped)
{
	uint32_t base = IGB_VTCTRL(pool);

	len += 4;
	igb_stats_add(g, base + PVFGPRC, 1);
	igb_stats_add(g, base + PVFGORC, (uint32_t)len);
	if (frame[0] & 1 && !igb_is_broadcast(frame))
		igb_stats_add(g, base + PVFMPRC, 1);
	if (looped) {
		igb_stats_add(g, base + PVFGPRLBC, 1);
		igb_stats_add(g, base + PVFGORLBC, (uint32_t)len);
	}
}

/* ---- migration: the totals; the other counters are registers ---- */

/* Call @each for every number. */
static void each_number(struct igb *g, struct uvfio_state *s,
			void (*each)(struct uvfio_state *s, _Atomic uint64_t *n))
{
	for (unsigned way = 0; way < 2; way++) {
		struct igb_traffic *t = &g->kept->stats.traffic[way];

		for (unsigned size = 0; size < IGB_SIZES; size++) {
			for (unsigned cast = 0; cast < CASTS; cast++)
				each(s, &t->frames[size][cast]);
		}
		each(s, &t->octets);
		each(s, &t->refused);
		each(s, &t->refused_octets);
	}
	for (unsigned i = 0; i < IGB_VIEWS; i++) {
		each(s, &g->kept->stats.taken[i]);
		each(s, &g->kept->stats.shown[i]);
	}
}

static void put(struct uvfio_state *s, _Atomic uint64_t *n)
{
	uvfio_put64(s, atomic_load(n));
}

static void get(struct uvfio_state *s, _Atomic uint64_t *n)
{
	atomic_store(n, uvfio_get64(s));
}

void igb_stats_save(struct igb *g, struct uvfio_state *s)
{
	each_number(g, s, put);
}

void igb_stats_restore(struct igb *g, struct uvfio_state *s)
{
	each_number(g, s, get);
	for (unsigned i = 0; i < IGB_COUNTS; i++)
		atomic_store(&g->kept->stats.read[i], 0);
}
