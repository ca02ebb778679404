/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/igb/nvm.c: the EEPROM (82576 datasheet, 6): the words that a driver looks at, with a
 * checksum that holds. They are read through EERD, and read and written by moving the pins of a
 * serial EEPROM of 2 KiB (of the kind of the AT25160: SPI mode 0, 16 bits of address, pages of 32
 * bytes) through EECD. What is written lasts as long as the device: through resets, not until the
 * next run.
 */
#include "models/igb/internal.h"

#define NVM_SIZE_FIELD 4u      /* 8.4.1, EECD.EE_SIZE: 2^(6 + 4) words */
#define NVM_SUM	       0xbabau /* 6.2.15 */
#define NVM_CHECKSUM   0x3fu
#define NVM_BYTES      (2 * IGB_NVM_WORDS)

enum { WRSR = 1, WRITE, READ, WRDI, RDSR, WREN }; /* AT25160, table of instructions */
#define SR_WEL 0x02u
#define SR_BP  0x0cu /* protected: nothing, the upper quarter, half, all */

void igb_nvm_init(struct igb *g, const uint8_t mac[6])
{
	uint16_t sum = 0;

	for (unsigned i = 0; i < IGB_NVM_WORDS; i++)
		g->kept->ctl.nvm[i] = 0xffff;
	for (unsigned i = 0; i < 3; i++) /* 6.2.1 */
		g->kept->ctl.nvm[i] = (uint16_t)(mac[2 * i] | mac[2 * i + 1] << 8);
	g->kept->ctl.nvm[0x03] = 0;	 /* compatibility */
	g->kept->ctl.nvm[0x04] = 0x8911; /* 6.4.2 ID LED: default on 0 */
	g->kept->ctl.nvm[0x05] = 0x1051; /* 6.4.3 image version 1.5.1 */
	g->kept->ctl.nvm[0x08] = 0xe32a; /* 6.4.4 PBA number, old form: E32A00-001 */
	g->kept->ctl.nvm[0x09] = 0x0001;
	g->kept->ctl.nvm[0x0a] = 0x406b; /* 6.2.2 init control 1 */
	g->kept->ctl.nvm[0x0b] = 0xa03c; /* 6.2.3 subsystem */
	g->kept->ctl.nvm[0x0c] = 0x8086;
	g->kept->ctl.nvm[0x0d] = 0x10c9;
	g->kept->ctl.nvm[0x0e] = 0x8086;
	g->kept->ctl.nvm[0x0f] = 0x72c0; /* 6.2.7 init control 2 */
	g->kept->ctl.nvm[0x10] = 0;	 /* no second port: LAN 1 has no init section */
	g->kept->ctl.nvm[0x11] = 0;
	g->kept->ctl.nvm[0x14] = 0x0400; /* 6.2.17 init control 4 */
	g->kept->ctl.nvm[0x18] = 0x6cfb; /* PCIe init configuration */
	g->kept->ctl.nvm[0x19] = 0xc7a5;
	g->kept->ctl.nvm[0x1a] = 0x0f4b;
	g->kept->ctl.nvm[0x1b] = 0x0000;
	g->kept->ctl.nvm[0x1e] = 0x0001; /* 6.2.22 device revision */
	g->kept->ctl.nvm[0x20] = 0x0000; /* SDP control */
	g->kept->ctl.nvm[0x24] = 0x0400; /* 6.2.24 init control 3: wake up enabled */
	g->kept->ctl.nvm[0x37] = 0xffff; /* 6.2.27 alternate MAC address: none */
	g->kept->ctl.nvm[NVM_CHECKSUM] = 0;
	for (unsigned i = 0; i < NVM_CHECKSUM; i++)
		sum = (uint16_t)(sum + g->kept->ctl.nvm[i]);
	g->kept->ctl.nvm[NVM_CHECKSUM] = (uint16_t)(NVM_SUM - sum);
}

