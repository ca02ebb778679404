/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * igb: the EEPROM (82576 datasheet, 6). Read through EERD; the words are those that a driver looks
 * at, with a checksum that holds. The bit-banged SPI interface has nothing at its far end: EECD.DO
 * stays up, which a driver takes for a part that is never ready, so that writing it fails instead
 * of being lost.
 */
#include "models/igb.h"

#define NVM_SIZE_FIELD 4u      /* 8.4.1, EECD.EE_SIZE: 2^(6 + 4) words */
#define NVM_SUM	       0xbabau /* 6.2.15 */
#define NVM_CHECKSUM   0x3fu

void igb_nvm_init(struct igb *g, const uint8_t mac[6])
{
	uint16_t sum = 0;

	for (unsigned i = 0; i < IGB_NVM_WORDS; i++)
		g->nvm[i] = 0xffff;
	for (unsigned i = 0; i < 3; i++) /* 6.2.1 */
		g->nvm[i] = (uint16_t)(mac[2 * i] | mac[2 * i + 1] << 8);
	g->nvm[0x03] = 0;      /* compatibility */
	g->nvm[0x04] = 0x8911; /* 6.4.2 ID LED: default on 0 */
	g->nvm[0x05] = 0x1051; /* 6.4.3 image version 1.5.1 */
	g->nvm[0x08] = 0xe32a; /* 6.4.4 PBA number, old form: E32A00-001 */
	g->nvm[0x09] = 0x0001;
	g->nvm[0x0a] = 0x406b; /* 6.2.2 init control 1 */
	g->nvm[0x0b] = 0xa03c; /* 6.2.3 subsystem */
	g->nvm[0x0c] = 0x8086;
	g->nvm[0x0d] = 0x10c9;
	g->nvm[0x0e] = 0x8086;
	g->nvm[0x0f] = 0x72c0; /* 6.2.7 init control 2 */
	g->nvm[0x10] = 0;      /* no second port: LAN 1 has no init section */
	g->nvm[0x11] = 0;
	g->nvm[0x14] = 0x0400; /* 6.2.17 init control 4 */
	g->nvm[0x18] = 0x6cfb; /* PCIe init configuration */
	g->nvm[0x19] = 0xc7a5;
	g->nvm[0x1a] = 0x0f4b;
	g->nvm[0x1b] = 0x0000;
	g->nvm[0x1e] = 0x0001; /* 6.2.22 device revision */
	g->nvm[0x20] = 0x0000; /* SDP control */
	g->nvm[0x24] = 0x0400; /* 6.2.24 init control 3: wake up enabled */
	g->nvm[0x37] = 0xffff; /* 6.2.27 alternate MAC address: none */
	g->nvm[NVM_CHECKSUM] = 0;
	for (unsigned i = 0; i < NVM_CHECKSUM; i++)
		sum = (uint16_t)(sum + g->nvm[i]);
	g->nvm[NVM_CHECKSUM] = (uint16_t)(NVM_SUM - sum);
}

void igb_nvm_load(struct igb *g)
{
	igb_put(g, IGB_RAL(0), g->nvm[0] | (uint32_t)g->nvm[1] << 16);
	igb_put(g, IGB_RAH(0), g->nvm[2] | RAH_AV);
	igb_put(g, IGB_EECD, igb_eecd(g, 0));
}

uint32_t igb_eecd(struct igb *g, uint32_t value)
{
	uint32_t v = EECD_PRES | EECD_AUTO_RD | NVM_SIZE_FIELD << EECD_SIZE_SHIFT;

	v |= EECD_DO | (value & (EECD_CLEAR & ~EECD_DO));
	if (value & EECD_REQ)
		v |= EECD_REQ | EECD_GNT;
	return v;
}

/* 8.4.2: START, and the word is there at once. */
uint32_t igb_eerd(struct igb *g, uint32_t value)
{
	uint32_t word = value >> 2 & 0x3fff;

	value &= 0xfffcu;
	if (word >= IGB_NVM_WORDS)
		return value | EERD_DONE | 0xffff0000u;
	return value | EERD_DONE | (uint32_t)g->nvm[word] << 16;
}
