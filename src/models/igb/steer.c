/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/igb/steer.c: filters that choose a queue before RSS does (82576 datasheet, 7.1.2): by
 * EtherType, of TCP's first packets, by addresses, ports and protocol of IPv4, by the priority in a
 * VLAN tag. They are for a device without pools. Immediate interrupts, which the same registers can
 * ask for, and time stamps are not there.
 */
#include <string.h>

#include "models/igb/internal.h"

/* Compare with a register, which holds bytes as they come: the first in bits 7:0. */
static bool same(const uint8_t *p, uint32_t reg, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++) {
		if (p[i] != (uint8_t)(reg >> 8 * i))
			return false;
	}
	return true;
}

static bool matches(struct igb *g, unsigned n, const uint8_t *f, size_t len,
		    const struct igb_flow *flow)
{
	uint32_t ftqf = igb_get(g, IGB_FTQF(n)), imir = igb_get(g, IGB_IMIR(n));
	uint32_t ext = igb_get(g, IGB_IMIREXT(n)), flags;
	const uint8_t *l4 = f + flow->l4;

	if (!(ftqf & FTQF_MASK_PROTO) && flow->proto != (ftqf & 0xff))
		return false;
	if (!(ftqf & FTQF_MASK_SADDR) && !same(f + flow->ip + 12, igb_get(g, IGB_SAQF(n)), 4))
		return false;
	if (!(ftqf & FTQF_MASK_DADDR) && !same(f + flow->ip + 16, igb_get(g, IGB_DAQF(n)), 4))
		return false;
	if (!(ftqf & FTQF_MASK_SPORT) && (!flow->ports || !same(l4, igb_get(g, IGB_SPQF(n)), 2)))
		return false;
	if (!(imir & IMIR_PORT_BP) && (!flow->ports || !same(l4 + 2, imir, 2)))
		return false;
	if (!(ext & IMIREXT_SIZE_BP) && len >= (ext & 0xfff))
		return false;
	if (ext & IMIREXT_CTRL_BP)
		return true;
	if (!flow->tcp)
		return false;
	/* URG ACK PSH RST SYN FIN from bit 13 up; in the header FIN is the lowest */
	flags = l4[13];
	for (unsigned i = 0; i < 6; i++) {
		if (ext >> (13 + i) & 1 && flags >> (5 - i) & 1)
			return true;
	}
	return false;
}

static int by_tuple(struct igb *g, const uint8_t *f, size_t len, const struct igb_flow *flow)
{
	unsigned best = 0, pri;
	int queue = -1;

	for (unsigned n = 0; n < IGB_FTQFS && flow->ipv4; n++) {
		if (!(igb_get(g, IGB_FTQF(n)) & FTQF_QUEUE_ENABLE))
			continue;
		pri = igb_get(g, IGB_IMIR(n)) >> 29;
		if ((queue < 0 || pri > best) && matches(g, n, f, len, flow)) {
			best = pri;
			queue = igb_get(g, IGB_FTQF(n)) >> 16 & 15;
		}
	}
	return queue;
}

static int by_syn(struct igb *g, const uint8_t *f, const struct igb_flow *flow)
{
	uint32_t v = igb_get(g, IGB_SYNQF);

	if (!(v & SYNQF_ENABLE) || !flow->tcp ||
	    (f[flow->l4 + 13] & 0x12) != 0x02) /* SYN, no ACK */
		return -1;
	return v >> 1 & 7;
}

/* Return the queue of a VLAN tag's priority: four bits each, a queue and whether it counts. */
static int by_priority(struct igb *g, const struct igb_flow *flow)
{
	uint32_t v = igb_get(g, IGB_VLAPQF) >> 4 * (flow->tag >> 13);

	return flow->tagged && v & 8 ? (int)(v & 7) : -1;
}

int igb_steer(struct igb *g, const uint8_t *f, size_t len, struct igb_flow *flow)
{
	int first, second;
	uint32_t v;

	flow->etqf = -1;
	if (!atomic_load_explicit(&g->steers, memory_order_relaxed))
		return -1;
	for (unsigned n = 0; n < IGB_ETQFS; n++) {
		v = igb_get(g, IGB_ETQF(n));
		if (!(v & ETQF_ENABLE) || (v & 0xffff) != flow->type)
			continue;
		flow->etqf = (int)n;
		if (v & ETQF_QUEUE_ENABLE)
			return v >> 16 & 7;
		break;
	}
	first = by_syn(g, f, flow);
	second = by_tuple(g, f, len, flow);
	if (!(igb_get(g, IGB_RFCTL) & RFCTL_SYNQFP) && second >= 0)
		return second;
	if (first < 0)
		first = second;
	return first >= 0 ? first : by_priority(g, flow);
}

/* Note whether there is any filter, so that a frame costs nothing while there is none. */
void igb_steer_update(struct igb *g)
{
	uint32_t any =
		(igb_get(g, IGB_SYNQF) & SYNQF_ENABLE) | (igb_get(g, IGB_VLAPQF) & 0x88888888);

	for (unsigned n = 0; n < IGB_ETQFS; n++)
		any |= igb_get(g, IGB_ETQF(n)) & ETQF_ENABLE;
	for (unsigned n = 0; n < IGB_FTQFS; n++)
		any |= igb_get(g, IGB_FTQF(n)) & FTQF_QUEUE_ENABLE;
	atomic_store_explicit(&g->steers, any, memory_order_relaxed);
}
