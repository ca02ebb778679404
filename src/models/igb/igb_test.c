/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * igb against its datasheet: reset, EEPROM, PHY, semaphores, interrupts of both kinds, and packets
 * in loopback with their offloads and filters.
 */
#include "models/igb/igb.h"
#include "models/igb/internal.h"
#include "pci/test_model.h"

#define TX_RING IOVA
#define RX_RING (IOVA + 0x1000)
#define TX_BUF	(IOVA + 0x2000)
#define RX_BUF	(IOVA + 0x8000)
#define RING	16u /* descriptors */
#define RX_SIZE 2048u
#define ADV	(TXD_DEXT | DTYP_DATA << 20)
#define BAD	0x40000000ull /* not mapped */

static struct igb_desc *txd;
static uint64_t (*rxd)[2];
static unsigned tail, rx_at;

static uint32_t r(uint32_t off)
{
	return (uint32_t)rd(0, off, 4);
}
static void w(uint32_t off, uint32_t v)
{
	wr(0, off, 4, v);
}

static uint32_t mdic(unsigned addr, unsigned op, unsigned reg, uint16_t v)
{
	w(IGB_MDIC, v | reg << 16 | addr << 21 | op << 26);
	return r(IGB_MDIC);
}
static uint16_t phy(unsigned reg)
{
	uint32_t v = mdic(1, MDIC_OP_READ, reg, 0);

	assert_int_equal(v & (MDIC_READY | MDIC_ERROR), MDIC_READY);
	return (uint16_t)v;
}

static void start(void)
{
	plug(&model_igb, "mac", "52:54:00:12:34:56");
	txd = (void *)mem;
	rxd = (void *)(mem + 0x1000);
}

/* Loopback in the PHY, a ring each way, everything accepted. */
static void rings(uint32_t srrctl)
{
	tail = rx_at = 0;
	mdic(1, MDIC_OP_WRITE, 0, 0x4140);
	w(IGB_CTRL, r(IGB_CTRL) | CTRL_SLU | CTRL_FRCSPD | CTRL_FRCDPX);
	assert_true(r(IGB_STATUS) & STATUS_LU);
	w(0x3800, (uint32_t)TX_RING);
	w(0x3804, 0);
	w(0x3808, RING * 16);
	w(0x3810, 0);
	w(0x3818, 0);
	w(0x3828, QUEUE_ENABLE);
	w(0x2800, (uint32_t)RX_RING);
	w(0x2804, 0);
	w(0x2808, RING * 16);
	w(0x280c, srrctl);
	w(0x2810, 0);
	w(0x2828, QUEUE_ENABLE);
	for (unsigned i = 0; i < RING; i++) {
		rxd[i][0] = RX_BUF + i * RX_SIZE;
		rxd[i][1] = 0;
	}
	w(0x2818, RING - 1);
	assert_false(r(0x2828) & QUEUE_ENABLE); /* until RCTL.RXEN */
	w(IGB_RCTL, RCTL_EN | RCTL_UPE | RCTL_MPE | RCTL_BAM | RCTL_SECRC | RCTL_LPE);
	assert_true(r(0x2828) & QUEUE_ENABLE);
	w(IGB_TCTL, TCTL_EN | TCTL_PSP);
	assert_true(r(0x3828) & QUEUE_ENABLE);
}

static void queue_tx(uint64_t addr, uint32_t cmd, uint32_t opt)
{
	txd[tail] = (struct igb_desc){ addr, cmd, opt };
	tail = (tail + 1) % RING;
}
static void go(void)
{
	w(0x3818, tail);
}

static uint8_t *tx_buf(void)
{
	return mem + 0x2000;
}
static uint8_t *rx_buf(unsigned i)
{
	return mem + 0x8000 + (i % RING) * RX_SIZE;
}

/* The next frame that came in: its length, or -1. */
static int received(uint64_t *info, uint64_t *status)
{
	unsigned i = rx_at;
	int len;

	if (!(rxd[i][1] & RXD_DD))
		return -1;
	*info = rxd[i][0];
	*status = rxd[i][1];
	len = (uint16_t)(rxd[i][1] >> 32);
	rx_at = (rx_at + 1) % RING;
	rxd[i][0] = RX_BUF + i * RX_SIZE;
	rxd[i][1] = 0;
	w(0x2818, (rx_at + RING - 1) % RING);
	return len;
}

static void eth(uint8_t *f, unsigned type)
{
	static const uint8_t head[12] = { 0x52, 0x54, 0, 0x12, 0x34, 0x56, 2, 0, 0, 0, 0, 1 };

	memcpy(f, head, 12);
	igb_put_be16(f + 12, type);
}

/* TCP or UDP over IPv4, with the pseudo header's sum in the field as drivers leave it. */
static size_t ipv4(uint8_t *f, unsigned proto, size_t payload, bool tso)
{
	unsigned l4len = proto == 6 ? 20 : 8;
	uint8_t *ip = f + 14, *l4 = ip + 20;
	uint32_t sum;

	memset(f, 0, 14 + 20 + l4len);
	eth(f, 0x0800);
	ip[0] = 0x45;
	igb_put_be16(ip + 2, (uint32_t)(20 + l4len + payload));
	igb_put_be16(ip + 4, 0x1234);
	ip[8] = 64;
	ip[9] = (uint8_t)proto;
	igb_put_be32(ip + 12, 0x0a000001);
	igb_put_be32(ip + 16, 0x0a000002);
	igb_put_be16(l4, 1000);
	igb_put_be16(l4 + 2, 2000);
	if (proto == 6) {
		igb_put_be32(l4 + 4, 0x10000);
		l4[12] = 0x50;
		l4[13] = 0x19; /* ACK PSH FIN */
	} else {
		igb_put_be16(l4 + 4, (uint32_t)(8 + payload));
	}
	for (size_t i = 0; i < payload; i++)
		l4[l4len + i] = (uint8_t)(i * 7);
	sum = igb_sum(ip + 12, 8, proto + (tso ? 0 : l4len + (uint32_t)payload));
	igb_put_be16(l4 + (proto == 6 ? 16 : 6), igb_fold(sum));
	return 14 + 20 + l4len + payload;
}

static void context(unsigned l4t, unsigned mss, uint16_t vlan, unsigned l4len)
{
	queue_tx(20 | 14 << 9 | (uint64_t)vlan << 16,
		 TXD_DEXT | DTYP_CONTEXT << 20 | TUCMD_IPV4 | l4t << 11, l4len << 8 | mss << 16);
}

