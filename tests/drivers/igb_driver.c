/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/drivers/igb_driver.c: `igb_driver check ADDRESS` drives an 82576 whose port is looped back
 * to itself, and writes down what it does, a line each: registers after reset, EEPROM, PHY,
 * semaphores, frames of all kinds through the rings, filters, offloads, interrupts, statistics.
 * Like nvme_check.c it holds no opinion of what is right, and no line depends on what may differ
 * between two good chips.
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "igb.h"

#define QUIET	20u /* ms: nothing comes */
#define PATIENT 1000u

static struct igb g;
static struct igb_frame f;

static const uint8_t other[6] = { 0x02, 0x11, 0x22, 0x33, 0x44, 0x55 },
		     broadcast[6] = { 255, 255, 255, 255, 255, 255 },
		     group[6] = { 0x01, 0x00, 0x5e, 0x01, 0x02, 0x03 };

static void nap(unsigned ms)
{
	nanosleep(&(struct timespec){ .tv_nsec = (long)ms * 1000000 }, NULL);
}

static void saw_bool(const char *name, bool yes)
{
	saw_as(name, "%s", yes ? "yes" : "no");
}

/* Low half first. */
static void saw_octets(const char *name, unsigned offset)
{
	uint32_t low = reg_read(&g, offset), high = reg_read(&g, offset + 4);

	saw_as(name, "%u %u", low, high);
}

static void saw_register(const char *name, unsigned offset)
{
	char line[64];

	snprintf(line, sizeof(line), "%s 0x%04x", name, offset);
	saw_as(line, "0x%x", reg_read(&g, offset));
}

/* ---- frames ---- */

static void put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static unsigned get16(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xffff);
}

static uint32_t sum(const uint8_t *p, unsigned n, uint32_t s)
{
	for (unsigned i = 0; i < n; i++)
		s += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return s;
}

static unsigned ethernet(uint8_t *p, const uint8_t *to, unsigned type, unsigned length)
{
	memcpy(p, to, 6);
	memcpy(p + 6, g.mac, 6);
	put16(p + 12, type);
	for (unsigned i = 14; i < length; i++)
		p[i] = (uint8_t)(i * 7 + length);
	return length;
}

/*
 * IPv4 with @payload bytes behind UDP or TCP. @sums: with the checksums that belong there, else
 * with those of the pseudo header alone, as for offload.
 */
static unsigned ipv4(uint8_t *p, bool tcp, unsigned payload, bool sums)
{
	unsigned head = tcp ? 20 : 8, l4 = head + payload;
	uint32_t pseudo;

	ethernet(p, g.mac, 0x0800, 34 + l4);
	memset(p + 14, 0, 20 + head);
	p[14] = 0x45;
	put16(p + 16, 20 + l4);
	put16(p + 18, 0x1234);
	p[22] = 64;
	p[23] = tcp ? 6 : 17;
	put32(p + 26, 0x420995bb); /* 66.9.149.187 port 2794 to 161.142.100.80 port 1766: the first
				      example of the RSS hash's specification */
	put32(p + 30, 0xa18e6450);
	put16(p + 34, 2794);
	put16(p + 36, 1766);
	if (tcp) {
		put32(p + 38, 0x01020304);
		p[46] = 0x50;
		p[47] = 0x19; /* ACK, PSH, FIN */
		put16(p + 48, 0x1000);
	} else {
		put16(p + 38, l4);
	}
	pseudo = sum(p + 26, 8, p[23] + l4);
	if (sums) {
		put16(p + 24, ~sum(p + 14, 20, 0) & 0xffff);
		put16(p + 34 + (tcp ? 16 : 6), ~sum(p + 34, l4, pseudo) & 0xffff);
	} else {
		put16(p + 34 + (tcp ? 16 : 6), pseudo);
	}
	return 34 + l4;
}

/* Of a received IPv4 frame: both checksums are right. */
static bool sums_right(const uint8_t *p)
{
	unsigned l4 = get16(p + 16) - 20;

	return sum(p + 14, 20, 0) == 0xffff &&
	       sum(p + 34, l4, sum(p + 26, 8, p[23] + l4)) == 0xffff;
}

/* 7.2.2.2 */
static void put_context(unsigned iplen, unsigned vlan, uint32_t tucmd, unsigned l4len, unsigned mss)
{
	igb_put(&g, 0, (uint64_t)(14u << 9 | iplen | vlan << 16), TX_CONTEXT | tucmd,
		l4len << 8 | mss << 16);
}

static bool pass(const void *frame, unsigned length, uint32_t command, uint32_t options,
		 unsigned ms)
{
	igb_put_frame(&g, 0, frame, length, command, options);
	return igb_send(&g, 0) && igb_receive(&g, 0, &f, ms);
}

/* ---- sections ---- */

