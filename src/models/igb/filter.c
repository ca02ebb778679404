/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/igb/filter.c: which frames of the wire come in at all (82576 datasheet, 7.1.1): addresses,
 * exact and by hash, and VLANs. Whose they are is decided after that (rx.c, switch.c).
 */
#include <string.h>

#include "models/igb/internal.h"

bool igb_hashed(struct igb *g, uint32_t table, const uint8_t *mac)
{
	static const unsigned shift[4] = { 4, 3, 2, 0 }; /* RCTL.MO, 7.1.1.1.2 */
	unsigned s = shift[igb_get(g, IGB_RCTL) >> 12 & 3];
	unsigned bit = ((unsigned)mac[5] << 8 | mac[4]) >> s & 0xfff;

	return igb_get(g, table + 4 * (bit >> 5)) >> (bit & 31) & 1;
}

bool igb_address(struct igb *g, const uint8_t *mac, uint32_t *pools)
{
	uint32_t lo =
		mac[0] | (uint32_t)mac[1] << 8 | (uint32_t)mac[2] << 16 | (uint32_t)mac[3] << 24;
	uint32_t hi = mac[4] | (uint32_t)mac[5] << 8, rah;
	bool found = false;

	for (unsigned i = 0; i < IGB_RARS; i++) {
		rah = igb_get(g, IGB_RAH(i));
		if (!(rah & RAH_AV) || (rah & 0xffff) != hi || igb_get(g, IGB_RAL(i)) != lo)
			continue;
		if (!pools)
			return true;
		*pools |= RAH_POOLS(rah);
		found = true;
	}
	return found;
}

/*
 * One tag of the type in VET's lower half; with CTRL_EXT.EXT_VLAN each frame is to have one of the
 * type in its upper half before that, which is passed over. One that has not (a switch's own
 * protocols) is nothing that VLANs, protocols and queues are looked for in.
 */
void igb_tags(struct igb *g, const uint8_t *f, size_t len, struct igb_tags *t)
{
	uint32_t vet = igb_get(g, IGB_VET);

	*t = (struct igb_tags){ .type = 12 };
	if (igb_get(g, IGB_CTRL_EXT) & CTRL_EXT_EXT_VLAN) {
		if (len < 18 || igb_be16(f + 12) != vet >> 16) {
			t->type = 0;
			return;
		}
		t->outer = true;
		t->num = 1;
		t->type = 16;
	}
	if (len < t->type + 6 || igb_be16(f + t->type) != (vet & 0xffff))
		return;
	t->at = t->type;
	t->tag = igb_be16(f + t->at + 2);
	t->num++;
	t->type += 4;
}

bool igb_tag(struct igb *g, const uint8_t *f, size_t len, uint16_t *tag)
{
	struct igb_tags t;

	igb_tags(g, f, len, &t);
	*tag = t.tag;
	return t.at;
}

bool igb_filter(struct igb *g, const uint8_t *f, size_t len)
{
	static const uint8_t pause[6] = { 0x01, 0x80, 0xc2, 0, 0, 1 };
	uint32_t rctl = igb_get(g, IGB_RCTL);
	uint16_t tag;

	if (rctl & RCTL_VFE && igb_tag(g, f, len, &tag)) {
		if (!(igb_get(g, IGB_VFTA + 4 * ((tag & 0xfff) >> 5)) >> (tag & 31) & 1))
			return false;
		if (rctl & RCTL_CFIEN && !!(tag & 0x1000) != !!(rctl & RCTL_CFI))
			return false;
	}
	if (!memcmp(f, pause, 6) && igb_be16(f + 12) == 0x8808 && !(rctl & RCTL_PMCF)) {
		igb_stats_add(g, IGB_XOFFRXC, 1);
		return false;
	}
	if (igb_is_broadcast(f))
		return rctl & (RCTL_BAM | RCTL_MPE);
	if (!(f[0] & 1) && rctl & RCTL_UPE) /* whatever is listed */
		return true;
	if (igb_address(g, f, NULL))
		return true;
	if (f[0] & 1)
		return rctl & RCTL_MPE || igb_hashed(g, IGB_MTA, f) ||
		       (igb_vmdq(g) && igb_pools_with(g, VMOLR_MPME));
	return igb_vmdq(g) && igb_hashed(g, IGB_UTA, f);
}