static void test_identity(void **state)
{
	uint32_t sum = 0, v;

	start();
	assert_int_equal(pci_config_read(fn, 0, 4), 0x10c98086);
	assert_int_equal(pci_config_read(fn, 8, 4) >> 8, 0x020000);
	assert_int_equal(r(IGB_RAL(0)), 0x12005452);
	assert_int_equal(r(IGB_RAH(0)), 0x80005634);
	assert_int_equal(r(0x40), 0x12005452); /* the alias */
	v = r(IGB_EECD);
	assert_int_equal(v & (EECD_PRES | EECD_AUTO_RD), EECD_PRES | EECD_AUTO_RD);
	for (unsigned i = 0; i < 0x40; i++) {
		w(IGB_EERD, i << 2 | EERD_START);
		v = r(IGB_EERD);
		assert_true(v & EERD_DONE);
		sum += v >> 16;
	}
	assert_int_equal(sum & 0xffff, 0xbaba);
	w(IGB_EECD, EECD_REQ);
	assert_true(r(IGB_EECD) & EECD_GNT);
	w(IGB_EECD, 0);
	assert_false(r(IGB_EECD) & EECD_GNT);
	unplug();
}

/* Without mac=: locally administered, another one for each device. */
static void test_own_mac(void **state)
{
	uint32_t h;

	plug(&model_igb, NULL, NULL);
	h = (uint32_t)uvfio_unique(fn);
	assert_int_equal(r(IGB_RAL(0)), 0x1b02 | h << 16);
	assert_int_equal(r(IGB_RAH(0)), RAH_AV | h >> 16);
	assert_int_equal(pci_config_read(fn, pci_find_ext_cap(fn, PCI_EXT_CAP_ID_DSN) + 8, 4),
			 0x021b00ff | (h & 0xff) << 8);
	unplug();
}

static void test_bad_mac(void **state)
{
	static const char *const bad[] = { "",
					   "52:54:00:12:34",
					   "52:54:00:12:34:567",
					   "52-54-00-12-34-56",
					   "01:00:00:00:00:01",
					   "52:54:00:12:34:xx" };
	char err[256];

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(plug_try(&model_igb, "mac", bad[i], err, sizeof(err)), -EINVAL);
		loop_free(loop);
	}
}

static void test_registers(void **state)
{
	start();
	w(IGB_RCTL, 0x04cfb0fc); /* not RXEN */
	assert_int_equal(r(IGB_RCTL), 0x04cfb0fc);
	w(0x2800, 0xffffffff);
	assert_int_equal(r(0x2800), 0xffffff80);
	assert_int_equal(r(0xc000), 0xffffff80);
	w(0xe3c8, 0xa5a5a5a5); /* TDLEN(15) */
	assert_int_equal(r(0xe3c8), 0x5a5a0);
	w(0x1fffc, 0xffffffff); /* reserved */
	assert_int_equal(r(0x1fffc), 0);
	w(IGB_RAH(23), 0xffffffff);
	assert_int_equal(r(IGB_RAH(23)), 0x83ffffff);
	assert_int_equal(rd(0, IGB_RAL(0), 8), 0x8000563412005452);
	assert_int_equal(rd(0, IGB_RAL(0) + 1, 1), 0x54);
	log_set(-1, LOG_NONE);
	assert_int_equal(pci_bar_write(fn, 0, IGB_RAL(0), 1, 0), -EIO);
	log_set(2, LOG_WARN);
	wr(2, 0, 4, IGB_FCTTV); /* through I/O */
	wr(2, 4, 4, 0x1234);
	assert_int_equal(rd(2, 4, 4), 0x1234);
	assert_int_equal(r(IGB_FCTTV), 0x1234);
	wr(2, 0, 4, 0xfffffffc);
	wr(2, 4, 4, 0x1234);
	assert_int_equal(rd(2, 4, 4), 0);
	unplug();
}

static void test_semaphores(void **state)
{
	start();
	assert_false(r(IGB_SWSM) & SWSM_SMBI);
	assert_true(r(IGB_SWSM) & SWSM_SMBI); /* the read took it */
	w(IGB_SWSM, r(IGB_SWSM) | SWSM_SWESMBI);
	assert_int_equal(r(IGB_SWSM), SWSM_SMBI | SWSM_SWESMBI);
	w(IGB_SW_FW_SYNC, 3);
	w(IGB_CTRL, CTRL_RST);
	assert_int_equal(r(IGB_SW_FW_SYNC), 3);
	w(IGB_SWSM, 0);
	assert_int_equal(r(IGB_SWSM), 0);
	unplug();
}