static void check_registers(const char *when)
{
	static const unsigned list[] = { CTRL_EXT, RCTL,   TCTL,   TCTL_EXT, TIPG,  VET,
					 RXCSUM,   RFCTL,  MRQC,   VT_CTL,   RLPML, FCRTV,
					 RXPBS,	   TXPBS,  DTXCTL, GPIE,     IMS,   IAM,
					 EIMS,	   EIAC,   EIAM,   EITR0,    IVAR0, IVAR_MISC,
					 RDBAL,	   RDLEN,  RDH,	   RDT,	     TDLEN, TDH,
					 TDT,	   TDWBAL, LEDCTL, RETA,     VFTA,  MTA };

	saw_as(when, "STATUS 0x%x", reg_read(&g, STATUS) & 0x3); /* the rest depends on the slot */
	for (unsigned i = 0; i < sizeof(list) / sizeof(*list); i++)
		saw_register(when, list[i]);
	saw_register(when, SRRCTL);
	saw_register(when, RXDCTL);
	saw_register(when, RXDCTL + 0x40);
	saw_register(when, TXDCTL);
	/* 5.2.1: the address comes from the EEPROM, and is valid */
	saw_as(when, "RAH0 0x%x", reg_read(&g, RAH0) & 0xffff0000);
	saw_bool("address is the EEPROM's",
		 (reg_read(&g, RAL0) & 0xffff) == (unsigned)igb_eeprom(&g, 0) &&
			 reg_read(&g, RAL0) >> 16 == (unsigned)igb_eeprom(&g, 1) &&
			 (reg_read(&g, RAH0) & 0xffff) == (unsigned)igb_eeprom(&g, 2));
}

static void check_eeprom(void)
{
	unsigned total = 0;

	saw_as("eeprom.EECD", "0x%x",
	       reg_read(&g, EECD) & 0x300); /* there is one, and it was read */
	for (unsigned i = 0; i < 0x40; i++)
		total += (unsigned)igb_eeprom(&g, i);
	saw_as("eeprom.checksum", "0x%x", total & 0xffff); /* 6.2.15 */
	saw_as("eeprom.device", "0x%x", (unsigned)igb_eeprom(&g, 0x0d));
	saw_as("eeprom.configuration done", "0x%x", reg_read(&g, EEMNGCTL) & 1u << 18); /* 8.4.4 */
}

static void check_phy(void)
{
	saw_as("phy.identifier", "0x%x 0x%x", (unsigned)igb_phy_read(&g, 1, 2),
	       (unsigned)igb_phy_read(&g, 1, 3));
	saw_as("phy.another address", "%d", igb_phy_read(&g, 3, 2));
	saw_as("phy.reset", "%d", igb_phy_write(&g, 1, 0, 0x8000 | 0x1140));
	nap(5);
	saw_as("phy.control", "0x%x", (unsigned)igb_phy_read(&g, 1, 0));
	saw_as("phy.status", "0x%x",
	       (unsigned)igb_phy_read(&g, 1, 1) & ~0x24u); /* without link and its negotiation */
	saw_as("phy.advertised", "0x%x", (unsigned)igb_phy_read(&g, 1, 4));
	saw_as("phy.1000", "0x%x", (unsigned)igb_phy_read(&g, 1, 9));
	saw_as("phy.extended status", "0x%x", (unsigned)igb_phy_read(&g, 1, 15));
	saw_as("phy.advertise", "%d", igb_phy_write(&g, 1, 4, 0x0061));
	saw_as("phy.advertised after it", "0x%x", (unsigned)igb_phy_read(&g, 1, 4));
	igb_phy_write(&g, 1, 4, 0x0de1);
	saw_as("phy.identifier is not written", "%d 0x%x", igb_phy_write(&g, 1, 2, 0),
	       (unsigned)igb_phy_read(&g, 1, 2));
}

/* 4.7: the first who reads SMBI as 0 has it. */
static void check_semaphores(void)
{
	reg_write(&g, SWSM, 0);
	saw_as("semaphores.SMBI first", "%u", reg_read(&g, SWSM) & 1);
	saw_as("semaphores.SMBI second", "%u", reg_read(&g, SWSM) & 1);
	reg_write(&g, SWSM, 2 | 1);
	saw_as("semaphores.SWESMBI", "0x%x", reg_read(&g, SWSM) & 3);
	reg_write(&g, SW_FW_SYNC, 0x5);
	saw_as("semaphores.SW_FW_SYNC", "0x%x", reg_read(&g, SW_FW_SYNC) & 0xffff);
	reg_write(&g, SW_FW_SYNC, 0);
	reg_write(&g, SWSM, 0);
	saw_as("semaphores.freed", "0x%x", reg_read(&g, SWSM) & 3);
}

static void saw_frame(const char *name, const void *sent, unsigned length)
{
	saw_as(name, "%u bytes in %u, status 0x%x, type 0x%x, %s", f.length, f.descriptors,
	       f.status, f.type,
	       f.length >= length && !memcmp(f.data, sent, length) ? "same" : "other data");
}

