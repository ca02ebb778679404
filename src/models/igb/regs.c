/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/igb/regs.c: the register file. A table says which registers there are, which of their bits
 * hold what is written, and their values after reset; those that do something are picked out in
 * igb_reg_read() and igb_reg_write(). What is not in the table reads as zero and ignores stores, as
 * reserved addresses do (82576 datasheet, 8.1.2).
 */
#include <errno.h>

#include "models/igb/internal.h"

struct range {
	uint32_t off, count, stride, mask, reset;
};

static const struct range table[] = {
	{ IGB_CTRL, 1, 4, 0x7bfc1fff & ~CTRL_RST, CTRL_FD | CTRL_SPEED_1000 | CTRL_ADVD3WUC },
	{ IGB_CTRL_EXT, 1, 4, 0x9cde7fff & ~CTRL_EXT_EE_RST, 0 },
	{ IGB_SCTL, 1, 4, ~0u, 0 },
	{ IGB_FCAL, 1, 4, ~0u, 0x00c28001 }, /* 8.3.1: the PAUSE address */
	{ IGB_FCAH, 1, 4, 0xffff, 0x0100 },
	{ IGB_FCT, 1, 4, 0xffff, 0x8808 },
	{ IGB_CONNSW, 1, 4, 0x7, 0 },
	{ IGB_VET, 1, 4, ~0u, 0x81008100 },
	{ IGB_FCTTV, 1, 4, 0xffff, 0 },
	{ IGB_LEDCTL, 1, 4, 0xcfcfcfcf, 0x07068302 },
	{ IGB_PBA, 1, 4, 0x00ff00ff, 0x00100030 },
	{ IGB_PBS, 1, 4, 0x3f, 0x40 },
	{ IGB_EEMNGCTL, 1, 4, 0, EEMNGCTL_CFG_DONE0 },
	{ IGB_I2CPARAM, 1, 4, 0x5f00, 0 },
	{ IGB_TCPTIMER, 1, 4, 0x0e0000ff, 0 },
	{ IGB_EITR(0), IGB_VECTORS, 4, EITR_INTERVAL, 0 },
	{ IGB_IVAR(0), 8, 4, 0x9f9f9f9f, 0 },
	{ IGB_IVAR_MISC, 1, 4, 0x9f9f, 0 },

	{ IGB_RCTL, 1, 4, 0x04ffb3fe, 0 },
	{ IGB_FCRTL, 1, 4, 0x8000fff0, 0 },
	{ IGB_FCRTH, 1, 4, 0x8000fff0, 0 },
	{ IGB_FCRTV, 1, 4, 0xffff, 0 },
	{ IGB_RXPBS, 1, 4, 0x8000007f, 0x40 },
	{ IGB_RXCSUM, 1, 4, 0x2fff, RXCSUM_IPOFL | RXCSUM_TUOFL },
	{ IGB_RLPML, 1, 4, 0x3fff, IGB_FRAME_MAX },
	{ IGB_RFCTL, 1, 4, 0x000fffff, 0 },
	{ IGB_MTA, 128, 4, ~0u, 0 },
	{ IGB_RAL(0), 16, 8, ~0u, 0 },
	{ IGB_RAH(0), 16, 8, 0x83ffffff, 0 },
	{ IGB_RAL(16), 8, 8, ~0u, 0 },
	{ IGB_RAH(16), 8, 8, 0x83ffffff, 0 },
	{ IGB_PSRTYPE(0), 8, 4, ~0u, 0 }, /* 8.10.3 */
	{ IGB_VLAPQF, 1, 4, ~0u, 0 },
	{ IGB_SYNQF, 1, 4, 0x0000000f, 0 },
	{ IGB_VFTA, 128, 4, ~0u, 0 },
	{ 0x5800, 1, 4, 0x1f, 0 },     /* WUC, 8.20 */
	{ 0x5808, 1, 4, 0xff81ff, 0 }, /* WUFC */
	{ 0x5838, 1, 4, 0x1000f, 0 },  /* IPAV */
	{ 0x5840, 8, 4, ~0u, 0 },      /* IP4AT */
	{ 0x5880, 4, 4, ~0u, 0 },      /* IP6AT */
	{ IGB_MRQC, 1, 4, 0x01f7003f, 0 },
	{ IGB_VT_CTL, 1, 4, 0x70000380, 0 },
	{ IGB_SAQF(0), IGB_FTQFS, 4, ~0u, 0 },
	{ IGB_DAQF(0), IGB_FTQFS, 4, ~0u, 0 },
	{ IGB_SPQF(0), IGB_FTQFS, 4, 0xffff, 0 },
	{ IGB_FTQF(0), IGB_FTQFS, 4, ~0u, 0 },
	{ IGB_IMIR(0), IGB_FTQFS, 4, ~0u, 0 },
	{ IGB_IMIREXT(0), IGB_FTQFS, 4, ~0u, 0 },
	{ 0x5ac0, 1, 4, 0xf, 0 }, /* IMIRVP */
	{ IGB_ETQF(0), IGB_ETQFS, 4, ~0u, 0 },
	{ IGB_RETA, 32, 4, ~0u, 0 },
	{ IGB_RSSRK, 10, 4, ~0u, 0 },
	{ IGB_UTA, 128, 4, ~0u, 0 },
	{ IGB_RXQ(0, RDBAL), IGB_QUEUES, 0x40, 0xffffff80, 0 },
	{ IGB_RXQ(0, RDBAH), IGB_QUEUES, 0x40, ~0u, 0 },
	{ IGB_RXQ(0, RDLEN), IGB_QUEUES, 0x40, 0xffff0, 0 },
	{ IGB_RXQ(0, SRRCTL), IGB_QUEUES, 0x40, 0xce703f7f | 7u << 25, 0x400 },
	{ IGB_RXQ(0, RDH), IGB_QUEUES, 0x40, 0xffff, 0 },
	{ IGB_RXQ(0, DCA_CTRL), IGB_QUEUES, 0x40, ~0u, 0 },
	{ IGB_RXQ(0, RDT), IGB_QUEUES, 0x40, 0xffff, 0 },
	{ IGB_RXQ(0, RXDCTL), IGB_QUEUES, 0x40, 0x021f1f1f, 0x10000 },
	{ 0xc038, 8, 0x40, 0xe0000000, 0 }, /* DVMOLR */

	{ IGB_TCTL, 1, 4, 0x03fffffa, 0x400f8 }, /* PSP, CT 15, BST 64 */
	{ IGB_TCTL_EXT, 1, 4, 0xfffff, 0x42 << 10 | 0x40 },
	{ IGB_TIPG, 1, 4, 0x3fffffff, 0x00601008 },
	{ IGB_TXPBS, 1, 4, 0x3f, 0x28 },
	{ IGB_DTXCTL, 1, 4, 0x7f, 0 },
	{ IGB_DTXTCPFLGL, 1, 4, 0x0fff0fff, 0x0ff60ff6 },
	{ IGB_DTXTCPFLGH, 1, 4, 0x0fff, 0x0f7f },
	{ IGB_TXQ(0, TDBAL), IGB_QUEUES, 0x40, 0xffffff80, 0 },
	{ IGB_TXQ(0, TDBAH), IGB_QUEUES, 0x40, ~0u, 0 },
	{ IGB_TXQ(0, TDLEN), IGB_QUEUES, 0x40, 0xffff0, 0 },
	{ IGB_TXQ(0, TDH), IGB_QUEUES, 0x40, 0xffff, 0 },
	{ IGB_TXQ(0, DCA_CTRL), IGB_QUEUES, 0x40, ~0u, 0 },
	{ IGB_TXQ(0, TDT), IGB_QUEUES, 0x40, 0xffff, 0 },
	{ IGB_TXQ(0, TXDCTL), IGB_QUEUES, 0x40, 0x021f1f1f, 0 },
	{ IGB_TXQ(0, TDWBAL), IGB_QUEUES, 0x40, ~2u, 0 },
	{ IGB_TXQ(0, TDWBAH), IGB_QUEUES, 0x40, ~0u, 0 },

	{ IGB_VMBMEM(0), 128, 4, ~0u, 0 },
	{ IGB_V2PMAILBOX(0), 8, 4, 0, V2PMAILBOX_RSTI },
	{ IGB_MBVFIMR, 1, 4, 0xff, 0xff },
	{ IGB_VFRE, 1, 4, 0xff, 0xff },
	{ IGB_VFTE, 1, 4, 0xff, 0xff },
	{ IGB_QDE, 1, 4, 0xffff, 0 },
	{ IGB_DTXSWC, 1, 4, 0x80ffffff, 0 },
	{ IGB_VMVIR(0), 8, 4, 0xc000ffff, 0 },
	{ IGB_VMOLR(0), 8, 4, 0xdf033fff, VMOLR_STRCRC | IGB_FRAME_MAX },
	{ IGB_RPLOLR, 1, 4, VMOLR_STRVLAN | VMOLR_STRCRC, VMOLR_STRCRC },
	{ IGB_IOVCTL, 1, 4, 1, 0 },
	{ IGB_VLVF(0), IGB_VLVFS, 4, 0x801fffff, 0 },
	{ IGB_VTIVAR(0), 8, 4, 0x83838383, 0 },
	{ IGB_VTIVAR_MISC(0), 8, 4, 0x83, 0 },

	{ IGB_GCR, 1, 4, 0x0001f03f, GCR_RESEND | GCR_CAP_VER2 },
	{ IGB_SW_FW_SYNC, 1, 4, ~0u, 0 },
	{ 0x5b40, 1, 4, 0, 0 }, /* CCMCTL and its neighbours: nothing behind them */
};