static void test_reset(void **state)
{
	start();
	rings(2 << 24);
	w(IGB_EIMS, 1);
	w(IGB_RAL(3), 5);
	w(IGB_CTRL, r(IGB_CTRL) | CTRL_RST);
	assert_false(r(IGB_CTRL) & CTRL_RST);
	assert_int_equal(r(IGB_RCTL), 0);
	assert_int_equal(r(IGB_RAL(3)), 0);
	assert_int_equal(r(IGB_RAL(0)), 0x12005452);
	assert_int_equal(r(IGB_EIMS), 0);
	assert_int_equal(r(0x2818), 0);
	assert_false(r(IGB_STATUS) & STATUS_LU);
	assert_true(r(IGB_EECD) & EECD_AUTO_RD);
	assert_int_equal(phy(0), 0x4140); /* the PHY is not the MAC's to reset */
	w(IGB_CTRL, CTRL_PHY_RST);
	assert_int_equal(phy(0), 0x1140);
	assert_true(r(IGB_STATUS) & STATUS_PHYRA);
	w(IGB_STATUS, 0);
	assert_false(r(IGB_STATUS) & STATUS_PHYRA);
	w(IGB_RAL(3), 5);
	pci_function_reset(fn, UVFIO_RESET_FLR);
	pci_config_write(fn, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_int_equal(r(IGB_RAL(3)), 0);
	unplug();
}

static void test_phy(void **state)
{
	start();
	assert_int_equal(phy(2), 0x02a8);
	assert_int_equal(phy(3), 0x0391);
	assert_false(phy(1) & 4); /* no net= */
	assert_true(mdic(2, MDIC_OP_READ, 2, 0) & MDIC_ERROR);
	mdic(1, MDIC_OP_WRITE, 31, 0x11b1);
	assert_int_not_equal(phy(17), 0);
	mdic(1, MDIC_OP_WRITE, 31, 0x4000);
	assert_int_equal(phy(17), 0);
	mdic(1, MDIC_OP_WRITE, 31, 0);
	mdic(1, MDIC_OP_WRITE, 4, 0x01e1);
	assert_int_equal(phy(4), 0x01e1);
	mdic(1, MDIC_OP_WRITE, 2, 0);
	assert_int_equal(phy(2), 0x02a8);
	/* The link: PHY's, and shown when the driver says so; each change is a cause. */
	assert_int_equal(r(IGB_ICR) & ICR_LSC, 0);
	mdic(1, MDIC_OP_WRITE, 0, 0x4140);
	assert_false(r(IGB_STATUS) & STATUS_LU);
	w(IGB_CTRL, CTRL_SLU | CTRL_FD | CTRL_SPEED_1000);
	assert_int_equal(r(IGB_STATUS) & 0xc3, 0x83);
	assert_int_equal(r(IGB_ICR) & ICR_LSC, ICR_LSC);
	mdic(1, MDIC_OP_WRITE, 0, 0x4940); /* power down */
	assert_false(r(IGB_STATUS) & STATUS_LU);
	assert_int_equal(r(0xc0) & ICR_LSC, ICR_LSC); /* the alias */
	assert_int_equal(r(IGB_ICR), 0);
	unplug();
}

/* The PHY at the other end of the cable: without power, and by a reset. */
static void test_partner(void **state)
{
	struct loop *its_loop;
	pci_function *its;
	uint8_t *its_mem;

	plug(&model_igb, "id", "left");
	w(IGB_CTRL, CTRL_SLU);
	assert_false(r(IGB_STATUS) & STATUS_LU);
	its = fn, its_loop = loop, its_mem = mem;
	plug(&model_igb, "net", "peer:left");
	w(IGB_CTRL, CTRL_SLU);
	assert_true(r(IGB_STATUS) & STATUS_LU);
	r(IGB_ICR);
	for (int i = 0; i < 3; i++) {
		pci_function *mine = fn;
		fn = its;
		mdic(1, MDIC_OP_WRITE, 0, 0x1940); /* power down */
		assert_false(r(IGB_STATUS) & STATUS_LU);
		fn = mine;
		assert_false(r(IGB_STATUS) & STATUS_LU);
		assert_false(phy(1) & 4);
		assert_int_equal(r(IGB_ICR) & ICR_LSC, ICR_LSC);
		assert_int_equal(r(IGB_ICR) & ICR_LSC, 0);
		fn = its;
		if (i == 0)
			mdic(1, MDIC_OP_WRITE, 0, 0x1140);
		else if (i == 1)
			w(IGB_CTRL, CTRL_SLU | CTRL_PHY_RST);
		else
			pci_function_reset(fn, UVFIO_RESET_BUS);
		fn = mine;
		assert_true(r(IGB_STATUS) & STATUS_LU);
		assert_int_equal(r(IGB_ICR) & ICR_LSC, ICR_LSC);
	}
	unplug();
	fn = its, loop = its_loop, mem = its_mem;
	unplug();
}

static void test_msix(void **state)
{
	start();
	pci_msix_enable(fn);
	for (unsigned i = 0; i < IGB_VECTORS; i++)
		pci_msix_entry(fn, i, true);
	w(IGB_GPIE, GPIE_MSIX | GPIE_EIAME);
	w(IGB_EIAC, 1);
	w(IGB_EIAM, 1);
	w(IGB_IVAR_MISC, 0x8500);
	w(IGB_EICS, 1);
	assert_int_equal(msis[0], 0); /* not enabled */
	w(IGB_EIMS, 1);
	assert_int_equal(msis[0], 1);
	assert_int_equal(r(IGB_EIMS), 0); /* EIAM */
	assert_int_equal(r(IGB_EICR), 0); /* EIAC */
	w(IGB_EICS, 1);
	w(IGB_EICR, 1); /* written away before it is enabled */
	w(IGB_EIMS, 1);
	assert_int_equal(msis[0], 1);
	w(IGB_EIMC, 1);
	/* A cause of ICR, by IVAR_MISC. */
	w(IGB_EIMS, 1 << 5);
	w(IGB_ICS, ICR_LSC);
	assert_int_equal(msis[5], 0);
	w(IGB_IMS, ICR_LSC);
	assert_int_equal(msis[5], 1);
	assert_int_equal(r(IGB_EICR), 1 << 5);
	assert_int_equal(r(IGB_ICR), ICR_LSC | ICR_ASSERTED);
	assert_int_equal(r(IGB_ICR), 0);
	unplug();
}

static void test_throttle(void **state)
{
	start();
	pci_msix_enable(fn);
	pci_msix_entry(fn, 3, true);
	w(IGB_GPIE, GPIE_MSIX);
	w(IGB_EIAC, 1 << 3);
	w(IGB_EIMS, 1 << 3);
	w(IGB_EITR(3), 8000 << 2); /* 8 ms apart */
	w(IGB_EICS, 1 << 3);
	assert_int_equal(msis[3], 1);
	w(IGB_EICS, 1 << 3);
	w(IGB_EICS, 1 << 3);
	assert_int_equal(msis[3], 1);
	WAIT(msis[3] == 2);
	usleep(20000);
	assert_int_equal(msis[3], 2);
	w(IGB_EICS, 1 << 3);
	w(IGB_EICS, 1 << 3); /* waits; a reset forgets it */
	w(IGB_CTRL, CTRL_RST);
	usleep(20000);
	assert_int_equal(msis[3], 3);
	unplug();
}

static void test_intx(void **state)
{
	start();
	w(IGB_ICS, ICR_LSC);
	assert_int_equal(intx_level, 0);
	w(IGB_IMS, ICR_LSC);
	assert_int_equal(intx_level, 1);
	w(IGB_IMC, ICR_LSC);
	assert_int_equal(intx_level, 0);
	w(IGB_IAM, ICR_LSC);
	w(IGB_IMS, ICR_LSC);
	assert_int_equal(r(IGB_ICR), ICR_LSC | ICR_ASSERTED);
	assert_int_equal(intx_level, 0);
	assert_int_equal(r(IGB_IMS), 0); /* IAM */
	/* MSI: one message for each rise. */
	pci_msi_enable(fn, 0);
	w(IGB_IMS, ICR_LSC);
	w(IGB_ICS, ICR_LSC);
	w(IGB_ICS, ICR_LSC);
	assert_int_equal(msis[0], 1);
	assert_int_equal(r(IGB_ICR) & ICR_LSC, ICR_LSC);
	w(IGB_IMS, ICR_LSC);
	w(IGB_ICS, ICR_LSC);
	assert_int_equal(msis[0], 2);
	assert_int_equal(intx_level, 0);
	unplug();
}

static void test_frame(void **state)
{
	uint64_t info, status;

	start();
	rings(2 << 24);
	w(IGB_IVAR(0), 0x8180);
	w(IGB_GPIE, GPIE_MSIX);
	eth(tx_buf(), 0x88b5);
	for (unsigned i = 14; i < 1000; i++)
		tx_buf()[i] = (uint8_t)i;
	queue_tx(TX_BUF, 500 | ADV, 1000 << 14);
	queue_tx(TX_BUF + 500, 500 | ADV | TXD_EOP | TXD_RS, 0);
	go();
	assert_int_equal(r(0x3810), 2);
	assert_int_equal(txd[0].opt & TXD_DD, 0); /* RS was not asked for */
	assert_int_equal(txd[1].opt, TXD_DD);
	assert_int_equal(received(&info, &status), 1000);
	assert_int_equal(status & 0xfffff, RXD_DD | RXD_EOP);
	assert_memory_equal(rx_buf(0), tx_buf(), 1000);
	assert_int_equal(r(IGB_EICR), 3);
	assert_int_equal(r(IGB_GPRC), 1);
	assert_int_equal(r(IGB_GPRC), 0);
	assert_int_equal(r(IGB_GPTC), 1);
	assert_int_equal(r(IGB_GOTCL), 1004);
	assert_int_equal(r(IGB_GOTCL), 1004); /* until the high half is read */
	assert_int_equal(r(IGB_GOTCL + 4), 0);
	assert_int_equal(r(IGB_GOTCL), 0);
	assert_int_equal(r(IGB_PRC64 + 16), 1);
	/* A short one is padded, and the CRC kept if it is wanted. */
	w(IGB_RCTL, r(IGB_RCTL) & ~RCTL_SECRC);
	queue_tx(TX_BUF, 20 | ADV | TXD_EOP, 20 << 14);
	go();
	assert_int_equal(received(&info, &status), 64);
	assert_int_equal(rx_buf(1)[20], 0);
	assert_int_equal(igb_crc32(rx_buf(1), 64), 0x2144df1c); /* the residue of any good frame */
	/* Legacy descriptors, both ways; a frame of several buffers. */
	w(IGB_RCTL, (r(IGB_RCTL) & ~(3u << 16)) | RCTL_SECRC | 3u << 16); /* 256 bytes */
	w(0x280c, 0);
	queue_tx(TX_BUF, 600 | TXD_EOP | TXD_RS, 0);
	go();
	assert_int_equal(txd[3].opt, TXD_DD);
	assert_int_equal(rxd[2][1], 256 | (uint64_t)RXD_DD << 32);
	assert_int_equal(rxd[3][1], 256 | (uint64_t)RXD_DD << 32);
	assert_int_equal(rxd[4][1], 88 | (uint64_t)(RXD_DD | RXD_EOP) << 32);
	assert_int_equal(rxd[2][0], RX_BUF + 2 * RX_SIZE); /* a legacy one keeps its address */
	unplug();
}

static void test_checksums(void **state)
{
	uint64_t info, status;
	uint8_t *f;
	size_t len;

	start();
	f = tx_buf();
	rings(2 << 24);
	for (unsigned udp = 0; udp < 2; udp++) {
		len = ipv4(f, udp ? 17 : 6, 101, false);
		context(udp ? L4T_UDP : L4T_TCP, 0, 0, 0);
		queue_tx(TX_BUF, (uint32_t)len | ADV | TXD_EOP,
			 POPTS_IXSM | POPTS_TXSM | (uint32_t)len << 14);
		go();
		assert_int_equal(received(&info, &status), (int)len);
		assert_int_equal(info >> 4 & 0xfff, PTYPE_IPV4 | (udp ? PTYPE_UDP : PTYPE_TCP));
		assert_int_equal(status & (RXD_IPCS | RXD_L4CS | RXD_IPE | RXD_L4E),
				 RXD_IPCS | RXD_L4CS);
		assert_int_equal(!!(status & RXD_UDPCS), udp);
	}
	/* Not asked for: the sums are wrong, and reported so. */
	queue_tx(TX_BUF, (uint32_t)len | ADV | TXD_EOP, (uint32_t)len << 14);
	go();
	assert_int_equal(received(&info, &status), (int)len);
	assert_int_equal(status & (RXD_IPE | RXD_L4E), RXD_IPE | RXD_L4E);
	w(IGB_RXCSUM, RXCSUM_PCSD);
	queue_tx(TX_BUF, (uint32_t)len | ADV | TXD_EOP, (uint32_t)len << 14);
	go();
	assert_int_equal(received(&info, &status), (int)len);
	assert_int_equal(status & (RXD_IPE | RXD_L4E | RXD_IPCS | RXD_L4CS), 0);
	unplug();
}

static void test_tso(void **state)
{
	uint64_t info, status;
	uint8_t *f, *got;
	unsigned sent = 0;
	size_t len;
	int n;

	start();
	f = tx_buf();
	rings(2 << 24);
	w(IGB_CTRL, r(IGB_CTRL) | CTRL_VME);
	len = ipv4(f, 6, 3500, true);
	context(L4T_TCP, 1000, 0x2005, 20);
	queue_tx(TX_BUF, (uint32_t)len | ADV | TXD_EOP | TXD_TSE | TXD_VLE,
		 POPTS_IXSM | POPTS_TXSM | 3500 << 14);
	go();
	for (unsigned i = 0; i < 4; i++) {
		got = rx_buf(rx_at);
		n = received(&info, &status);
		assert_int_equal(n, 54 + (i < 3 ? 1000 : 500));
		assert_int_equal(status & (RXD_IPE | RXD_L4E | RXD_L4CS), RXD_L4CS);
		assert_true(status & RXD_VP);
		assert_int_equal(status >> 48, 0x2005); /* added, and taken off again */
		assert_int_equal(igb_be16(got + 18), 0x1234 + i);
		assert_int_equal(igb_be32(got + 38), 0x10000 + 1000 * i);
		assert_int_equal(got[47], i < 3 ? 0x10 : 0x19);
		assert_memory_equal(got + 54, f + 54 + sent, (size_t)n - 54);
		sent += (unsigned)n - 54;
	}
	assert_int_equal(received(&info, &status), -1);
	assert_int_equal(r(IGB_TSCTC), 1);
	/* Segments that are padded lose nothing of what follows. */
	len = ipv4(f, 6, 6, true);
	context(L4T_TCP, 2, 0, 20);
	queue_tx(TX_BUF, (uint32_t)len | ADV | TXD_EOP | TXD_TSE, 6 << 14);
	go();
	for (unsigned i = 0; i < 3; i++) {
		got = rx_buf(rx_at);
		assert_int_equal(received(&info, &status), 60);
		assert_memory_equal(got + 54, f + 54 + 2 * i, 2);
	}
	/* No segment size: nothing goes out, and the queue lives on. */
	context(L4T_TCP, 0, 0, 20);
	queue_tx(TX_BUF, (uint32_t)len | ADV | TXD_EOP | TXD_TSE | TXD_RS, 3500 << 14);
	go();
	assert_int_equal(received(&info, &status), -1);
	assert_int_equal(r(IGB_TSCTC + 4), 1);
	assert_int_equal(txd[5].opt, TXD_DD);
	unplug();
}

/* A frame of @len bytes, as it stands at TX_BUF, with a tag to insert: what comes back. */
static int tagged(size_t len, uint16_t tag, uint64_t *status)
{
	uint64_t info;

	queue_tx(14 << 9 | (uint64_t)tag << 16, TXD_DEXT | DTYP_CONTEXT << 20, 0);
	queue_tx(TX_BUF, (uint32_t)len | ADV | TXD_EOP | TXD_VLE, (uint32_t)len << 14);
	go();
	return received(&info, status);
}

/* 7.4: CTRL.VME is about stripping; a tag is inserted whether it is set or not. */
static void test_vlan_insertion(void **state)
{
	uint64_t info, status;
	uint8_t *got;
	size_t len;

	start();
	rings(2 << 24);
	eth(tx_buf(), 0x88b5);
	memset(tx_buf() + 14, 0x5a, 86);
	got = rx_buf(rx_at);
	assert_int_equal(tagged(100, 0x204d, &status), 104);
	assert_false(status & RXD_VP);
	assert_memory_equal(got, tx_buf(), 12);
	assert_int_equal(igb_be32(got + 12), 0x8100204d);
	assert_memory_equal(got + 16, tx_buf() + 12, 88);
	/* the type is VET's */
	w(IGB_VET, 0x9100);
	got = rx_buf(rx_at);
	assert_int_equal(tagged(100, 5, &status), 104);
	assert_int_equal(igb_be32(got + 12), 0x91000005);
	w(IGB_CTRL, r(IGB_CTRL) | CTRL_VME);
	assert_int_equal(tagged(100, 5, &status), 100);
	assert_true(status & RXD_VP);
	assert_int_equal(status >> 48, 5);
	w(IGB_VET, 0x8100);
	w(IGB_CTRL, r(IGB_CTRL) & ~CTRL_VME);
	/* of a legacy descriptor */
	got = rx_buf(rx_at);
	queue_tx(TX_BUF, 100 | TXD_EOP | TXD_VLE, 77u << 16);
	go();
	assert_int_equal(received(&info, &status), 104);
	assert_int_equal(igb_be32(got + 12), 0x8100004d);
	/* in each segment of a TSO */
	len = ipv4(tx_buf(), 6, 1500, true);
	context(L4T_TCP, 1000, 0x2005, 20);
	queue_tx(TX_BUF, (uint32_t)len | ADV | TXD_EOP | TXD_TSE | TXD_VLE,
		 POPTS_IXSM | POPTS_TXSM | 1500 << 14);
	go();
	for (unsigned i = 0; i < 2; i++) {
		got = rx_buf(rx_at);
		assert_int_equal(received(&info, &status), 58 + (i ? 500 : 1000));
		assert_int_equal(status & (RXD_IPE | RXD_L4E | RXD_L4CS), RXD_L4CS);
		assert_int_equal(igb_be32(got + 12), 0x81002005);
	}
	unplug();
}

/* @tags tags before the type, of the types in VET; @len bytes in all */
static int long_frame(size_t len, const uint16_t *tags, unsigned num)
{
	uint64_t info, status;
	uint8_t *f = tx_buf();

	memset(f, 0x5a, len);
	eth(f, 0x88b5);
	for (unsigned i = 0; i < num; i++) {
		igb_put_be16(f + 12 + 4 * i, tags[i]);
		igb_put_be16(f + 14 + 4 * i, 5);
		igb_put_be16(f + 16 + 4 * i, 0x88b5);
	}
	queue_tx(TX_BUF, (uint32_t)len | ADV | TXD_EOP, (uint32_t)len << 14);
	go();
	return received(&info, &status);
}

/* 8.10.1, RCTL.LPE: 1518 bytes with the FCS, and 4 for each tag that is there; else RLPML. */
static void test_lengths(void **state)
{
	static const struct {
		unsigned num;
		uint16_t tags[2];
		bool extended;
		int max; /* without the FCS */
	} kinds[] = {
		{ 0, { 0 }, false, 1514 },
		{ 1, { 0x8100 }, false, 1518 },
		{ 1, { 0x88a8 }, false, 1514 },
		{ 2, { 0x8100, 0x8100 }, false, 1518 },
		{ 0, { 0 }, true, 1514 },
		{ 1, { 0x8100 }, true, 1514 },
		{ 1, { 0x88a8 }, true, 1518 },
		{ 2, { 0x88a8, 0x8100 }, true, 1522 },
		{ 2, { 0x88a8, 0x88a8 }, true, 1518 },
	};
	uint32_t plain = RCTL_EN | RCTL_UPE | RCTL_MPE | RCTL_BAM | RCTL_SECRC;

	start();
	rings(2 << 24);
	w(IGB_VET, 0x88a88100);
	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		size_t max = (size_t)kinds[i].max;

		w(IGB_CTRL_EXT, kinds[i].extended ? CTRL_EXT_EXT_VLAN : 0);
		w(IGB_RCTL, plain);
		assert_int_equal(long_frame(max, kinds[i].tags, kinds[i].num), max);
		assert_int_equal(r(IGB_ROC) + r(IGB_RLEC), 0);
		assert_int_equal(long_frame(max + 1, kinds[i].tags, kinds[i].num), -1);
		assert_int_equal(r(IGB_ROC), 1);
		assert_int_equal(r(IGB_RLEC), 1);
		w(IGB_RCTL, plain | RCTL_LPE);
		w(IGB_RLPML, 1600); /* whatever is in it */
		assert_int_equal(long_frame(1596, kinds[i].tags, kinds[i].num), 1596);
		assert_int_equal(long_frame(1597, kinds[i].tags, kinds[i].num), -1);
		assert_int_equal(r(IGB_ROC), 1);
		assert_int_equal(r(IGB_RLEC), 1);
	}
	/* A frame that no filter lets in is not counted as too long. */
	w(IGB_CTRL_EXT, 0);
	w(IGB_RAH(0), 0);
	w(IGB_RCTL, RCTL_EN | RCTL_SECRC);
	r(IGB_TPR);
	assert_int_equal(long_frame(1600, NULL, 0), -1);
	assert_int_equal(r(IGB_ROC) + r(IGB_RLEC), 0);
	assert_int_equal(r(IGB_TPR), 1);
	unplug();
}