static void check_frames(void)
{
	static const unsigned sizes[] = { 60, 61, 64, 65, 128, 511, 512, 1024, 1513, 1514 };
	uint8_t frame[2048];
	char name[64];
	unsigned good = 0;

	igb_start(&g, 1, RCTL_SECRC, SRRCTL_ADVANCED | 2);
	saw_as("frames.status", "0x%x", reg_read(&g, STATUS) & 0xc3); /* up, full duplex, 1000 */
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		ethernet(frame, g.mac, 0x88b5, sizes[i]);
		snprintf(name, sizeof(name), "frames.%u", sizes[i]);
		if (pass(frame, sizes[i], 0, 0, PATIENT))
			saw_frame(name, frame, sizes[i]);
		else
			saw_as(name, "lost");
	}
	/* TCTL.PSP */
	ethernet(frame, g.mac, 0x88b5, 30);
	saw_bool("frames.30, padded", pass(frame, 30, 0, 0, PATIENT));
	saw_as("frames.30", "%u bytes, %s, padding %u", f.length,
	       memcmp(f.data, frame, 30) ? "other data" : "same", f.data[59]);
	/* in three pieces, the descriptor done */
	ethernet(frame, g.mac, 0x88b5, 600);
	memcpy(g.tx_data, frame, 600);
	igb_put(&g, 0, g.tx_data_iova, TX_DATA | 100, 600u << 14);
	igb_put(&g, 0, g.tx_data_iova + 100, TX_DATA | 499, 600u << 14);
	igb_put(&g, 0, g.tx_data_iova + 599, TX_DATA | TX_EOP | TX_RS | 1, 600u << 14);
	saw_bool("frames.three pieces", igb_send(&g, 0) && igb_receive(&g, 0, &f, PATIENT));
	saw_frame("frames.600", frame, 600);
	nap(5);
	saw_as("frames.done", "%u",
	       g.queue[0].tx[(g.queue[0].tx_tail + IGB_RING - 1) % IGB_RING].options & 1);
	/* around the ring, three at a time */
	for (unsigned i = 0; i < 100; i++) {
		for (unsigned k = 0; k < 3; k++) {
			ethernet(frame, g.mac, 0x88b5, 100 + i + k);
			igb_put_frame(&g, 0, frame, 100 + i + k, 0, 0);
		}
		if (!igb_send(&g, 0))
			break;
		for (unsigned k = 0; k < 3; k++) {
			ethernet(frame, g.mac, 0x88b5, 100 + i + k);
			good += igb_receive(&g, 0, &f, PATIENT) && f.length == 100 + i + k &&
				!memcmp(f.data, frame, f.length);
		}
	}
	saw_as("frames.around the ring", "%u of 300", good);
	/* with the checksum of the frame */
	igb_start(&g, 1, 0, SRRCTL_ADVANCED | 2);
	ethernet(frame, g.mac, 0x88b5, 64);
	saw_bool("frames.with FCS", pass(frame, 64, 0, 0, PATIENT));
	saw_frame("frames.64 with FCS", frame, 64);
	/* 7.1.4: over several buffers of 1 KiB */
	igb_start(&g, 1, RCTL_SECRC, SRRCTL_ADVANCED | 1);
	ethernet(frame, g.mac, 0x88b5, 1514);
	saw_bool("frames.two buffers", pass(frame, 1514, 0, 0, PATIENT));
	saw_frame("frames.1514 in two buffers", frame, 1514);
	/* 7.2.3: the head instead of the descriptor */
	reg_write(&g, TDWBAH, (uint32_t)(g.head_iova >> 32));
	reg_write(&g, TDWBAL, (uint32_t)g.head_iova | 1);
	*g.head = 0xffffffff;
	saw_bool("frames.head", pass(frame, 1514, 0, 0, PATIENT));
	nap(5);
	saw_bool("frames.head is the tail", *g.head == g.queue[0].tx_tail);
	/* descriptors run out: 8.10.13 and the counters */
	igb_start(&g, 1, RCTL_SECRC, SRRCTL_ADVANCED | 2);
	reg_read(&g, GPRC);
	reg_read(&g, RNBC);
	ethernet(frame, g.mac, 0x88b5, 64);
	for (unsigned k = 0; k < 2; k++) {
		for (unsigned i = 0; i < 35; i++)
			igb_put_frame(&g, 0, frame, 64, 0, 0);
		igb_send(&g, 0);
	}
	nap(20);
	for (good = 0; igb_receive(&g, 0, &f, good < 63 ? PATIENT : QUIET) && good < 100;)
		good++;
	saw_as("frames.70 for 63 descriptors", "%u", good);
	saw_bool("frames.goes on", pass(frame, 64, 0, 0, PATIENT));
}

