/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/igb/phy.c: the internal PHY behind MDIC (82576 datasheet, 3.5 and 8.25), and the state of
 * the link that MAC and PHY make together. Negotiation takes no time: a partner that is there
 * offers everything and follows what is forced, and the link goes up with the driver's last word,
 * in the best mode that the driver offers; in none if it offers none. Frames take no longer in a
 * slow one. Pages other than the first hold only what drivers measure the cable with.
 */
#include "models/igb/internal.h"

#define PHY_ADDR 1u /* 8.2.4: the internal one */

/* IEEE 802.3, clause 22; above 15 the vendor's */
enum {
	BMCR = 0,
	BMSR = 1,
	ID1 = 2,
	ID2 = 3,
	ANAR = 4,
	ANLPAR = 5,
	ANER = 6,
	GCON = 9,
	GSTAT = 10,
	ESTAT = 15,
	PORT_STATUS = 17,
	PAGE = 31,
};
#define BMCR_RESET    0x8000u
#define BMCR_LOOPBACK 0x4000u
#define BMCR_ANENABLE 0x1000u
#define BMCR_PDOWN    0x0800u
#define BMCR_RESTART  0x0200u
#define BMCR_FD	      0x0100u
#define BMCR_1000     0x0040u
#define BMCR_100      0x2000u
#define BMCR_MODE     (BMCR_ANENABLE | BMCR_FD | BMCR_1000 | BMCR_100)
#define BMSR_CAPS     0x7949u /* 100 and 10, extended status, negotiation, extended registers */
#define BMSR_ANDONE   0x0020u
#define BMSR_LINK     0x0004u
#define PORT_SPEED(s) (((s) + 1) << 14) /* 15:14 */
#define PORT_LINK     0x0400u
#define PORT_DUPLEX   0x0200u
#define AGC	      (8u << 9) /* length of the cable: a few metres */

/* Return what the registers make of the link: IGB_MODE_*. */
static unsigned resolve(struct igb *g)
{
	static const struct {
		uint8_t reg;
		uint16_t bit;
		uint8_t mode;
	} offers[] = {
		/* the best first: IEEE 802.3, 28B.3 and 40.5.2 */
		{ GCON, 0x0200, 2 | IGB_MODE_FULL }, { GCON, 0x0100, 2 },
		{ ANAR, 0x0100, 1 | IGB_MODE_FULL }, { ANAR, 0x0080, 1 },
		{ ANAR, 0x0040, 0 | IGB_MODE_FULL }, { ANAR, 0x0020, 0 },
	};
	uint16_t bmcr = g->kept->ctl.phy[BMCR];

	if (!(bmcr & BMCR_ANENABLE))
		return (bmcr & BMCR_1000  ? 2u
			: bmcr & BMCR_100 ? 1u
					  : 0u) |
		       (bmcr & BMCR_FD ? IGB_MODE_FULL : 0);
	for (size_t i = 0; i < sizeof(offers) / sizeof(offers[0]); i++) {
		if (g->kept->ctl.phy[offers[i].reg] & offers[i].bit)
			return offers[i].mode;
	}
	return IGB_MODE_NONE;
}

void igb_phy_reset(struct igb *g)
{
	for (unsigned i = 0; i < 32; i++)
		g->kept->ctl.phy[i] = 0;
	g->kept->ctl.phy[BMCR] = BMCR_ANENABLE | BMCR_FD | BMCR_1000;
	g->kept->ctl.phy[ID1] = 0x02a8; /* IGP, revision 1 */
	g->kept->ctl.phy[ID2] = 0x0391;
	g->kept->ctl.phy[ANAR] = 0x0de1;
	g->kept->ctl.phy[GCON] = 0x0200;
	g->kept->ctl.phy[ESTAT] = 0x3000; /* 1000BASE-T, both duplexes */
	atomic_store(&g->phy_loopback, false);
	atomic_store(&g->kept->ctl.mode, resolve(g));
	atomic_store(&g->phy_asleep, false);
}

static bool phy_link(struct igb *g)
{
	uint16_t bmcr = g->kept->ctl.phy[BMCR];

	if (bmcr & BMCR_PDOWN)
		return false;
	if (bmcr & BMCR_LOOPBACK)
		return true;
	return atomic_load(&g->wire) && !atomic_load(&g->unplugged) &&
	       atomic_load(&g->kept->ctl.mode) != IGB_MODE_NONE;
}

/*
 * Set what STATUS.LU shows: the PHY's link, once the driver lets the MAC see it (CTRL.SLU, 8.2.1).
 * With speed and duplex forced, SLU alone makes it (3.5.6.3.1), as loopback needs. @renegotiated:
 * it went down in between. A link that is up keeps its mode until then.
 */
void igb_link_update(struct igb *g, bool renegotiated)
{
	uint32_t ctrl = igb_get(g, IGB_CTRL);
	bool mac_loop = (igb_get(g, IGB_RCTL) & RCTL_LBM) == RCTL_LBM_MAC, up;

	if (renegotiated || !atomic_load(&g->kept->ctl.link))
		atomic_store(&g->kept->ctl.mode, resolve(g));
	up = phy_link(g);
	if (mac_loop && !(g->kept->ctl.phy[BMCR] & BMCR_PDOWN))
		up = true;
	if (!(ctrl & CTRL_SLU))
		up = false;
	if (atomic_load(&g->kept->ctl.link) == up && !(renegotiated && up))
		return;
	atomic_store(&g->kept->ctl.link_news, true);
	atomic_store(&g->kept->ctl.link, up);
	igb_irq_cause(g, ICR_LSC);
	atomic_store(&g->kept->ctl.link_news, false);
}