/* 7.4.5: an outer tag of VET's upper half, which is passed over */
static void test_double_vlan(void **state)
{
	static const uint8_t tags[8] = { 0x88, 0xa8, 0, 0x64, 0x81, 0, 0x20, 5 };
	uint64_t info, status;
	uint8_t *f, *got, plain[64];
	size_t len;

	start();
	f = tx_buf();
	rings(2 << 24);
	w(IGB_VET, 0x88a88100);
	w(IGB_CTRL_EXT, r(IGB_CTRL_EXT) | CTRL_EXT_EXT_VLAN);
	assert_true(r(IGB_CTRL_EXT) & CTRL_EXT_EXT_VLAN);
	/* Both: the inner one is stripped, and what is inside is looked into, sums and all. */
	len = ipv4(f, 6, 100, false);
	memmove(f + 20, f + 12, len - 12);
	memcpy(f + 12, tags, 8);
	len += 8;
	for (unsigned strip = 0; strip < 2; strip++) {
		w(IGB_CTRL, strip ? r(IGB_CTRL) | CTRL_VME : r(IGB_CTRL) & ~CTRL_VME);
		queue_tx(20 | 22 << 9, TXD_DEXT | DTYP_CONTEXT << 20 | TUCMD_IPV4 | L4T_TCP << 11,
			 20 << 8);
		queue_tx(TX_BUF, (uint32_t)len | ADV | TXD_EOP,
			 POPTS_IXSM | POPTS_TXSM | (uint32_t)len << 14);
		got = rx_buf(rx_at);
		go();
		assert_int_equal(received(&info, &status), (int)len - (strip ? 4 : 0));
		assert_int_equal(info >> 4 & 0xfff, PTYPE_IPV4 | PTYPE_TCP);
		assert_int_equal(
			status & (RXD_VEXT | RXD_VP | RXD_IPCS | RXD_L4CS | RXD_IPE | RXD_L4E),
			RXD_VEXT | (strip ? RXD_VP : 0) | RXD_IPCS | RXD_L4CS);
		assert_int_equal(status >> 48, strip ? 0x2005 : 0);
		assert_memory_equal(got + 12, tags, strip ? 4 : 8);
		assert_int_equal(igb_be16(got + (strip ? 16 : 20)), 0x0800);
	}
	/* The filter is about the inner one. */
	w(IGB_RCTL, r(IGB_RCTL) | RCTL_VFE);
	w(IGB_VFTA + 4 * (0x64 >> 5), 1u << (0x64 & 31));
	queue_tx(TX_BUF, (uint32_t)len | ADV | TXD_EOP, (uint32_t)len << 14);
	go();
	assert_int_equal(received(&info, &status), -1);
	w(IGB_VFTA, 1u << 5);
	queue_tx(TX_BUF, (uint32_t)len | ADV | TXD_EOP, (uint32_t)len << 14);
	go();
	assert_int_equal(received(&info, &status), (int)len - 4);
	/* The outer one alone: no VLAN to filter or strip, but protocols. */
	memmove(f + 16, f + 20, len - 20);
	len -= 4;
	queue_tx(TX_BUF, (uint32_t)len | ADV | TXD_EOP, (uint32_t)len << 14);
	go();
	assert_int_equal(received(&info, &status), (int)len);
	assert_int_equal(status & (RXD_VEXT | RXD_VP), RXD_VEXT);
	assert_int_equal(info >> 4 & 0xfff, PTYPE_IPV4 | PTYPE_TCP);
	/* One is inserted behind it; into a frame without it, none, and that is not sent. */
	got = rx_buf(rx_at);
	memcpy(plain, f, 60);
	assert_int_equal(tagged(60, 0x4005, &status), 60);
	assert_int_equal(status & (RXD_VEXT | RXD_VP), RXD_VEXT | RXD_VP);
	assert_int_equal(status >> 48, 0x4005);
	assert_memory_equal(got, plain, 60);
	w(IGB_CTRL, r(IGB_CTRL) & ~CTRL_VME);
	got = rx_buf(rx_at);
	assert_int_equal(tagged(60, 0x4005, &status), 64);
	assert_memory_equal(got, plain, 16);
	assert_int_equal(igb_be32(got + 16), 0x81004005);
	assert_memory_equal(got + 20, plain + 16, 44);
	eth(f, 0x0800);
	r(IGB_GPTC);
	assert_int_equal(tagged(60, 0x4005, &status), -1);
	assert_int_equal(r(IGB_GPTC), 0);
	/* Neither, or the inner one alone: it comes, and nothing is looked for in it. */
	w(IGB_CTRL, r(IGB_CTRL) | CTRL_VME);
	w(IGB_SYNQF, SYNQF_ENABLE | 1 << 1);
	w(IGB_ETQF(0), ETQF_ENABLE | ETQF_QUEUE_ENABLE | 1 << 16 | 0x0800);
	w(IGB_VFTA, 0);
	for (unsigned inner = 0; inner < 2; inner++) {
		len = ipv4(f, 6, 100, false);
		if (inner) {
			memmove(f + 16, f + 12, len - 12);
			memcpy(f + 12, tags + 4, 4);
			len += 4;
		}
		queue_tx(TX_BUF, (uint32_t)len | ADV | TXD_EOP, (uint32_t)len << 14);
		go();
		assert_int_equal(received(&info, &status), (int)len);
		assert_int_equal(info >> 4 & 0x1fff, 0);
		assert_int_equal(status & 0xffffffff, RXD_DD | RXD_EOP);
	}
	/* Back to one tag. */
	w(IGB_CTRL_EXT, 0);
	w(IGB_VFTA, 1u << 5);
	w(IGB_ETQF(0), 0);
	queue_tx(TX_BUF, (uint32_t)len | ADV | TXD_EOP, (uint32_t)len << 14);
	go();
	assert_int_equal(received(&info, &status), (int)len - 4);
	assert_int_equal(status & (RXD_VEXT | RXD_VP), RXD_VP);
	unplug();
}