/* Registers beyond the table, or with bits beyond it: counters, and those of other parts. */
static const struct {
	uint32_t off, end, bits;
} others[] = {
	{ IGB_STATUS, IGB_STATUS + 4, STATUS_PHYRA },
	{ IGB_EECD, IGB_EERD + 4, ~0u },
	{ IGB_MDIC, IGB_MDIC + 4, ~0u },
	{ IGB_I2CCMD, IGB_I2CCMD + 4, ~0u },
	{ IGB_P2VMAILBOX(0), IGB_VFLRE + 4, ~0u },
	{ IGB_WVBR, IGB_WVBR + 4, ~0u },
	{ IGB_STATS, 0x4200, ~0u },
	{ IGB_VTCTRL(0), IGB_VT_END, ~0u },
	{ IGB_SWSM, IGB_SWSM + 4, SWSM_SMBI | SWSM_SWESMBI },
};

static uint32_t masks[IGB_BAR0_SIZE / 4];
/* the bits that are set after a reset */
static uint32_t resets[IGB_BAR0_SIZE / 4];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void fill_masks(void)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		for (uint32_t n = 0; n < table[i].count; n++)
			masks[(table[i].off + n * table[i].stride) >> 2] = table[i].mask;
		for (uint32_t n = 0; n < table[i].count; n++)
			resets[(table[i].off + n * table[i].stride) >> 2] = table[i].reset;
	}
}