/* 7.1.4.3, 7.2.2.1 */
static void check_legacy(void)
{
	volatile struct igb_descriptor *d = &g.queue[0].rx[0];
	uint64_t limit = now_ns() + 1000000000ull;
	uint8_t frame[256];

	igb_start(&g, 1, RCTL_SECRC, SRRCTL_ADVANCED | 2);
	ethernet(frame, g.mac, 0x88b5, 200);
	memcpy(g.tx_data, frame, 200);
	igb_put(&g, 0, g.tx_data_iova, TX_EOP | TX_IFCS | TX_RS | 200, 0);
	saw_bool("legacy.transmit", igb_send(&g, 0) && igb_receive(&g, 0, &f, PATIENT));
	saw_frame("legacy.200", frame, 200);
	nap(5);
	saw_as("legacy.done", "%u", g.queue[0].tx[0].options & 1);
	/* its checksum: from byte 14 on, into bytes 20 and 21 */
	put16(frame + 20, 0);
	memcpy(g.tx_data, frame, 200);
	igb_put(&g, 0, g.tx_data_iova, TX_EOP | TX_IFCS | TX_RS | TX_IC | 20u << 16 | 200,
		14u << 8);
	saw_bool("legacy.checksum", igb_send(&g, 0) && igb_receive(&g, 0, &f, PATIENT));
	saw_bool("legacy.checksum is right", sum(f.data + 14, 186, 0) == 0xffff);
	igb_start(&g, 1, RCTL_SECRC, 2);
	igb_put_frame(&g, 0, frame, 200, 0, 0);
	igb_send(&g, 0);
	while (!(d->options & 1) && !(d->command & 1) && now_ns() < limit)
		nap(1);
	saw_bool("legacy.receive, the address stays", d->address == g.queue[0].rx_data_iova);
	saw_as("legacy.receive", "length %u, status 0x%x, errors 0x%x", d->command & 0xffff,
	       d->options & 0xff, d->options >> 8 & 0xff);
}

static void filter(const char *name, const uint8_t *to)
{
	uint8_t frame[128];

	ethernet(frame, to, 0x88b5, 100);
	saw_as(name, "%s", pass(frame, 100, 0, 0, QUIET) ? "received" : "dropped");
}

static void check_filters(void)
{
	uint8_t frame[128];
	unsigned bit = ((unsigned)group[5] << 8 | group[4]) >> 4 & 0xfff; /* 7.1.1.1.2, RCTL.MO 0 */

	igb_start(&g, 1, RCTL_SECRC, SRRCTL_ADVANCED | 2);
	filter("filters.own", g.mac);
	filter("filters.other", other);
	filter("filters.broadcast", broadcast);
	filter("filters.group", group);
	reg_write(&g, RCTL, reg_read(&g, RCTL) | RCTL_BAM);
	filter("filters.broadcast, BAM", broadcast);
	reg_write(&g, RCTL, reg_read(&g, RCTL) | RCTL_UPE);
	filter("filters.other, UPE", other);
	filter("filters.group, UPE", group);
	reg_write(&g, RCTL, (reg_read(&g, RCTL) & ~RCTL_UPE) | RCTL_MPE);
	filter("filters.group, MPE", group);
	filter("filters.other, MPE", other);
	reg_write(&g, RCTL, reg_read(&g, RCTL) & ~RCTL_MPE);
	reg_write(&g, MTA + 4 * (bit >> 5), 1u << (bit & 31));
	filter("filters.group in the table", group);
	reg_write(&g, MTA + 4 * (bit >> 5), ~(1u << (bit & 31)));
	filter("filters.group beside it", group);
	reg_write(&g, MTA + 4 * (bit >> 5), 0);
	/* another exact address: 8.10.15 */
	reg_write(&g, RAL0 + 8 * 3,
		  other[0] | (uint32_t)other[1] << 8 | (uint32_t)other[2] << 16 |
			  (uint32_t)other[3] << 24);
	reg_write(&g, RAH0 + 8 * 3, other[4] | (uint32_t)other[5] << 8 | 1u << 31);
	filter("filters.other as the fourth address", other);
	reg_write(&g, RAH0 + 8 * 3, other[4] | (uint32_t)other[5] << 8);
	filter("filters.other, not valid", other);
	/* VLANs: 7.4 */
	ethernet(frame, g.mac, 0x8100, 100);
	put16(frame + 14, 0x0065);
	put16(frame + 16, 0x88b5);
	saw_bool("vlan.no filter", pass(frame, 100, 0, 0, QUIET));
	saw_frame("vlan.not stripped", frame, 100);
	reg_write(&g, RCTL, reg_read(&g, RCTL) | RCTL_VFE);
	saw_bool("vlan.filtered", pass(frame, 100, 0, 0, QUIET));
	filter("vlan.without a tag", g.mac);
	reg_write(&g, VFTA + 4 * (0x65 >> 5), 1u << (0x65 & 31));
	saw_bool("vlan.in the table", pass(frame, 100, 0, 0, QUIET));
	reg_write(&g, CTRL, reg_read(&g, CTRL) | CTRL_VME);
	saw_bool("vlan.stripped", pass(frame, 100, 0, 0, QUIET));
	saw_as("vlan.tag", "%u bytes, status 0x%x, tag 0x%x, type 0x%x, %s", f.length, f.status,
	       f.vlan, get16(f.data + 12),
	       memcmp(f.data + 14, frame + 18, 82) ? "other data" : "same");
	/* inserted by the context: 7.4.1 */
	ethernet(frame, g.mac, 0x88b5, 100);
	put_context(0, 0x2065, 0, 0, 0);
	saw_bool("vlan.inserted", pass(frame, 100, TX_VLE, 0, QUIET));
	saw_as("vlan.inserted tag", "%u bytes, status 0x%x, tag 0x%x", f.length, f.status, f.vlan);
	reg_write(&g, RCTL, reg_read(&g, RCTL) & ~RCTL_VFE);
	put_context(0, 0x2066, 0, 0, 0);
	saw_bool("vlan.inserted another", pass(frame, 100, TX_VLE, 0, QUIET));
	saw_as("vlan.another tag", "%u bytes, tag 0x%x", f.length, f.vlan);
	/* whether or not they are stripped */
	reg_write(&g, CTRL, reg_read(&g, CTRL) & ~CTRL_VME);
	saw_bool("vlan.inserted, not stripped", pass(frame, 100, TX_VLE, 0, QUIET));
	saw_as("vlan.not stripped tag", "%u bytes, 0x%x 0x%x 0x%x", f.length, get16(f.data + 12),
	       get16(f.data + 14), get16(f.data + 16));
}