static bool passes(const uint8_t *frame)
{
	uint64_t info, status;

	memcpy(tx_buf(), frame, 60);
	queue_tx(TX_BUF, 60 | ADV | TXD_EOP, 60 << 14);
	go();
	return received(&info, &status) >= 0;
}

static void test_filters(void **state)
{
	uint8_t f[60] = { 0 };

	start();
	rings(2 << 24);
	w(IGB_RCTL, RCTL_EN | RCTL_SECRC);
	eth(f, 0x88b5);
	assert_true(passes(f)); /* our own */
	f[5] ^= 1;
	assert_false(passes(f));
	w(IGB_RCTL, RCTL_EN | RCTL_SECRC | RCTL_UPE);
	assert_true(passes(f));
	w(IGB_RCTL, RCTL_EN | RCTL_SECRC);
	w(IGB_RAL(20), 0x12005452);
	w(IGB_RAH(20), RAH_AV | 0x5734);
	assert_true(passes(f));
	memset(f, 0xff, 6);
	assert_false(passes(f));
	w(IGB_RCTL, RCTL_EN | RCTL_SECRC | RCTL_BAM);
	assert_true(passes(f));
	memcpy(f, "\x01\x00\x5e\x00\x00\xfb", 6);
	assert_false(passes(f));
	w(IGB_MTA + 4 * (0xfb0 >> 5), 1u << (0xfb0 & 31)); /* bits 47:36 of the address */
	assert_true(passes(f));
	eth(f, 0x8100);
	igb_put_be16(f + 14, 0x2064); /* VLAN 100 */
	assert_true(passes(f));
	w(IGB_RCTL, RCTL_EN | RCTL_SECRC | RCTL_VFE);
	assert_false(passes(f));
	w(IGB_VFTA + 4 * 3, 1u << 4);
	assert_true(passes(f));
	unplug();
}