/* Return the bits of a register that just hold what is written. */
static uint32_t writable(uint32_t off)
{
	return masks[off >> 2];
}

bool igb_reg_possible(uint32_t off, uint32_t value)
{
	uint32_t bits;

	if (off & 3 || off >= IGB_BAR0_SIZE)
		return false;
	bits = writable(off) | resets[off >> 2];
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		if (off >= others[i].off && off < others[i].end)
			bits |= others[i].bits;
	}
	/* of each queue, RQDPC, which counts */
	if (off >= IGB_RXQ(0, 0) && off < IGB_RXQ_END && (off & 0x3f) == RQDPC)
		bits = ~0u;
	return !(value & ~bits);
}

void igb_regs_init(struct igb *g)
{
	/* The semaphores are between driver and firmware: a driver's reset leaves them (4.5.12). */
	uint32_t sync = igb_get(g, IGB_SW_FW_SYNC), swsm = igb_get(g, IGB_SWSM);

	pthread_once(&once, fill_masks);
	for (uint32_t i = 0; i < IGB_BAR0_SIZE / 4; i++)
		igb_put(g, i * 4, 0);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		for (uint32_t n = 0; n < table[i].count; n++)
			igb_put(g, table[i].off + n * table[i].stride, table[i].reset);
	}
	igb_put(g, IGB_RXQ(0, RXDCTL), 0x10000 | QUEUE_ENABLE); /* 8.10.10: queue 0 */
	igb_put(g, IGB_TXQ(0, TXDCTL), QUEUE_ENABLE);		/* 8.12.13 */
	igb_put(g, IGB_SW_FW_SYNC, sync);
	igb_put(g, IGB_SWSM, swsm);
	igb_steer_update(g);
}