/* @outer, @inner: the types of tags that it gets, 0: none */
static unsigned with_tags(uint8_t *frame, unsigned outer, unsigned inner, unsigned length)
{
	unsigned at = 12;

	ethernet(frame, g.mac, 0, length);
	if (outer) {
		put16(frame + at, outer);
		put16(frame + at + 2, 0x0064);
		at += 4;
	}
	if (inner) {
		put16(frame + at, inner);
		put16(frame + at + 2, 0x2065);
		at += 4;
	}
	put16(frame + at, 0x88b5);
	return length;
}

static void tagged(const char *name, unsigned outer, unsigned inner)
{
	uint8_t frame[2048];

	if (pass(frame, with_tags(frame, outer, inner, 100), 0, 0, QUIET))
		saw_as(name, "%u bytes, status 0x%x, tag 0x%x, 0x%x 0x%x", f.length, f.status,
		       f.vlan, get16(f.data + 12), get16(f.data + 16));
	else
		saw_as(name, "dropped");
}

static void longest(const char *name, unsigned outer, unsigned inner)
{
	unsigned length = 1510;
	uint8_t frame[2048];

	while (length < 1600 &&
	       pass(frame, with_tags(frame, outer, inner, length + 1), 0, 0, QUIET))
		length++;
	saw_as(name, "%u", length);
}

/* 7.4.5, and 8.10.1, RCTL.LPE: how long a frame may be, with its tags */
static void check_double_vlan(void)
{
	igb_start(&g, 1, RCTL_SECRC, SRRCTL_ADVANCED | 2);
	longest("length.untagged", 0, 0);
	longest("length.tagged", 0, 0x8100);
	longest("length.another type", 0x88a8, 0);
	longest("length.twice", 0x8100, 0x8100);
	saw_as("double.VET", "0x%x", reg_read(&g, VET));
	reg_write(&g, VET, 0x88a88100);
	reg_write(&g, CTRL_EXT, reg_read(&g, CTRL_EXT) | CTRL_EXT_EXT_VLAN);
	saw_bool("double.stays on", reg_read(&g, CTRL_EXT) & CTRL_EXT_EXT_VLAN);
	longest("length.double, none", 0, 0);
	longest("length.double, both", 0x88a8, 0x8100);
	tagged("double.both", 0x88a8, 0x8100);
	tagged("double.outer", 0x88a8, 0);
	tagged("double.none", 0, 0);
	reg_write(&g, CTRL, reg_read(&g, CTRL) | CTRL_VME);
	tagged("double.both, stripped", 0x88a8, 0x8100);
	tagged("double.outer, stripped", 0x88a8, 0);
	tagged("double.inner, stripped", 0, 0x8100);
	tagged("double.none, stripped", 0, 0);
	reg_write(&g, RCTL, reg_read(&g, RCTL) | RCTL_VFE);
	reg_write(&g, VFTA + 4 * (0x64 >> 5), 1u << (0x64 & 31));
	tagged("double.both, the outer one in the table", 0x88a8, 0x8100);
	reg_write(&g, VFTA + 4 * (0x64 >> 5), 1u << (0x65 & 31));
	tagged("double.both, the inner one in the table", 0x88a8, 0x8100);
	reg_write(&g, VFTA + 4 * (0x64 >> 5), 0);
	tagged("double.outer, filtered", 0x88a8, 0);
}

static void offload(const char *name, bool tcp, uint32_t options)
{
	uint8_t frame[2048];
	unsigned n = ipv4(frame, tcp, 777, false);
	char line[64];

	put_context(20, 0, 1u << 10 | (tcp ? 1u << 11 : 0), tcp ? 20 : 8, 0);
	snprintf(line, sizeof(line), "offload.%s", name);
	saw_bool(line, pass(frame, n, 0, options, PATIENT));
	snprintf(line, sizeof(line), "offload.%s, right", name);
	saw_as(line, "%s, IP %s", sums_right(f.data) ? "yes" : "no",
	       sum(f.data + 14, 20, 0) == 0xffff ? "right" : "wrong");
}

static void received_sums(const char *name, const uint8_t *frame, unsigned n)
{
	if (pass(frame, n, 0, 0, PATIENT))
		saw_as(name, "status 0x%x, type 0x%x", f.status, f.type);
	else
		saw_as(name, "lost");
}

