/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * igb: statistics (82576 datasheet, 8.18): cleared by reading. Octet counters have two halves; the
 * read of the low one remembers what it showed, and the read of the high one takes just that away,
 * so that nothing that arrives between the two is lost.
 */
#include "models/igb.h"

static const uint32_t octet_regs[] = {IGB_GORCL, IGB_GOTCL,  IGB_TORL,
				      IGB_TOTL,	 IGB_HGORCL, IGB_HGOTCL};
#define OCTETS (sizeof(octet_regs) / sizeof(octet_regs[0]))

void igb_stats_add(struct igb *g, uint32_t off, uint32_t n)
{
	atomic_fetch_add_explicit(&g->reg[off >> 2], n, memory_order_relaxed);
}

static void add_octets(struct igb *g, uint32_t off, uint64_t n)
{
	for (unsigned i = 0; i < OCTETS; i++) {
		if (octet_regs[i] == off)
			atomic_fetch_add_explicit(&g->octets[i], n, memory_order_relaxed);
	}
}

uint32_t igb_stats_read(struct igb *g, uint32_t off)
{
	uint64_t v;

	for (unsigned i = 0; i < OCTETS; i++) {
		if (off == octet_regs[i]) {
			v = atomic_load(&g->octets[i]);
			atomic_store(&g->octets_seen[i], v);
			return (uint32_t)v;
		}
		if (off == octet_regs[i] + 4) {
			v = atomic_exchange(&g->octets_seen[i], 0);
			if (!v) /* the low half was not read: all of it goes */
				v = atomic_load(&g->octets[i]);
			atomic_fetch_sub(&g->octets[i], v);
			return (uint32_t)(v >> 32);
		}
	}
	return atomic_exchange(&g->reg[off >> 2], 0);
}

void igb_stats_reset(struct igb *g)
{
	for (unsigned i = 0; i < OCTETS; i++) {
		atomic_store(&g->octets[i], 0);
		atomic_store(&g->octets_seen[i], 0);
	}
}

/* PRC64 or PTC64 and the five that follow. @len is that on the wire. */
static uint32_t size_class(uint32_t base, size_t len)
{
	static const uint16_t up_to[] = {64, 127, 255, 511, 1023};
	unsigned i = 0;

	while (i < 5 && len > up_to[i])
		i++;
	return base + 4 * i;
}

static bool broadcast(const uint8_t *f)
{
	return (f[0] & f[1] & f[2] & f[3] & f[4] & f[5]) == 0xff;
}

void igb_stats_tx(struct igb *g, const uint8_t *frame, size_t len)
{
	len += 4; /* FCS */
	igb_stats_add(g, IGB_TPT, 1);
	igb_stats_add(g, IGB_GPTC, 1);
	igb_stats_add(g, IGB_HGPTC, 1);
	add_octets(g, IGB_GOTCL, len);
	add_octets(g, IGB_TOTL, len);
	add_octets(g, IGB_HGOTCL, len);
	igb_stats_add(g, size_class(IGB_PTC64, len), 1);
	if (broadcast(frame))
		igb_stats_add(g, IGB_BPTC, 1);
	else if (frame[0] & 1)
		igb_stats_add(g, IGB_MPTC, 1);
}

void igb_stats_rx(struct igb *g, const uint8_t *frame, size_t len)
{
	len += 4;
	igb_stats_add(g, IGB_GPRC, 1);
	igb_stats_add(g, IGB_RPTHC, 1);
	add_octets(g, IGB_GORCL, len);
	add_octets(g, IGB_HGORCL, len);
	igb_stats_add(g, size_class(IGB_PRC64, len), 1);
	if (broadcast(frame))
		igb_stats_add(g, IGB_BPRC, 1);
	else if (frame[0] & 1)
		igb_stats_add(g, IGB_MPRC, 1);
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
	if (frame[0] & 1 && !broadcast(frame))
		igb_stats_add(g, base + PVFMPRC, 1);
	if (looped) {
		igb_stats_add(g, base + PVFGPRLBC, 1);
		igb_stats_add(g, base + PVFGORLBC, (uint32_t)len);
	}
}