/* Return the canonical place of the register at @off. */
static uint32_t canonical(uint32_t off)
{
	/* The first four queues have two places (8.1.3), and those of the chips before. */
	if (off >= 0x2800 && off < 0x2c00 && (off & 0xff) < 0x40)
		return IGB_RXQ((off >> 8) & 3, off & 0x3f);
	if (off >= 0x3800 && off < 0x3c00 && (off & 0xff) < 0x40)
		return IGB_TXQ((off >> 8) & 3, off & 0x3f);
	if (off >= 0x40 && off < 0xc0)
		return IGB_RAL(0) + off - 0x40;
	if (off >= 0x200 && off < 0x400)
		return IGB_MTA + off - 0x200;
	if (off >= 0x600 && off < 0x800)
		return IGB_VFTA + off - 0x600;
	switch (off) {
	case 0x0c0:
		return IGB_ICR;
	case 0x0c4:
		return IGB_EITR(0);
	case 0x0c8:
		return IGB_ICS;
	case 0x0d0:
		return IGB_IMS;
	case 0x0d8:
		return IGB_IMC;
	case 0x0e0:
		return IGB_IAM;
	case 0x110:
	case 0x114:
	case 0x118:
	case 0x120:
	case 0x128:
		return IGB_RXQ(0, off - 0x110);
	case 0x420:
	case 0x424:
	case 0x428:
	case 0x430:
	case 0x438:
		return IGB_TXQ(0, off - 0x420);
	case 0x160:
		return IGB_FCRTL;
	case 0x168:
		return IGB_FCRTH;
	default:
		return off;
	}
}

static uint32_t read_status(struct igb *g)
{
	uint32_t ctrl = igb_get(g, IGB_CTRL), v = igb_get(g, IGB_STATUS) & STATUS_PHYRA;
	unsigned mode = atomic_load(&g->kept->ctl.mode), speed = mode & IGB_MODE_SPEED;

	if (ctrl & CTRL_FRCSPD)
		speed = (ctrl & CTRL_SPEED) >> 8;
	if (ctrl & CTRL_FRCDPX ? ctrl & CTRL_FD : mode & IGB_MODE_FULL)
		v |= STATUS_FD;
	if (atomic_load(&g->kept->ctl.link))
		v |= STATUS_LU | STATUS_SPEED(speed);
	if (!(ctrl & CTRL_GIO_DISABLE))
		v |= STATUS_GIO;
	return v;
}

/* Read register @off of a queue. RQDPC counts, and reading clears it. */
static uint32_t read_queue(struct igb *g, uint32_t off)
{
	uint32_t v = igb_get(g, off);
	bool rx = off < IGB_RXQ_END;

	if (rx && (off & 0x3f) == RQDPC)
		return igb_count_read(g, off);
	/* A queue runs when the whole does: 8.10.10, 8.12.13 */
	if (rx && (off & 0x3f) == RXDCTL && !(igb_get(g, IGB_RCTL) & RCTL_EN))
		v &= ~QUEUE_ENABLE;
	if (off >= IGB_TXQ(0, 0) && (off & 0x3f) == TXDCTL && !(igb_get(g, IGB_TCTL) & TCTL_EN))
		v &= ~QUEUE_ENABLE;
	return v;
}

uint32_t igb_reg_read(struct igb *g, uint32_t off)
{
	uint32_t v;

	off = canonical(off);
	if (off >= IGB_STATS && off < 0x4200)
		return igb_stats_read(g, off);
	if (igb_irq_reg(off))
		return igb_irq_read(g, off);
	if (igb_mbx_reg(off))
		return igb_mbx_read(g, off);
	if (off >= IGB_RXQ(0, 0) && off < IGB_TXQ_END)
		return read_queue(g, off);
	switch (off) {
	case IGB_STATUS:
	case 0x000c:
		return read_status(g);
	case IGB_WVBR: /* read to clear; a bit that is told twice does no harm */
		v = igb_get(g, off);
		igb_undo_end(g, v);
		return atomic_fetch_and(&g->kept->reg[off >> 2], ~v) & v;
	case IGB_SWSM: /* 8.6.13: reading SMBI takes it */
		return igb_read_and_set(g, off, SWSM_SMBI);
	default:
		return igb_get(g, off);
	}
}

/* ---- registers that do something when they are written ---- */

static void store(struct igb *g, uint32_t off, uint32_t value)
{
	igb_put(g, off, value & writable(off));
}

static void write_ctrl(struct igb *g, uint32_t off, uint32_t value)
{
	pthread_mutex_lock(&g->ctl);
	if (value & CTRL_RST) {
		igb_software_reset(g);
		atomic_store(&g->unseen_reset, true);
	} else {
		store(g, off, value);
		if (value & CTRL_PHY_RST) {
			igb_phy_reset(g);
			igb_put(g, IGB_STATUS, igb_get(g, IGB_STATUS) | STATUS_PHYRA);
			igb_link_update(g, true);
		} else {
			igb_link_update(g, false);
		}
	}
	pthread_mutex_unlock(&g->ctl);
	if (value & CTRL_PHY_RST)
		igb_carrier_update(g);
	igb_tx_kick_all(g);
}