/* The numbers of Microsoft's "Verifying the RSS Hash Calculation". */
static void test_rss(void **state)
{
	static const uint8_t key[40] = {
		0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3,
		0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3,
		0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
	};
	uint64_t info, status;
	uint8_t *f;
	uint32_t k;
	size_t len;

	start();
	f = tx_buf();
	rings(2 << 24);
	for (unsigned i = 0; i < 10; i++) {
		memcpy(&k, key + 4 * i, 4);
		w(IGB_RSSRK + 4 * i, k);
	}
	w(IGB_RXCSUM, RXCSUM_PCSD);
	w(IGB_MRQC, MRQC_RSS | 1u << 16 | 1u << 17);
	len = ipv4(f, 6, 100, false);
	igb_put_be32(f + 26, 0x420995bb); /* 66.9.149.187:2794 */
	igb_put_be32(f + 30, 0xa18e6450); /* 161.142.100.80:1766 */
	igb_put_be16(f + 34, 2794);
	igb_put_be16(f + 36, 1766);
	queue_tx(TX_BUF, (uint32_t)len | ADV | TXD_EOP, (uint32_t)len << 14);
	go();
	assert_int_equal(received(&info, &status), (int)len);
	assert_int_equal(info >> 32, 0x51ccc178);
	assert_int_equal(info & 15, 1);
	w(IGB_MRQC, MRQC_RSS | 1u << 17);
	queue_tx(TX_BUF, (uint32_t)len | ADV | TXD_EOP, (uint32_t)len << 14);
	go();
	assert_int_equal(received(&info, &status), (int)len);
	assert_int_equal(info >> 32, 0x323e8fc2);
	assert_int_equal(info & 15, 2);
	/* To another queue, which is not enabled. */
	w(IGB_RETA + (0x323e8fc2 & 0x7c), 0x05050505);
	queue_tx(TX_BUF, (uint32_t)len | ADV | TXD_EOP, (uint32_t)len << 14);
	go();
	assert_int_equal(received(&info, &status), -1);
	assert_int_equal(r(IGB_MPC), 1);
	unplug();
}