void igb_nvm_load(struct igb *g)
{
	igb_put(g, IGB_RAL(0), g->kept->ctl.nvm[0] | (uint32_t)g->kept->ctl.nvm[1] << 16);
	igb_put(g, IGB_RAH(0), g->kept->ctl.nvm[2] | RAH_AV);
	igb_eecd(g, 0);
}

/* ---- the serial EEPROM ---- */

static uint8_t get_byte(struct igb *g, unsigned at)
{
	at %= NVM_BYTES;
	return (uint8_t)(g->kept->ctl.nvm[at / 2] >> 8 * (at & 1));
}

static void put_byte(struct igb *g, unsigned at, uint8_t v)
{
	static const unsigned first[] = { NVM_BYTES, NVM_BYTES / 4 * 3, NVM_BYTES / 2, 0 };
	unsigned shift = 8 * (at & 1);

	if (at < first[(g->kept->ctl.spi.status & SR_BP) >> 2])
		g->kept->ctl.nvm[at / 2] =
			(uint16_t)((g->kept->ctl.nvm[at / 2] & ~(0xff << shift)) | v << shift);
}

/* Take a byte of an instruction: the first is its code, two more of some are an address. */
static void spi_byte(struct igb *g, uint8_t v)
{
	struct igb_spi *s = &g->kept->ctl.spi;

	switch (s->bytes) {
	case 0:
		s->code = v & 7; /* the others are don't care */
		s->at = 0;
		s->filled = 0;
		break;
	case 1:
	case 2:
		if (s->code == READ || s->code == WRITE)
			s->at = (s->at << 8 | v) % NVM_BYTES;
		else
			s->page[0] = v;
		break;
	default:			/* 3, and from then on */
		if (s->code == WRITE) { /* the page's address goes round */
			s->page[s->at % IGB_SPI_PAGE] = v;
			s->filled |= 1u << s->at % IGB_SPI_PAGE;
			s->at = (s->at & ~(IGB_SPI_PAGE - 1)) | (s->at + 1) % IGB_SPI_PAGE;
		}
		break;
	}
	if (s->bytes < 3)
		s->bytes++;
}

/* End the instruction, and do what was only prepared. It takes no time: never busy. */
static void spi_deselect(struct igb *g)
{
	struct igb_spi *s = &g->kept->ctl.spi;
	bool enabled = s->status & SR_WEL;
	unsigned page = s->at & ~(IGB_SPI_PAGE - 1);

	if (s->bits % 8 || !s->bytes)
		return; /* not at the end of a byte */
	switch (s->code) {
	case WREN:
		s->status |= SR_WEL;
		return;
	case WRSR:
		if (enabled && s->bytes > 1)
			s->status = s->page[0] & SR_BP;
		break;
	case WRITE:
		for (unsigned i = 0; i < IGB_SPI_PAGE && enabled; i++) {
			if (s->filled >> i & 1)
				put_byte(g, page + i, s->page[i]);
		}
		break;
	case WRDI:
		break;
	default:
		return; /* reading leaves the latch */
	}
	s->status &= (uint8_t)~SR_WEL;
}

/* Return bit @n of those that go out after the instruction. */
static bool spi_out(struct igb *g, unsigned n)
{
	struct igb_spi *s = &g->kept->ctl.spi;
	uint8_t v = 0xff;

	if (s->code == READ && s->bytes >= 3)
		v = get_byte(g, s->at + n / 8);
	else if (s->code == RDSR && s->bytes >= 1)
		v = s->status;
	return v >> (7 - n % 8) & 1;
}

