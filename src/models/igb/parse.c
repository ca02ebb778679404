/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/igb/parse.c: the protocols of a frame that came in: packet types and length of its headers
 * (82576 datasheet, 7.1.6, 7.1.10), checksums (7.1.11), and the hash of receive side scaling
 * (7.1.2.8).
 */
#include <string.h>

#include "models/igb/internal.h"

#define ETH_IPV4 0x0800u
#define ETH_IPV6 0x86ddu

/* Bits of MRQC: which fields are hashed. 8.10.16 */
enum rss_field {
	RSS_TCP4 = 16,
	RSS_IP4 = 17,
	RSS_TCP6EX = 18,
	RSS_IP6EX = 19,
	RSS_IP6 = 20,
	RSS_TCP6 = 21,
	RSS_UDP4 = 22,
	RSS_UDP6 = 23,
};

/* RFC 8200, 4: next headers that are extensions */
enum {
	IPV6_HOP_BY_HOP = 0,
	IPV6_ROUTING = 43,
	IPV6_FRAGMENT = 44,
	IPV6_NONE = 59,
	IPV6_OPTIONS = 60,
};

static uint32_t toeplitz(struct igb *g, const uint8_t *in, size_t n)
{
	uint8_t key[40];
	uint32_t hash = 0, window;

	for (unsigned i = 0; i < 10; i++) {
		uint32_t k = igb_get(g, IGB_RSSRK + 4 * i);

		memcpy(key + 4 * i, &k, 4); /* the first byte of the key in bits 7:0 */
	}
	window = igb_be32(key);
	for (size_t i = 0; i < n; i++) {
		for (unsigned b = 0; b < 8; b++) {
			if (in[i] << b & 0x80)
				hash ^= window;
			window = window << 1 | (key[i + 4] << b >> 7 & 1);
		}
	}
	return hash;
}

static void rss(struct igb *g, const uint8_t *f, struct igb_parsed *p)
{
	uint32_t mrqc = igb_get(g, IGB_MRQC);
	size_t alen = p->ptype & PTYPE_IPV4 ? 8 : 32;
	const uint8_t *addr = f + p->ip + (alen == 8 ? 12 : 8);
	bool v4 = alen == 8, tcp = p->ptype & PTYPE_TCP, udp = p->ptype & PTYPE_UDP;
	uint8_t in[36];

	if ((MRQC_MODE(mrqc) != MRQC_RSS && MRQC_MODE(mrqc) != MRQC_VMDQ_RSS) ||
	    !(p->ptype & (PTYPE_IPV4 | PTYPE_IPV6)))
		return;
	memcpy(in, addr, alen);
	if (!p->fragment && (tcp || udp))
		memcpy(in + alen, f + p->l4, 4);
	if (!p->fragment && tcp && mrqc >> (v4 ? RSS_TCP4 : RSS_TCP6) & 1)
		p->rss_type = v4 ? 1 : 3;
	else if (!p->fragment && tcp && !v4 && mrqc >> RSS_TCP6EX & 1)
		p->rss_type = 6;
	else if (!p->fragment && udp && mrqc >> (v4 ? RSS_UDP4 : RSS_UDP6) & 1)
		p->rss_type = v4 ? 7 : 8;
	else if (mrqc >> (v4 ? RSS_IP4 : RSS_IP6) & 1)
		p->rss_type = v4 ? 2 : 5;
	else if (!v4 && mrqc >> RSS_IP6EX & 1)
		p->rss_type = 4;
	else
		return;
	if (p->rss_type != 2 && p->rss_type != 4 && p->rss_type != 5)
		alen += 4;
	p->hash = toeplitz(g, in, alen);
}

static void checksums(struct igb *g, const uint8_t *f, struct igb_parsed *p)
{
	uint32_t rxcsum = igb_get(g, IGB_RXCSUM), sum;
	size_t n = p->end - p->l4;
	const uint8_t *l4 = f + p->l4;

	if (p->ptype & PTYPE_IPV4 && rxcsum & RXCSUM_IPOFL) {
		p->status |= RXD_IPCS;
		if (igb_fold(igb_sum(f + p->ip, p->l4 - p->ip, 0)) != 0xffff)
			p->status |= RXD_IPE;
	}
	if (!(rxcsum & RXCSUM_TUOFL) || p->fragment)
		return;
	if (p->ptype & PTYPE_SCTP) {
		uint8_t zero[4] = { 0 }, copy[IGB_FRAME_MAX];
		uint32_t have = l4[8] | (uint32_t)l4[9] << 8 | (uint32_t)l4[10] << 16 |
				(uint32_t)l4[11] << 24;

		if (n > sizeof(copy))
			return;
		memcpy(copy, l4, n);
		memcpy(copy + 8, zero, 4);
		p->status |= RXD_L4CS;
		if (igb_crc32c(copy, n) != have)
			p->status |= RXD_L4E;
		return;
	}
	if (!(p->ptype & (PTYPE_TCP | PTYPE_UDP)))
		return;
	if (p->ptype & PTYPE_UDP) {
		if (igb_be16(l4 + 4) < 8 || igb_be16(l4 + 4) > n)
			return;
		n = igb_be16(l4 + 4);
		if (!igb_be16(l4 + 6))
			return; /* the sender made none */
		p->status |= RXD_UDPCS;
	}
	sum = p->proto + (uint32_t)n;
	sum = p->ptype & PTYPE_IPV4 ? igb_sum(f + p->ip + 12, 8, sum)
				    : igb_sum(f + p->ip + 8, 32, sum);
	p->status |= RXD_L4CS;
	if (igb_fold(igb_sum(l4, n, sum)) != 0xffff)
		p->status |= RXD_L4E;
}