static void test_no_room(void **state)
{
	uint64_t info, status;

	start();
	rings(2 << 24);
	eth(tx_buf(), 0x88b5);
	w(0x2818, 2); /* two buffers */
	for (unsigned i = 0; i < 5; i++)
		queue_tx(TX_BUF, 60 | ADV | TXD_EOP, 60 << 14);
	go();
	assert_int_equal(r(IGB_RNBC), 3);
	assert_int_equal(r(IGB_MPC), 3);
	assert_int_equal(r(IGB_GPRC), 2);
	assert_int_equal(r(0x2810), 2);
	assert_int_equal(received(&info, &status), 60);
	assert_int_equal(received(&info, &status), 60);
	assert_int_equal(received(&info, &status), -1);
	unplug();
}

static void test_head_writeback(void **state)
{
	start();
	rings(2 << 24);
	eth(tx_buf(), 0x88b5);
	w(0x3838, (uint32_t)(IOVA + 0x7000) | 1);
	w(0x383c, 0);
	queue_tx(TX_BUF, 60 | ADV | TXD_EOP, 60 << 14);
	queue_tx(TX_BUF, 60 | ADV | TXD_EOP | TXD_RS, 60 << 14);
	go();
	assert_int_equal(mem[0x7000], 2);
	assert_int_equal(txd[1].opt & TXD_DD, 0);
	unplug();
}