static void check_offloads(void)
{
	uint8_t frame[9000];
	unsigned n, at = 0, parts = 0;

	igb_start(&g, 1, RCTL_SECRC, SRRCTL_ADVANCED | 2);
	offload("tcp", true, TX_IXSM | TX_TXSM);
	offload("udp", false, TX_IXSM | TX_TXSM);
	offload("ip alone", false, TX_IXSM);
	/* 7.2.4: cut into segments of 1000 */
	n = ipv4(frame, true, 3500, false);
	put16(frame + 16, 0);
	put16(frame + 50, sum(frame + 26, 8, 6)); /* the pseudo header without the length */
	memcpy(g.tx_data, frame, n);
	put_context(20, 0, 1u << 10 | 1u << 11, 20, 1000);
	igb_put(&g, 0, g.tx_data_iova, TX_DATA | TX_EOP | TX_RS | TX_TSE | n,
		TX_IXSM | TX_TXSM | (n - 54) << 14);
	saw_bool("tso.sent", igb_send(&g, 0));
	while (igb_receive(&g, 0, &f, parts < 4 ? PATIENT : QUIET)) {
		char name[32];
		unsigned have = f.length - 54;

		snprintf(name, sizeof(name), "tso.segment %u", parts++);
		saw_as(name,
		       "%u bytes, IP length %u, id 0x%x, sequence +%u, flags 0x%x, sums %s, data "
		       "%s",
		       f.length, get16(f.data + 16), get16(f.data + 18),
		       (get16(f.data + 38) << 16 | get16(f.data + 40)) - 0x01020304u, f.data[47],
		       sums_right(f.data) ? "right" : "wrong",
		       at + have <= 3500 && !memcmp(f.data + 54, frame + 54 + at, have) ? "same"
											: "other");
		at += have;
	}
	saw_as("tso.segments", "%u, %u bytes", parts, at);
	/* 7.1.10: what the receiver finds out */
	reg_write(&g, RXCSUM, 3u << 8);
	n = ipv4(frame, true, 100, true);
	received_sums("checksums.tcp", frame, n);
	frame[60] ^= 1;
	received_sums("checksums.tcp wrong", frame, n);
	n = ipv4(frame, false, 100, true);
	received_sums("checksums.udp", frame, n);
	frame[60] ^= 1;
	received_sums("checksums.udp wrong", frame, n);
	n = ipv4(frame, false, 100, true);
	put16(frame + 40, 0);
	received_sums("checksums.udp without", frame, n);
	n = ipv4(frame, true, 100, true);
	frame[24] ^= 1;
	received_sums("checksums.ip wrong", frame, n);
	reg_write(&g, RXCSUM, 0);
	n = ipv4(frame, true, 100, true);
	received_sums("checksums.off", frame, n);
}

/* 7.1.2.8: the key and the first vector of its specification. */
static void check_rss(void)
{
	static const uint8_t key[40] = {
		0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3,
		0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3,
		0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa
	};
	uint8_t frame[256];
	unsigned n, found = 99;

	igb_start(&g, 4, RCTL_SECRC, SRRCTL_ADVANCED | 2);
	for (unsigned i = 0; i < 10; i++)
		reg_write(&g, RSSRK + 4 * i,
			  key[4 * i] | (uint32_t)key[4 * i + 1] << 8 |
				  (uint32_t)key[4 * i + 2] << 16 | (uint32_t)key[4 * i + 3] << 24);
	for (unsigned i = 0; i < 32; i++)
		reg_write(&g, RETA + 4 * i, 0x03020100);
	reg_write(&g, RXCSUM, 1u << 13 | 3u << 8);
	reg_write(&g, MRQC, 2 | 1u << 16 | 1u << 17); /* IPv4, with and without TCP */
	for (int tcp = 1; tcp >= 0; tcp--) {
		n = ipv4(frame, tcp, 64, true);
		for (unsigned i = 0; i < 2; i++) { /* whichever queue sends */
			igb_put_frame(&g, i * 3, frame, n, 0, 0);
			igb_send(&g, i * 3);
			for (found = 0;
			     found < 4 && !igb_receive(&g, found, &f, found ? QUIET : QUIET);
			     found++)
				;
			saw_as(tcp ? i ? "rss.tcp from queue 3" : "rss.tcp"
			       : i ? "rss.udp from queue 3"
				   : "rss.udp",
			       "queue %u, hash 0x%08x, type 0x%x", found, f.hash, f.type);
		}
	}
	ethernet(frame, g.mac, 0x88b5, 64);
	igb_put_frame(&g, 1, frame, 64, 0, 0);
	igb_send(&g, 1);
	for (found = 0; found < 4 && !igb_receive(&g, found, &f, QUIET); found++)
		;
	saw_as("rss.no IP", "queue %u, hash 0x%08x, type 0x%x", found, f.hash, f.type);
}

static void one_frame(void)
{
	uint8_t frame[64];

	ethernet(frame, g.mac, 0x88b5, 64);
	igb_put_frame(&g, 0, frame, 64, 0, 0);
	igb_send(&g, 0);
}

/*
 * How often each was signalled, until none is for a while: on a busy machine they take their time.
 */