/* Fill in what the IPv4 header at @at says; false if it is cut short or odd. */
static bool parse_ipv4(const uint8_t *f, size_t at, size_t left, struct igb_parsed *p)
{
	const uint8_t *h = f + at;
	size_t hl;

	if (left < 20 || h[0] >> 4 != 4)
		return false;
	hl = (h[0] & 15u) * 4;
	if (hl < 20 || hl > left || igb_be16(h + 2) < hl || igb_be16(h + 2) > left)
		return false;
	p->ptype = PTYPE_IPV4 | (hl > 20 ? PTYPE_IPV4E : 0);
	p->fragment = igb_be16(h + 6) & 0x3fff;
	p->ip_id = igb_be16(h + 4);
	p->proto = h[9];
	p->end = at + igb_be16(h + 2);
	p->l4 = at + hl;
	if (p->fragment) {
		p->psr = PSR_IPV4_FRAGMENT;
		p->header = p->l4;
	}
	return true;
}

/* Fill in what the IPv6 header at @at and its extensions say; false if it is cut short or odd. */
static bool parse_ipv6(const uint8_t *f, size_t at, size_t left, struct igb_parsed *p)
{
	const uint8_t *h = f + at;
	size_t ext;

	if (left < 40 || h[0] >> 4 != 6 || igb_be16(h + 4) > left - 40)
		return false;
	p->ptype = PTYPE_IPV6;
	p->end = at + 40 + igb_be16(h + 4);
	p->l4 = at + 40;
	p->proto = h[6];
	while (p->proto == IPV6_HOP_BY_HOP || p->proto == IPV6_ROUTING ||
	       p->proto == IPV6_OPTIONS || p->proto == IPV6_FRAGMENT) {
		if (p->end - p->l4 < 8) {
			p->proto = IPV6_NONE;
			break;
		}
		p->ptype |= PTYPE_IPV6E;
		ext = p->proto == IPV6_FRAGMENT ? 8 : (f[p->l4 + 1] + 1u) * 8;
		if (p->proto == IPV6_FRAGMENT && igb_be16(f + p->l4 + 2) & 0xfff9) {
			p->fragment = true;
			p->psr = PSR_IPV6_FRAGMENT;
			p->header = p->l4;
		}
		if (ext > p->end - p->l4) {
			p->proto = IPV6_NONE;
			break;
		}
		p->proto = f[p->l4];
		p->l4 += ext;
	}
	return true;
}

/* Fill in the packet types and the length of the headers: of what is cut short or odd, none. */
static void parse_ip(const uint8_t *f, size_t len, size_t at, unsigned type, struct igb_parsed *p)
{
	bool v4 = type == ETH_IPV4;
	size_t hl;

	p->ip = at;
	if (!(v4		 ? parse_ipv4(f, at, len - at, p)
	      : type == ETH_IPV6 ? parse_ipv6(f, at, len - at, p)
				 : false))
		return;
	if (p->fragment)
		return;
	if (p->proto == 6 && p->end - p->l4 >= 20) {
		p->ptype |= PTYPE_TCP;
		hl = (f[p->l4 + 12] >> 4) * 4u;
		if (hl < 20 || hl > p->end - p->l4)
			return;
		p->psr = v4 ? PSR_IPV4_TCP : PSR_IPV6_TCP;
		p->header = p->l4 + hl;
	} else if (p->proto == 17 && p->end - p->l4 >= 8) {
		p->ptype |= PTYPE_UDP;
		p->psr = v4 ? PSR_IPV4_UDP : PSR_IPV6_UDP;
		p->header = p->l4 + 8;
	} else if (p->proto == 132 && p->end - p->l4 >= 12) {
		p->ptype |= PTYPE_SCTP;
	}
}

void igb_parse(struct igb *g, const uint8_t *f, size_t len, struct igb_parsed *p)
{
	size_t at;

	memset(p, 0, sizeof(*p));
	igb_tags(g, f, len, &p->tags);
	if (p->tags.outer)
		p->status |= RXD_VEXT;
	at = p->tags.type;
	if (!at)
		return; /* 7.4.5: no offloads either */
	parse_ip(f, len, at + 2, igb_be16(f + at), p);
	if (p->ptype) {
		checksums(g, f, p);
		rss(g, f, p);
	}
}