static void spi_pins(struct igb *g, uint32_t value)
{
	struct igb_spi *s = &g->kept->ctl.spi;
	bool clock = value & EECD_SK, head;

	if (value & EECD_CS) { /* low is selected */
		if (s->selected)
			spi_deselect(g);
		s->selected = false;
		s->clock = clock;
		s->out = true;
		return;
	}
	if (!s->selected) {
		s->selected = true;
		s->bits = s->bytes = 0;
		s->in = 0;
		s->clock = clock;
	}
	head = s->bits < (s->code == READ ? 24u : 8u) || !s->bytes;
	if (clock && !s->clock) {
		s->in = (uint8_t)(s->in << 1 | !!(value & EECD_DI));
		if (++s->bits % 8 == 0)
			spi_byte(g, s->in);
	} else if (!clock && s->clock && !head) {
		s->out = spi_out(g, s->bits - (s->code == READ ? 24u : 8u));
	}
	s->clock = clock;
}

/* ---- registers ---- */

/* Take a store to EECD: 8.4.1. The pins are the driver's once it has asked for them. */
void igb_eecd(struct igb *g, uint32_t value)
{
	uint32_t v = EECD_PRES | EECD_AUTO_RD | EECD_ADDR_BITS | NVM_SIZE_FIELD << EECD_SIZE_SHIFT |
		     (value & (EECD_CLEAR & ~EECD_DO));

	if (value & EECD_REQ)
		v |= EECD_REQ | EECD_GNT;
	if (value & EECD_REQ)
		spi_pins(g, value);
	else
		spi_pins(g, EECD_CS);
	if (g->kept->ctl.spi.out)
		v |= EECD_DO;
	igb_put(g, IGB_EECD, v);
}

/* Take a store to EERD: 8.4.2. The word is there at once. */
void igb_eerd(struct igb *g, uint32_t value)
{
	uint32_t word = value >> 2 & 0x3fff, v = 0xffff;

	if (word < IGB_NVM_WORDS)
		v = g->kept->ctl.nvm[word];
	igb_put(g, IGB_EERD, (value & 0xfffcu) | EERD_DONE | v << 16);
}

/* ---- migration ---- */

static bool possible(const struct igb_spi *p)
{
	return p->code <= 7 && !(p->status & ~(SR_WEL | SR_BP)) && p->bytes <= 3 &&
	       p->at < NVM_BYTES;
}

bool igb_nvm_take_up(struct igb *g)
{
	return possible(&g->kept->ctl.spi);
}

void igb_nvm_save(struct igb *g, struct uvfio_state *s)
{
	const struct igb_spi *p = &g->kept->ctl.spi;

	for (unsigned i = 0; i < IGB_NVM_WORDS; i++)
		uvfio_put16(s, g->kept->ctl.nvm[i]);
	uvfio_put8(s, (uint8_t)(p->selected | p->clock << 1 | p->out << 2));
	uvfio_put8(s, p->in);
	uvfio_put8(s, p->code);
	uvfio_put8(s, p->status);
	uvfio_put32(s, p->bits);
	uvfio_put8(s, (uint8_t)p->bytes);
	uvfio_put16(s, (uint16_t)p->at);
	uvfio_put32(s, p->filled);
	uvfio_put_bytes(s, p->page, sizeof(p->page));
}

int igb_nvm_restore(struct igb *g, struct uvfio_state *s)
{
	struct igb_spi p = { 0 };
	uint8_t pins;

	for (unsigned i = 0; i < IGB_NVM_WORDS; i++)
		g->kept->ctl.nvm[i] = uvfio_get16(s);
	pins = uvfio_get8(s);
	p.selected = pins & 1;
	p.clock = pins & 2;
	p.out = pins & 4;
	p.in = uvfio_get8(s);
	p.code = uvfio_get8(s);
	p.status = uvfio_get8(s);
	p.bits = uvfio_get32(s);
	p.bytes = uvfio_get8(s);
	p.at = uvfio_get16(s);
	p.filled = uvfio_get32(s);
	uvfio_get_bytes(s, p.page, sizeof(p.page));
	if (!possible(&p))
		return uvfio_load_error(s, "EEPROM: instruction %u, status %xh, byte %u, at %xh",
					p.code, p.status, p.bytes, p.at);
	g->kept->ctl.spi = p;
	return 0;
}