static void saw_counts(const char *name, const int *fd, unsigned count)
{
	struct pollfd p[3];
	unsigned long long n[3] = { 0 };

	for (unsigned i = 0; i < count; i++)
		p[i] = (struct pollfd){ .fd = fd[i], .events = POLLIN };
	while (poll(p, count, 150) > 0) {
		for (unsigned i = 0; i < count; i++)
			n[i] += eventfd_wait(fd[i], 0);
	}
	if (count == 1)
		saw_as(name, "%llu", n[0]);
	else
		saw_as(name, "%llu %llu %llu", n[0], n[1], n[2]);
}

/* 7.3.1 to 7.3.4: queue 0's causes by IVAR to vectors 1 and 2, all others to vector 0. */
static void check_msix(void)
{
	int fd[3] = { new_eventfd(), new_eventfd(), new_eventfd() };

	igb_start(&g, 1, RCTL_SECRC, SRRCTL_ADVANCED | 2);
	saw_as("msix.vectors", "%u", g.pci.irq[VFIO_PCI_MSIX_IRQ_INDEX].count);
	saw_as("msix.set", "%d", pci_set_eventfds(&g.pci, VFIO_PCI_MSIX_IRQ_INDEX, 0, 3, fd));
	reg_write(&g, GPIE, GPIE_MSIX | GPIE_EIAME | 1u << 31 | 1);
	reg_write(&g, IVAR0, 0x81 | 0x82u << 8);
	reg_write(&g, IVAR_MISC, 0x80u << 8);
	reg_write(&g, EIAC, 7);
	reg_write(&g, EIAM, 0);
	one_frame();
	saw_counts("msix.masked", fd, 3);
	saw_as("msix.EICR while masked", "0x%x", reg_read(&g, EICR) & 7);
	igb_receive(&g, 0, &f, PATIENT);
	reg_write(&g, EICR, 7);
	reg_write(&g, EIMS, 7);
	saw_as("msix.EIMS", "0x%x", reg_read(&g, EIMS));
	eventfd_wait(fd[1], QUIET);
	eventfd_wait(fd[2], QUIET);
	one_frame();
	saw_counts("msix.a frame", fd, 3);
	igb_receive(&g, 0, &f, PATIENT);
	one_frame();
	saw_counts("msix.another", fd, 3);
	igb_receive(&g, 0, &f, PATIENT);
	reg_write(&g, EICS, 2);
	saw_counts("msix.EICS", fd, 3);
	reg_write(&g, EIMC, 2);
	saw_as("msix.EIMS without 1", "0x%x", reg_read(&g, EIMS));
	one_frame();
	saw_counts("msix.receive masked", fd, 3);
	igb_receive(&g, 0, &f, PATIENT);
	reg_write(&g, EIMS, 2);
	saw_counts("msix.unmasked later", fd, 3);
	reg_write(&g, IMS, 1u << 2);
	reg_write(&g, ICS, 1u << 2);
	saw_counts("msix.link change by ICS", fd, 3);
	saw_as("msix.ICR", "0x%x", reg_read(&g, ICR) & 4);
	saw_as("msix.ICR again", "0x%x", reg_read(&g, ICR) & 4);
	/* 8.8.6: a message masks its vector */
	reg_write(&g, EIAM, 4);
	reg_write(&g, EICS, 4);
	saw_counts("msix.automask", fd, 3);
	saw_as("msix.EIMS after automask", "0x%x", reg_read(&g, EIMS));
	reg_write(&g, EICS, 4);
	saw_counts("msix.automasked", fd, 3);
	saw_as("msix.off", "%d",
	       pci_irq_action(&g.pci, VFIO_PCI_MSIX_IRQ_INDEX, 0, 0, VFIO_IRQ_SET_ACTION_TRIGGER));
}