/* True if the partner can see us. */
static bool has_carrier(struct igb *g)
{
	return !atomic_load(&g->phy_asleep) && !atomic_load(&g->unplugged);
}

/*
 * The partner's link goes when our PHY has no power, or the cable is out. It is told without ctl,
 * as its answer may come back to us; of two threads that tell at once, the last tells what is true
 * then.
 */
void igb_carrier_update(struct igb *g)
{
	bool on;

	if (!g->port)
		return;
	do {
		on = has_carrier(g);
		net_set_carrier(g->port, on);
	} while (has_carrier(g) != on);
}

static uint16_t phy_read(struct igb *g, unsigned reg)
{
	bool up = phy_link(g), negotiated = up && g->kept->ctl.phy[BMCR] & BMCR_ANENABLE;
	unsigned mode = atomic_load(&g->kept->ctl.mode);

	if (reg > 15 && reg != PAGE && g->kept->ctl.phy[PAGE] >> 5) {
		switch (g->kept->ctl.phy[PAGE]) {
		case 0x11b1:
		case 0x12b1:
		case 0x14b1:
		case 0x18b1:
			return AGC;
		default:
			return 0;
		}
	}
	switch (reg) {
	case BMSR:
		return (uint16_t)(BMSR_CAPS | (up ? BMSR_LINK : 0) |
				  (negotiated ? BMSR_ANDONE : 0));
	case ANLPAR:
		return negotiated ? 0x41e1 : 0; /* all of 10 and 100; acknowledged */
	case ANER:
		return negotiated ? 0x0001 : 0;
	case GSTAT:
		return negotiated ? 0x7c00
		       : up	  ? 0x3000
				  : 0; /* receivers good; partner does 1000 */
	case PORT_STATUS:
		return up ? (uint16_t)(PORT_SPEED(mode & IGB_MODE_SPEED) | PORT_LINK |
				       (mode & IGB_MODE_FULL ? PORT_DUPLEX : 0))
			  : 0;
	default:
		return g->kept->ctl.phy[reg];
	}
}

static void phy_write(struct igb *g, unsigned reg, uint16_t v)
{
	bool again;

	if (reg > 15 && reg != PAGE && g->kept->ctl.phy[PAGE] >> 5)
		return;
	switch (reg) {
	case BMCR:
		again = v & (BMCR_RESTART | BMCR_RESET) || (v ^ g->kept->ctl.phy[BMCR]) & BMCR_MODE;
		if (v & BMCR_RESET) {
			igb_phy_reset(g);
			g->kept->ctl.phy[BMCR] = v & ~(BMCR_RESET | BMCR_RESTART);
		} else {
			g->kept->ctl.phy[BMCR] = v & ~BMCR_RESTART;
		}
		atomic_store(&g->phy_loopback, v & BMCR_LOOPBACK && !(v & BMCR_PDOWN));
		atomic_store(&g->phy_asleep, v & BMCR_PDOWN);
		igb_link_update(g, again);
		break;
	case BMSR:
	case ID1:
	case ID2:
	case ANLPAR:
	case ANER:
	case GSTAT:
	case ESTAT:
	case PORT_STATUS:
		break;
	default:
		g->kept->ctl.phy[reg] = v;
		break;
	}
}

/* Take a store to MDIC: 8.2.4. Without a PHY at the address, or on the external bus, an error. */
void igb_mdic(struct igb *g, uint32_t value)
{
	unsigned reg = value >> 16 & 31, addr = value >> 21 & 31, op = value >> 26 & 3;
	uint32_t v = (value & ~(MDIC_ERROR)) | MDIC_READY;

	if (addr != PHY_ADDR || value & MDIC_DEST)
		v |= MDIC_ERROR;
	else if (op == MDIC_OP_READ)
		v = (v & ~0xffffu) | phy_read(g, reg);
	else if (op == MDIC_OP_WRITE)
		phy_write(g, reg, (uint16_t)value);
	else
		v |= MDIC_ERROR;
	igb_put(g, IGB_MDIC, v);
	if (value & MDIC_IE)
		igb_irq_cause(g, ICR_MDAC);
}

/* ---- migration ---- */

void igb_phy_save(struct igb *g, struct uvfio_state *s)
{
	for (unsigned i = 0; i < 32; i++)
		uvfio_put16(s, g->kept->ctl.phy[i]);
	uvfio_put8(s, (uint8_t)atomic_load(&g->kept->ctl.mode));
	uvfio_put8(s, atomic_load(&g->kept->ctl.link));
}

bool igb_phy_take_up(struct igb *g)
{
	uint16_t bmcr = g->kept->ctl.phy[BMCR];
	unsigned mode = atomic_load(&g->kept->ctl.mode);

	atomic_store(&g->phy_loopback, bmcr & BMCR_LOOPBACK && !(bmcr & BMCR_PDOWN));
	atomic_store(&g->phy_asleep, bmcr & BMCR_PDOWN);
	return mode <= IGB_MODE_NONE && (mode & IGB_MODE_SPEED) != 3;
}

/* Load; whether there is a wire is found out here. */
int igb_phy_restore(struct igb *g, struct uvfio_state *s)
{
	unsigned mode;

	for (unsigned i = 0; i < 32; i++)
		g->kept->ctl.phy[i] = uvfio_get16(s);
	mode = uvfio_get8(s);
	atomic_store(&g->kept->ctl.mode, mode);
	if (!igb_phy_take_up(g))
		return uvfio_load_error(s, "PHY: mode %u of the link", mode);
	atomic_store(&g->kept->ctl.link, uvfio_get8(s));
	return 0;
}