/* Clear PHYRA if it is written 0: 8.2.2 */
static void write_status(struct igb *g, uint32_t off, uint32_t value)
{
	atomic_fetch_and(&g->kept->reg[off >> 2], value | ~STATUS_PHYRA);
}

static void write_ctrl_ext(struct igb *g, uint32_t off, uint32_t value)
{
	store(g, off, value);
	if (value & CTRL_EXT_EE_RST) {
		pthread_mutex_lock(&g->ctl);
		igb_nvm_load(g);
		pthread_mutex_unlock(&g->ctl);
	}
	if (value & CTRL_EXT_PFRSTD)
		igb_mbx_pf_ready(g);
}

static void write_eecd(struct igb *g, uint32_t off, uint32_t value)
{
	pthread_mutex_lock(&g->ctl);
	igb_undo_begin(g, IGB_ACCESS_UNDO_CTL);
	igb_eecd(g, value);
	igb_undo_end(g, 0);
	pthread_mutex_unlock(&g->ctl);
}

static void write_eerd(struct igb *g, uint32_t off, uint32_t value)
{
	pthread_mutex_lock(&g->ctl);
	igb_eerd(g, value);
	pthread_mutex_unlock(&g->ctl);
}

static void write_mdic(struct igb *g, uint32_t off, uint32_t value)
{
	pthread_mutex_lock(&g->ctl);
	igb_undo_begin(g, IGB_ACCESS_UNDO_CTL);
	igb_mdic(g, value);
	igb_undo_end(g, 0);
	pthread_mutex_unlock(&g->ctl);
	igb_carrier_update(g);
	igb_tx_kick_all(g);
}

/* End the command at once with an error: no SFP module answers. */
static void write_i2ccmd(struct igb *g, uint32_t off, uint32_t value)
{
	igb_put(g, off, (value & 0x0fffffff) | 1u << 29 | 1u << 31);
}

/* Give SMBI back, which a store cannot take; SWESMBI holds what is written. */
static void write_swsm(struct igb *g, uint32_t off, uint32_t value)
{
	igb_put(g, off, igb_get(g, off) & value & SWSM_SMBI);
	igb_put(g, off, igb_get(g, off) | (value & SWSM_SWESMBI));
}

/* Store, and work out the link again, which the loopback of the MAC makes, too. */
static void write_rctl(struct igb *g, uint32_t off, uint32_t value)
{
	pthread_mutex_lock(&g->ctl);
	store(g, off, value);
	igb_link_update(g, false);
	pthread_mutex_unlock(&g->ctl);
}

static void write_tx_enable(struct igb *g, uint32_t off, uint32_t value)
{
	store(g, off, value);
	igb_tx_kick_all(g);
}

static void write_gcr(struct igb *g, uint32_t off, uint32_t value)
{
	igb_put(g, off, (value & writable(off)) | GCR_CAP_VER2);
}

static const struct {
	uint32_t off;
	void (*write)(struct igb *g, uint32_t off, uint32_t value);
} effects[] = {
	{ IGB_CTRL, write_ctrl },	  { IGB_STATUS, write_status },	 { IGB_EECD, write_eecd },
	{ IGB_EERD, write_eerd },	  { IGB_MDIC, write_mdic },	 { IGB_RCTL, write_rctl },
	{ IGB_CTRL_EXT, write_ctrl_ext }, { IGB_I2CCMD, write_i2ccmd },	 { IGB_SWSM, write_swsm },
	{ IGB_TCTL, write_tx_enable },	  { IGB_VFTE, write_tx_enable }, { IGB_GCR, write_gcr },
};

static void write_queue(struct igb *g, uint32_t off, uint32_t value)
{
	unsigned n = off >> 6 & 15, r = off & 0x3f;

	if (off >= IGB_TXQ(0, 0)) {
		if (r == TDT) {
			igb_tx_take(g, n, value & 0xffff);
			store(g, off, value);
			igb_tx_rung(g, n);
			return;
		}
		store(g, off, value);
		igb_tx_forget(g, n);
		if (r == TXDCTL)
			igb_tx_kick(g, n);
	} else if (r != RQDPC) {
		if (r == RDT)
			igb_rx_take(g, n, value & 0xffff);
		store(g, off, value);
		if (r == RDT)
			return;
		igb_rx_forget(g, n);
	}
}