/* 7.3.4, 8.8.8: one line, ICR */
static void check_intx(unsigned index, const char *kind)
{
	int fd = new_eventfd();
	char name[64];
#define NAME(what) (snprintf(name, sizeof(name), "%s.%s", kind, what), name)

	igb_start(&g, 1, RCTL_SECRC, SRRCTL_ADVANCED | 2);
	saw_as(NAME("vectors"), "%u", g.pci.irq[index].count);
	saw_as(NAME("set"), "%d", pci_set_eventfds(&g.pci, index, 0, 1, &fd));
	reg_read(&g, ICR);
	one_frame();
	saw_counts(NAME("masked"), &fd, 1);
	saw_as(NAME("ICR while masked"), "0x%x", reg_read(&g, ICR) & 0x81); /* TXDW, RXDW */
	saw_as(NAME("ICR was cleared"), "0x%x", reg_read(&g, ICR) & 0x81);
	igb_receive(&g, 0, &f, PATIENT);
	reg_write(&g, IMS, 1u << 7);
	saw_as(NAME("IMS"), "0x%x", reg_read(&g, IMS));
	saw_as(NAME("IMS, its first address"), "0x%x", reg_read(&g, IMS_NEW));
	saw_counts(NAME("nothing yet"), &fd, 1);
	one_frame();
	saw_counts(NAME("a frame"), &fd, 1);
	saw_as(NAME("ICR"), "0x%x", reg_read(&g, ICR) & 0x80000081);
	igb_receive(&g, 0, &f, PATIENT);
	if (index == VFIO_PCI_INTX_IRQ_INDEX)
		pci_irq_action(&g.pci, index, 0, 1, VFIO_IRQ_SET_ACTION_UNMASK);
	saw_counts(NAME("quiet when it was read"), &fd, 1);
	reg_write(&g, ICS, 1u << 7);
	saw_counts(NAME("by ICS"), &fd, 1);
	reg_write(&g, IMC, 1u << 7);
	saw_as(NAME("IMS masked"), "0x%x", reg_read(&g, IMS));
	if (index == VFIO_PCI_INTX_IRQ_INDEX)
		pci_irq_action(&g.pci, index, 0, 1, VFIO_IRQ_SET_ACTION_UNMASK);
	saw_counts(NAME("quiet when masked"), &fd, 1);
	reg_write(&g, IMS, 1u << 7);
	saw_counts(NAME("unmasked, still there"), &fd, 1);
	reg_write(&g, ICR, 1u << 7);
	saw_as(NAME("ICR written"), "0x%x", reg_read(&g, ICR) & 0x80);
	saw_as(NAME("off"), "%d", pci_irq_action(&g.pci, index, 0, 0, VFIO_IRQ_SET_ACTION_TRIGGER));
#undef NAME
}

static void check_statistics(void)
{
	static const unsigned list[] = { GPTC,	 TPT,	 GPRC,	  TPR,	   PTC64, PTC127,
					 PTC255, PTC511, PTC1023, PTC1522, PRC64, PRC127,
					 PRC255, PRC511, PRC1023, PRC1522, BPTC,  MPTC,
					 BPRC,	 MPRC,	 MPC,	  CRCERRS };
	static const unsigned sizes[] = {
		60, 60, 61, 123, 124, 251, 252, 507, 508, 1019, 1020, 1514
	};
	uint8_t frame[2048];
	unsigned count = 0;

	igb_start(&g, 1, RCTL_SECRC | RCTL_BAM | RCTL_MPE, SRRCTL_ADVANCED | 2);
	for (unsigned i = CRCERRS; i < STATISTICS_END; i += 4)
		reg_read(&g, i);
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		ethernet(frame,
			 i == 2		    ? broadcast
			 : i == 3 || i == 4 ? group
					    : g.mac,
			 0x88b5, sizes[i]);
		count += pass(frame, sizes[i], 0, 0, PATIENT);
	}
	saw_as("statistics.frames", "%u", count);
	ethernet(frame, other, 0x88b5, 100);
	pass(frame, 100, 0, 0, QUIET);
	saw_octets("statistics.GOTC", GOTCL);
	saw_octets("statistics.GORC", GORCL);
	saw_octets("statistics.TOT", TOTL);
	saw_octets("statistics.TOR", TORL);
	for (unsigned i = 0; i < sizeof(list) / sizeof(*list); i++) {
		char name[32];

		snprintf(name, sizeof(name), "statistics.0x%04x", list[i]);
		count = reg_read(&g, list[i]);
		saw_as(name, "%u, then %u", count, reg_read(&g, list[i]));
	}
}

static void check_resets(void)
{
	uint8_t frame[64];

	igb_start(&g, 1, RCTL_SECRC, SRRCTL_ADVANCED | 2);
	reg_write(&g, EIMS, 1);
	reg_write(&g, IMS, 4);
	saw_as("reset.function", "%d", pci_reset(&g.pci));
	check_registers("after the function's reset");
	pci_config_write(&g.pci, 4, 2, pci_config_read(&g.pci, 4, 2) | 6);
	igb_start(&g, 1, RCTL_SECRC, SRRCTL_ADVANCED | 2);
	ethernet(frame, g.mac, 0x88b5, 64);
	saw_bool("reset.a frame after it", pass(frame, 64, 0, 0, PATIENT));
	reg_write(&g, TDT, 0);
	reg_write(&g, CTRL, reg_read(&g, CTRL) | CTRL_RST);
	nap(5);
	check_registers("after CTRL.RST");
	igb_start(&g, 1, RCTL_SECRC, SRRCTL_ADVANCED | 2);
	saw_bool("reset.a frame at the end", pass(frame, 64, 0, 0, PATIENT));
}

int main(int argc, char **argv)
{
	if (argc != 3 || strcmp(argv[1], "check")) {
		fputs("usage: igb_driver check ADDRESS\n", stderr);
		return 2;
	}
	igb_open(&g, argv[2]);
	check_registers("after opening");
	check_eeprom();
	check_phy();
	check_semaphores();
	check_frames();
	check_legacy();
	check_filters();
	check_double_vlan();
	check_offloads();
	check_rss();
	check_msix();
	check_intx(VFIO_PCI_MSI_IRQ_INDEX, "msi");
	check_intx(VFIO_PCI_INTX_IRQ_INDEX, "intx");
	check_statistics();
	check_resets();
	pci_close(&g.pci);
	return 0;
}
