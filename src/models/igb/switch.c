/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/igb/switch.c: pools, and the switch between them (82576 datasheet, 7.10.3). With VMDq on,
 * a frame goes to each pool that wants it, be it from the wire or, with DTXSWC.Loopback_en, from
 * another pool (7.10.3.6). Pool n is virtual function n, or the driver's own use of queue n.
 * Mirroring is not there.
 */
#include "models/igb/internal.h"

uint32_t igb_pools_with(struct igb *g, uint32_t bit)
{
	uint32_t pools = 0;

	for (unsigned i = 0; i < IGB_VFS; i++) {
		if (igb_get(g, IGB_VMOLR(i)) & bit)
			pools |= 1u << i;
	}
	return pools;
}

/* Return the pools of VLAN @vid. */
static uint32_t vlan_pools(struct igb *g, uint16_t vid)
{
	uint32_t pools = 0, v;

	for (unsigned i = 0; i < IGB_VLVFS; i++) {
		v = igb_get(g, IGB_VLVF(i));
		if (v & VLVF_ENABLE && (v & 0xfff) == vid)
			pools |= VLVF_POOLS(v);
	}
	return pools;
}

/* Return the pools of the address. *@exact: it is a pool's own, even if other rules say no. */
static uint32_t address_pools(struct igb *g, const uint8_t *f, bool *exact)
{
	uint32_t pools = 0;

	*exact = false;
	if (igb_is_broadcast(f))
		return igb_pools_with(g, VMOLR_BAM);
	if (igb_address(g, f, &pools) && !(f[0] & 1))
		*exact = true;
	if (f[0] & 1) {
		if (!pools && igb_hashed(g, IGB_MTA, f))
			pools = igb_pools_with(g, VMOLR_ROMPE);
		pools |= igb_pools_with(g, VMOLR_MPME);
	} else if (!pools && igb_hashed(g, IGB_UTA, f)) {
		pools = igb_pools_with(g, VMOLR_ROPE);
	}
	return pools;
}

/* Return those of @pools that may have a frame with its tag, or without one. */
static uint32_t in_vlan(struct igb *g, const uint8_t *f, size_t len, uint32_t pools)
{
	uint16_t tag;

	if (!(igb_get(g, IGB_RCTL) & RCTL_VFE))
		return pools;
	if (igb_tag(g, f, len, &tag))
		return pools & vlan_pools(g, tag & 0xfff);
	return pools & igb_pools_with(g, VMOLR_AUPE);
}

/* Return those of @pools that receive, and frames of this length. */
static uint32_t receiving(struct igb *g, const uint8_t *f, size_t len, uint32_t pools)
{
	uint32_t v, enabled = igb_get(g, IGB_VFRE), left = 0;
	struct igb_tags tags;
	size_t max;

	igb_tags(g, f, len, &tags);
	for (unsigned i = 0; i < IGB_VFS; i++) {
		if (!(pools & enabled & 1u << i))
			continue;
		v = igb_get(g, IGB_VMOLR(i));
		max = v & VMOLR_LPE ? VMOLR_RLPML(v) : igb_plain_max(&tags);
		if (len + 4 <= max)
			left |= 1u << i;
	}
	if (!left && pools & enabled)
		igb_stats_add(g, IGB_ROC, 1);
	return left;
}

uint32_t igb_pools_in(struct igb *g, const uint8_t *f, size_t len)
{
	uint32_t vt = igb_get(g, IGB_VT_CTL), pools;
	bool exact, group = f[0] & 1;

	/* 7.10.3: without replication there is one pool for all that is for many. */
	if (group && !(vt & VT_CTL_REPLICATE))
		return vt & VT_CTL_NO_DEFAULT ? 0 : receiving(g, f, len, 1u << VT_CTL_POOL(vt));
	pools = vt & VT_CTL_IGMAC ? 0xff : address_pools(g, f, &exact);
	pools = in_vlan(g, f, len, pools);
	if (!pools && !group && !(vt & VT_CTL_NO_DEFAULT))
		pools = 1u << VT_CTL_POOL(vt);
	return receiving(g, f, len, pools);
}

/* True if a pool sends from an address or into a VLAN that is not its own. 7.10.3 */
static bool spoofed(struct igb *g, unsigned pool, const uint8_t *f, size_t len)
{
	uint32_t sw = igb_get(g, IGB_DTXSWC), pools = 0;
	uint16_t tag;

	if (sw & DTXSWC_MACAS(pool)) {
		igb_address(g, f + 6, &pools);
		if (!(pools >> pool & 1))
			return true;
	}
	return sw & DTXSWC_VLANAS(pool) && igb_tag(g, f, len, &tag) &&
	       !(vlan_pools(g, tag & 0xfff) >> pool & 1);
}

static void report_spoof(struct igb *g, unsigned queue)
{
	igb_stats_add(g, IGB_SSVPC, 1);
	atomic_fetch_or(&g->kept->reg[IGB_WVBR >> 2], 1u << queue);
	if (igb_get(g, IGB_DTXCTL) & DTXCTL_SPOOF_INT)
		igb_irq_cause(g, ICR_DOUTSYNC);
}

bool igb_switch(struct igb *g, unsigned queue, const uint8_t *f, size_t len)
{
	uint32_t sw = igb_get(g, IGB_DTXSWC), vt = igb_get(g, IGB_VT_CTL), pools;
	unsigned pool = queue & 7;
	bool exact = false, group = f[0] & 1;

	if (spoofed(g, pool, f, len)) {
		report_spoof(g, queue);
		return false;
	}
	if (!(sw & DTXSWC_LOOPBACK) || !(igb_get(g, IGB_RCTL) & RCTL_EN)) {
		igb_stats_pool_tx(g, pool, len, false);
		return true;
	}
	/* 7.10.3.6: as from the wire, but no default pool, and not back to where it is from. */
	pools = address_pools(g, f, &exact);
	if (group && !(vt & VT_CTL_REPLICATE))
		pools = vt & VT_CTL_NO_DEFAULT ? 0 : 1u << VT_CTL_POOL(vt);
	if (!(sw & DTXSWC_LLE(pool)))
		pools &= ~(1u << pool);
	pools = in_vlan(g, f, len, pools);
	igb_stats_pool_tx(g, pool, len, pools || exact);
	if (pools)
		pools = receiving(g, f, len, pools);
	if (pools)
		igb_rx_switched(g, f, len, pools);
	return !exact;
}

bool igb_pool_tag(struct igb *g, unsigned pool, bool vlan, uint16_t *tag)
{
	uint32_t v = igb_get(g, IGB_VMVIR(pool));

	if (v & VMVIR_ALWAYS) {
		*tag = (uint16_t)v;
		return true;
	}
	return vlan && !(v & VMVIR_NEVER);
}