void igb_reg_write(struct igb *g, uint32_t off, uint32_t value)
{
	off = canonical(off);
	if (igb_irq_reg(off)) {
		igb_irq_write(g, off, value);
		return;
	}
	if (igb_mbx_reg(off)) {
		igb_mbx_write(g, off, value);
		return;
	}
	if ((off >= IGB_TXQ(0, 0) && off < IGB_TXQ_END) ||
	    (off >= IGB_RXQ(0, 0) && off < IGB_RXQ_END)) {
		write_queue(g, off, value);
		return;
	}
	for (size_t i = 0; i < sizeof(effects) / sizeof(effects[0]); i++) {
		if (effects[i].off == off) {
			effects[i].write(g, off, value);
			return;
		}
	}
	if (off >= IGB_VTCTRL(0) && off < IGB_VT_END && !(off & 0xff)) {
		if (value & CTRL_RST)
			igb_vf_reset(g, off >> 8 & 7);
	} else if (writable(off)) {
		store(g, off, value);
		if (igb_steer_reg(off))
			igb_steer_update(g);
	}
}

/* ---- BAR0 ---- */

/*
 * The driver has set CTRL.RST and not looked at a register that tells when it is done (4.5.3): it
 * does so now, or it uses another one too early, which is told once.
 */
static void judge_reset(struct igb_fn *fn, uint32_t off, const uint64_t *value)
{
	bool tells = off == IGB_CTRL || off == IGB_STATUS || off == IGB_EECD || off == IGB_EEMNGCTL;

	if (fn->index != IGB_PF || (tells && value) ||
	    !atomic_exchange(&fn->g->unseen_reset, false))
		return;
	if (!tells)
		uvfio_report_reg(fn->dev, UVFIO_BEFORE_READY, 0, off, value,
				 "used after CTRL.RST, and no register was read that tells of its "
				 "end: CTRL.RST, EECD.Auto_RD, EEMNGCTL.CFG_DONE (82576 datasheet, "
				 "4.5.3)");
}

static inline bool is_unseen(struct igb_fn *fn)
{
	return __builtin_expect(atomic_load_explicit(&fn->g->unseen_reset, memory_order_relaxed),
				0);
}

static uint32_t read_of(struct igb_fn *fn, uint32_t off, unsigned half)
{
	uint32_t v;

	if (!igb_access_begin(fn, half, &v))
		return v;
	if (fn->index != IGB_PF)
		off = igb_vf_in_pf(fn->index, off, false);
	v = off == IGB_NOWHERE ? 0 : igb_reg_read(fn->g, off);
	igb_access_end(fn->g, false);
	return v;
}

static void write_of(struct igb_fn *fn, uint32_t off, unsigned half, uint32_t value)
{
	uint32_t none, place = off;

	if (!igb_access_begin(fn, half, &none))
		return;
	if (fn->index != IGB_PF)
		place = igb_vf_in_pf(fn->index, off, true);
	if (place != IGB_NOWHERE) {
		place = canonical(place);
		if (place >= IGB_RXQ(0, 0) && place < IGB_TXQ_END)
			igb_judge_queue(fn, off, place, value);
		else if (place == IGB_RCTL || place == IGB_TCTL)
			igb_judge_all(fn, place, value);
		else if (place == IGB_SW_FW_SYNC)
			igb_judge_sync(fn, value);
		igb_reg_write(fn->g, place, value);
	}
	igb_access_end(fn->g, true);
}

uint64_t igb_bar0_read(struct igb_fn *fn, uint32_t off, unsigned size)
{
	uint64_t v;

	if (is_unseen(fn))
		judge_reset(fn, off & ~3u, NULL);
	v = read_of(fn, off & ~3u, 0);
	if (size == 8)
		v |= (uint64_t)read_of(fn, off + 4, 1) << 32;
	else
		v >>= 8 * (off & 3);
	igb_access_over(fn->g);
	return v;
}

int igb_bar0_write(struct igb_fn *fn, uint32_t off, unsigned size, uint64_t value)
{
	if (size < 4)
		return -EINVAL; /* 8.1.1: partial writes are not supported */
	igb_wake(fn);
	if (is_unseen(fn))
		judge_reset(fn, off, &value);
	write_of(fn, off, 0, (uint32_t)value);
	if (size == 8)
		write_of(fn, off + 4, 1, (uint32_t)(value >> 32));
	igb_access_over(fn->g);
	return 0;
}