/* DMA that the IOMMU refuses, and rings that make no sense. */
static void test_aborts(void **state)
{
	uint64_t info, status;

	start();
	log_set(-1, LOG_NONE);
	rings(2 << 24);
	eth(tx_buf(), 0x88b5);
	queue_tx(BAD, 60 | ADV | TXD_EOP | TXD_RS, 60 << 14);
	queue_tx(TX_BUF, 60 | ADV | TXD_EOP | TXD_RS, 60 << 14);
	go();
	assert_int_equal(txd[0].opt & TXD_DD, 0);
	assert_int_equal(r(0x3810), 0);
	assert_true(pci_config_read(fn, PCI_STATUS, 2) & PCI_STATUS_REC_MASTER_ABORT);
	go(); /* it stands */
	assert_int_equal(received(&info, &status), -1);
	w(IGB_CTRL, CTRL_RST);
	rings(2 << 24);
	queue_tx(TX_BUF, 60 | ADV | TXD_EOP | TXD_RS, 60 << 14);
	go();
	assert_int_equal(received(&info, &status), 60);
	/* Tails and heads outside of the ring. */
	w(0x3818, 0xffff);
	w(0x3810, 0xfff0);
	w(0x3818, 3);
	assert_int_equal(received(&info, &status), -1);
	w(0x2810, 0xffff);
	w(0x3810, 0);
	w(0x3818, 1);
	assert_int_equal(received(&info, &status), -1);
	/* A ring that is not mapped. */
	w(IGB_CTRL, CTRL_RST);
	rings(2 << 24);
	w(0x2800, (uint32_t)BAD);
	queue_tx(TX_BUF, 60 | ADV | TXD_EOP | TXD_RS, 60 << 14);
	go();
	assert_int_equal(txd[0].opt & TXD_DD, TXD_DD); /* it was sent */
	assert_int_equal(r(IGB_GPRC), 0);
	/* Bus mastering off. */
	w(IGB_CTRL, CTRL_RST);
	rings(2 << 24);
	pci_config_write(fn, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	queue_tx(TX_BUF, 60 | ADV | TXD_EOP | TXD_RS, 60 << 14);
	go();
	assert_int_equal(r(0x3810), 0);
	pci_config_write(fn, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_int_equal(r(0x3810), 1); /* it only waited */
	assert_int_equal(received(&info, &status), 60);
	log_set(2, LOG_WARN);
	unplug();
}

/*
 * A queue waits for the link, and goes on when it comes; a quiet device sends and stores nothing.
 */
static void test_link_and_quiet(void **state)
{
	uint64_t info, status;

	start();
	rings(2 << 24);
	w(IGB_CTRL, r(IGB_CTRL) & ~CTRL_SLU);
	eth(tx_buf(), 0x88b5);
	queue_tx(TX_BUF, 60 | ADV | TXD_EOP, 60 << 14);
	go();
	assert_int_equal(r(0x3810), 0);
	w(IGB_CTRL, r(IGB_CTRL) | CTRL_SLU);
	assert_int_equal(r(0x3810), 1);
	assert_int_equal(received(&info, &status), 60);
	pci_function_quiesce(fn);
	w(IGB_FCTTV, 1); /* a store wakes it */
	queue_tx(TX_BUF, 60 | ADV | TXD_EOP, 60 << 14);
	go();
	assert_int_equal(received(&info, &status), 60);
	unplug();
}

/*
 * Drivers that make no sense, on two threads: random registers, values, descriptors. Nothing to
 * expect but that it ends, and that afterwards a reset makes a device that works.
 */
static void *hostile(void *arg)
{
	static const uint32_t often[] = {
		IGB_CTRL, IGB_RCTL, IGB_TCTL,	 IGB_MDIC,    IGB_SWSM, IGB_GPIE, IGB_MRQC,
		0x2800,	  0x2808,   0x280c,	 0x2810,      0x2818,	0x2828,	  0x3800,
		0x3808,	  0x3810,   0x3818,	 0x3828,      0x3838,	IGB_EIMS, IGB_EICS,
		IGB_IMS,  IGB_ICS,  IGB_EITR(0), IGB_IVAR(0),
	};
	uint64_t x = (uintptr_t)arg, v;

	for (unsigned i = 0; i < 30000; i++) {
		uint32_t off, val;

		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		off = x & 3 ? often[(x >> 8) % (sizeof(often) / sizeof(often[0]))]
			    : (uint32_t)(x >> 8) & 0x1fffc;
		val = (uint32_t)(x >> 32);
		if (off == 0x2800 || off == 0x3800)
			val = (uint32_t)IOVA + (val & 0xff80);
		else if (off == 0x2808 || off == 0x3808)
			val &= 0xff;
		else if (off == 0x3838)
			val = 0; /* it would write into the other's expectations */
		else if (off == 0x2818 || off == 0x3818 || off == 0x2810 || off == 0x3810)
			val &= 0x1f;
		else if (off == IGB_CTRL)
			val = x & 4 ? val & ~CTRL_RST : CTRL_SLU;
		else if (off == IGB_RCTL || off == IGB_TCTL || off == 0x2828 || off == 0x3828)
			val |= RCTL_EN | QUEUE_ENABLE;
		if (x & 64)
			pci_bar_write(fn, 0, off, 4, val);
		else
			pci_bar_read(fn, 0, off, 4, &v);
	}
	return NULL;
}

static void test_hostile(void **state)
{
	uint64_t info, status, x = 88172645463325252ull;
	pthread_t t[2];

	start();
	log_set(-1, LOG_NONE);
	for (size_t i = 0; i < MEM_SIZE; i += 8) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		memcpy(mem + i, &x, 8);
		/* half of the words are addresses that are mapped */
		if (x & 1)
			*(uint64_t *)(mem + i) = IOVA + (x >> 8 & 0xffff);
	}
	for (uintptr_t i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&t[i], NULL, hostile, (void *)(i * 77 + 12345)), 0);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	pci_function_reset(fn, UVFIO_RESET_FLR);
	log_set(2, LOG_WARN);
	pci_config_write(fn, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	rings(2 << 24);
	memset(mem, 0, 0x1000);
	eth(tx_buf(), 0x88b5);
	queue_tx(TX_BUF, 60 | ADV | TXD_EOP | TXD_RS, 60 << 14);
	go();
	assert_int_equal(received(&info, &status), 60);
	unplug();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_identity),
		cmocka_unit_test(test_own_mac),
		cmocka_unit_test(test_bad_mac),
		cmocka_unit_test(test_registers),
		cmocka_unit_test(test_semaphores),
		cmocka_unit_test(test_reset),
		cmocka_unit_test(test_phy),
		cmocka_unit_test(test_partner),
		cmocka_unit_test(test_msix),
		cmocka_unit_test(test_throttle),
		cmocka_unit_test(test_intx),
		cmocka_unit_test(test_frame),
		cmocka_unit_test(test_checksums),
		cmocka_unit_test(test_tso),
		cmocka_unit_test(test_vlan_insertion),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_double_vlan),
		cmocka_unit_test(test_filters),
		cmocka_unit_test(test_rss),
		cmocka_unit_test(test_no_room),
		cmocka_unit_test(test_head_writeback),
		cmocka_unit_test(test_aborts),
		cmocka_unit_test(test_link_and_quiet),
		cmocka_unit_test(test_hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
