/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/dpdk/frames.c: a DPDK program that knows what it sends: frames out of one port of two that
 * are back to back, looked at bit by bit at the other, with the device's offloads and without;
 * filters, queues, statistics, link, interrupts. One line a case. With --wrong it makes a mistake
 * on purpose, and must fail.
 *
 *     dpdk_frames EAL-OPTION... -- [--long] [--wrong bit|length|lost|swapped|offload|tag] [CASE]...
 */
#include "frames.h"

static struct frame f, g; /* too large for a stack */
const struct setup plain;
char note[128];

bool vfs;

/* ---- contents ---- */

bool counted(unsigned from, uint64_t n, uint64_t bytes)
{
	struct rte_eth_stats s, r;

	rte_eth_stats_get(from, &s);
	rte_eth_stats_get(!from, &r);
	if (vfs)
		bytes += RTE_ETHER_CRC_LEN * n;
	if (s.opackets != n || r.ipackets != n || s.obytes != bytes || r.ibytes != bytes)
		NO("port %u sent %ju frames, %ju bytes; port %u received %ju, %ju; not %ju, %ju",
		   from, s.opackets, s.obytes, !from, r.ipackets, r.ibytes, n, bytes);
	if (s.oerrors || r.ierrors || r.imissed || r.rx_nombuf)
		NO("errors: %ju sending, %ju receiving, %ju missed, %ju without mbuf", s.oerrors,
		   r.ierrors, r.imissed, r.rx_nombuf);
	return true;
}

static uint64_t xstat(unsigned port, const char *name)
{
	uint64_t id, value;

	if (rte_eth_xstats_get_id_by_name(port, name, &id) ||
	    rte_eth_xstats_get_by_id(port, &id, &value, 1) != 1)
		return UINT64_MAX;
	return value;
}

bool stream(unsigned from, uint16_t first, uint16_t last, unsigned step, unsigned rounds,
	    uint64_t rate, const struct ask *ask)
{
	uint64_t n = 0, bytes = 0, next = 0;
	uint32_t number = 0, back = 0;

	to = !from;
	for (unsigned r = 0; r < rounds; r++) {
		for (unsigned len = first; len <= last; len += step) {
			frame_plain(&f,
				    wrong && !strcmp(wrong, "swapped") && number / 2 == 5
					    ? number ^ 1
					    : number,
				    (uint16_t)len);
			paced(&next, rate);
			if (!send_one(from, 0, &f, ask))
				return false;
			n++;
			number++;
			bytes += len;
			if (number % 8 && len + step <= last)
				continue;
			/*
			 * what is expected is made again: the burst's first length is as many steps
			 * back
			 */
			for (unsigned i = number - back, l = len - (i - 1) * step; i;
			     i--, l += step) {
				frame_plain(&g, back++, (uint16_t)l);
				if (!expect(!from, 0, &g, NULL))
					return false;
			}
		}
	}
	snprintf(note, sizeof(note), "%ju frames each way", n);
	return nothing(!from) && counted(from, n, bytes);
}

static bool case_contents(void)
{
	unsigned rounds = longer ? 40 : 1;

	return both_setup(&plain, &plain) && stream(A, 60, 1514, 1, rounds, 200000, NULL) &&
	       stream(B, 60, 1514, 1, rounds, 200000, NULL);
}

/* The same in buffers that are too small for one frame, and out of ones that are. */
static bool case_jumbo(void)
{
	struct setup s = { .mtu = 9000,
			   .rx = RTE_ETH_RX_OFFLOAD_SCATTER,
			   .tx = RTE_ETH_TX_OFFLOAD_MULTI_SEGS };

	return both_setup(&s, &s) && stream(A, 60, 9014, longer ? 1 : 37, 1, 100000, NULL) &&
	       stream(B, 1515, 9014, 250, 1, 100000, NULL);
}

static bool case_segments(void)
{
	struct setup s = { .tx = RTE_ETH_TX_OFFLOAD_MULTI_SEGS };

	for (unsigned n = 1; n < 200; n = n * 3 / 2 + 1) /* at most 255 in a frame */
		if (!both_setup(&s, &s) || !stream(A, 60, (uint16_t)RTE_MIN(1514u, 250 * n), 31, 1,
						   100000, &(struct ask){ .segment = n }))
			return false;
	return true;
}

/* The classes of lengths, and the kinds of addresses, as both devices count them. */
static bool case_statistics(void)
{
	static const struct {
		const char *name;
		uint16_t len;
		unsigned n;
	} classes[] = {
		{ "64", 60, 3 },	   { "65_to_127", 61, 5 },	{ "128_to_255", 200, 7 },
		{ "256_to_511", 400, 11 }, { "512_to_1023", 1019, 13 }, { "1024_to_max", 1020, 17 }
	};
	uint64_t n = 0, bytes = 0;
	char name[64];

	if (!both_setup(&plain, &plain))
		return false;
	for (unsigned c = 0; c < RTE_DIM(classes); c++)
		for (unsigned i = 0; i < classes[c].n; i++, n++, bytes += classes[c].len) {
			frame_plain(&f, i, classes[c].len);
			if (i == 0)
				memset(f.at, 0xff, 6);
			else if (i == 1)
				f.at[0] |= 1;
			if (i == 1)
				rte_eth_allmulticast_enable(B);
			if (!send_one(A, 0, &f, NULL) || !expect(B, 0, &f, NULL))
				return false;
		}
	if (!counted(A, n, bytes))
		return false;
	for (unsigned c = 0; c < RTE_DIM(classes); c++)
		for (unsigned p = A; p < PORTS; p++) {
			snprintf(name, sizeof(name), "%s_size_%s_packets", p == A ? "tx" : "rx",
				 classes[c].name);
			if (xstat(p, name) != classes[c].n)
				NO("%s is %ju, not %u", name, xstat(p, name), classes[c].n);
		}
	WANT(xstat(A, "tx_broadcast_packets") == 6 && xstat(B, "rx_broadcast_packets") == 6);
	WANT(xstat(A, "tx_multicast_packets") == 6 && xstat(B, "rx_multicast_packets") == 6);
	rte_eth_stats_reset(A);
	rte_eth_stats_reset(B);
	return counted(A, 0, 0);
}

/* Wait until @port counted @n frames, those for which it had no room among them. */
static bool arrived(unsigned port, uint64_t n)
{
	uint64_t end = rte_rdtsc() + 60 * rte_get_tsc_hz();
	struct rte_eth_stats s;

	do {
		if (rte_eth_stats_get(port, &s))
			break;
		if (s.ipackets + s.imissed == n)
			return true;
		rte_delay_us_sleep(1000);
	} while (rte_rdtsc() < end);
	NO("%ju of %ju came, %ju were missed", s.ipackets, n, s.imissed);
}

/*
 * More than the ring holds, and nobody empties it: what did not fit is counted, and the rest is
 * good and in order.
 */
static bool case_overrun(void)
{
	struct setup s = { .descs = 128 };
	struct rte_eth_stats r;
	uint32_t got = 0;

	if (!both_setup(&s, &s))
		return false;
	for (uint32_t i = 0; i < 1000; i++) {
		frame_plain(&f, i, 100);
		if (!send_one(A, 0, &f, NULL))
			return false;
	}
	if (!arrived(B, 1000))
		return false;
	for (struct rte_mbuf *m; rte_eth_rx_burst(B, 0, &m, 1); got++) {
		bool ok;

		frame_plain(&g, got, 100);
		ok = same(m, &g);
		rte_pktmbuf_free(m);
		if (!ok)
			return false;
	}
	rte_eth_stats_get(B, &r);
	if (!got || got > 128 || r.ipackets != got || r.imissed != 1000 - got)
		NO("%u came of 1000, %ju counted, %ju missed", got, r.ipackets, r.imissed);
	frame_plain(&f, 1, 60);
	return send_one(A, 0, &f, NULL) && expect(B, 0, &f, NULL);
}

/* ---- offloads ---- */

#define TX_SUMS                                                         \
	(RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM | \
	 RTE_ETH_TX_OFFLOAD_TCP_CKSUM)
#define RX_SUMS                                                         \
	(RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM | \
	 RTE_ETH_RX_OFFLOAD_TCP_CKSUM)

static struct flow flow_of(unsigned i)
{
	return (struct flow){ .v6 = i & 1,
			      .proto = i & 2 ? IPPROTO_TCP : IPPROTO_UDP,
			      .src = 0x0a000001 + i * 77,
			      .dst = 0xc6120001 + i * 3,
			      .sport = (uint16_t)(1024 + i * 13),
			      .dport = (uint16_t)(80 + i),
			      .seq = i * 100000007u,
			      .tcp_flags = RTE_TCP_ACK_FLAG,
			      .id = (uint16_t)(i * 31) };
}

static uint64_t sums_of(const struct flow *fl)
{
	return (fl->v6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM) |
	       (fl->proto == IPPROTO_TCP ? RTE_MBUF_F_TX_TCP_CKSUM : RTE_MBUF_F_TX_UDP_CKSUM);
}

static bool flags_are(struct rte_mbuf *m, uint64_t mask, uint64_t flags)
{
	bool ok = (m->ol_flags & mask) == flags;

	if (!ok)
		snprintf(why, sizeof(why), "receive flags 0x%jx, not 0x%jx", m->ol_flags & mask,
			 flags);
	rte_pktmbuf_free(m);
	return ok;
}

/*
 * A frame without its sums leaves, one with the sums that software makes arrives, and the receiver
 * finds them good.
 */
static bool case_checksums(void)
{
	const uint64_t l4 = RTE_MBUF_F_RX_L4_CKSUM_MASK, ip = RTE_MBUF_F_RX_IP_CKSUM_MASK;
	struct setup s = { .rx = RX_SUMS, .tx = TX_SUMS };
	unsigned n = longer ? 5000 : 400;
	struct rte_mbuf *m;

	if (!both_setup(&s, &s))
		return false;
	for (unsigned i = 0; i < n; i++) {
		struct flow fl = flow_of(i);
		uint16_t len = (uint16_t)(80 + i * 7 % 1400), zero = 0;
		struct layout at = frame_ip(&g, &fl, i, len);
		struct ask ask = { .flags = sums_of(&fl), .l2 = at.l2, .l3 = at.l3, .l4 = at.l4 };
		unsigned where = l4_checksum_at(&g, at);

		f = g;
		memcpy(f.at + where, &zero, 2);
		if (!fl.v6)
			memcpy(f.at + at.l2 + 10, &zero, 2);
		if (!send_one(A, 0, &f, &ask) || !expect(B, 0, &g, &m))
			return false;
		if (!flags_are(m, l4 | (fl.v6 ? 0 : ip),
			       RTE_MBUF_F_RX_L4_CKSUM_GOOD |
				       (fl.v6 ? 0 : RTE_MBUF_F_RX_IP_CKSUM_GOOD)))
			return false;
		/* without offload: as it is, good and bad, and the receiver says which */
		if (!send_one(A, 0, &g, NULL) || !expect(B, 0, &g, &m) ||
		    !flags_are(m, l4, RTE_MBUF_F_RX_L4_CKSUM_GOOD))
			return false;
		g.at[len - 1] ^= 0x40;
		if (!send_one(A, 0, &g, NULL) || !expect(B, 0, &g, &m) ||
		    !flags_are(m, l4 | (fl.v6 ? 0 : ip),
			       RTE_MBUF_F_RX_L4_CKSUM_BAD |
				       (fl.v6 ? 0 : RTE_MBUF_F_RX_IP_CKSUM_GOOD)))
			return false;
		if (fl.v6)
			continue;
		g.at[at.l2 + 1] ^= 1;
		if (!send_one(A, 0, &g, NULL) || !expect(B, 0, &g, &m) ||
		    !flags_are(m, ip, RTE_MBUF_F_RX_IP_CKSUM_BAD))
			return false;
	}
	snprintf(note, sizeof(note), "%u frames of IPv4 and IPv6, UDP and TCP", n);
	return true;
}

/* Make the @segment'th frame that must come of f, the large one. */
static uint16_t segment_of(const struct flow *fl, const struct layout *at, unsigned mss,
			   unsigned segment)
{
	unsigned head = at->l2 + at->l3 + at->l4, done = segment * mss, n = f.len - head - done;
	struct rte_tcp_hdr *tcp = (void *)(g.at + at->l2 + at->l3);
	bool last = n <= mss;

	if (!last)
		n = mss;
	memcpy(g.at, f.at, head);
	memcpy(g.at + head, f.at + head + done, n);
	g.len = (uint16_t)(head + n);
	if (fl->v6) {
		((struct rte_ipv6_hdr *)(g.at + at->l2))->payload_len =
			rte_cpu_to_be_16((uint16_t)(at->l4 + n));
	} else {
		((struct rte_ipv4_hdr *)(g.at + at->l2))->total_length =
			rte_cpu_to_be_16((uint16_t)(at->l3 + at->l4 + n));
		((struct rte_ipv4_hdr *)(g.at + at->l2))->packet_id =
			rte_cpu_to_be_16((uint16_t)(fl->id + segment));
	}
	tcp->sent_seq = rte_cpu_to_be_32(fl->seq + done);
	if (!last)
		tcp->tcp_flags &= (uint8_t) ~(RTE_TCP_FIN_FLAG | RTE_TCP_PSH_FLAG);
	frame_checksums(&g, *at);
	return last;
}

static bool case_tso(void)
{
	static const unsigned sizes[] = { 1500, 2897, 8000, 20001, 60000 };
	struct setup s = { .rx = RX_SUMS | RTE_ETH_RX_OFFLOAD_VLAN_STRIP,
			   .tx = TX_SUMS | RTE_ETH_TX_OFFLOAD_TCP_TSO |
				 RTE_ETH_TX_OFFLOAD_MULTI_SEGS | RTE_ETH_TX_OFFLOAD_VLAN_INSERT };
	unsigned frames = 0;
	struct rte_mbuf *m;

	if (!both_setup(&s, &s))
		return false;
	for (unsigned i = 0; i < (longer ? 400 : 40); i++) {
		struct flow fl = flow_of(i | 2);
		unsigned mss = i % 3 ? 1400 : 536 + i, segment = 0;
		bool tag = i % 4 == 3, last = false;
		struct layout at;
		struct ask ask;

		fl.tcp_flags |= RTE_TCP_PSH_FLAG | RTE_TCP_FIN_FLAG;
		at = frame_ip(&f, &fl, i, (uint16_t)(sizes[i % 5] + i));
		ask = (struct ask){ .flags = sums_of(&fl) | RTE_MBUF_F_TX_TCP_SEG |
					     (tag ? RTE_MBUF_F_TX_VLAN : 0),
				    .l2 = at.l2,
				    .l3 = at.l3,
				    .l4 = at.l4,
				    .mss = mss,
				    .tci = 0x2000 | i };
		if (!send_one(A, 0, &f, &ask))
			return false;
		for (; !last; segment++, frames++) {
			last = segment_of(&fl, &at, mss, segment);
			if (!expect(B, 0, &g, &m))
				return false;
			if (tag && m->vlan_tci != ask.tci)
				NO("a segment with the tag %04x, not %04x", m->vlan_tci, ask.tci);
			if (!flags_are(m, RTE_MBUF_F_RX_L4_CKSUM_MASK | RTE_MBUF_F_RX_VLAN_STRIPPED,
				       RTE_MBUF_F_RX_L4_CKSUM_GOOD |
					       (tag ? RTE_MBUF_F_RX_VLAN_STRIPPED : 0)))
				return false;
		}
		if (!nothing(B))
			return false;
	}
	snprintf(note, sizeof(note), "%u segments", frames);
	return true;
}

/*
 * Inserted by the device or in the frame; taken out or left there, whether or not the sender's
 * device strips, too.
 */
static bool case_vlan(void)
{
	struct setup stripping = { .rx = RTE_ETH_RX_OFFLOAD_VLAN_STRIP,
				   .tx = RTE_ETH_TX_OFFLOAD_VLAN_INSERT };
	struct setup tagging = { .tx = RTE_ETH_TX_OFFLOAD_VLAN_INSERT };
	struct rte_mbuf *m;

	for (int way = 0; way < 4; way++) {
		bool strip = way & 1;

		if (!both_setup(way & 2 ? &stripping : &tagging, strip ? &stripping : &plain))
			return false;
		for (unsigned i = 0; i < 100; i++) {
			uint16_t tci = (uint16_t)(i * 2654435761u >> 16),
				 len = (uint16_t)(60 + i * 14);
			struct ask ask = { .flags = RTE_MBUF_F_TX_VLAN, .tci = tci };

			frame_plain(&f, i, len);
			g = f;
			frame_tag(&g, tci);
			/* by the device, then by software: on the wire they are one */
			for (int hard = 0; hard < 2; hard++) {
				if (!send_one(A, 0, hard ? &f : &g, hard ? &ask : NULL) ||
				    !expect(B, 0, strip ? &f : &g, &m))
					return false;
				if (strip && m->vlan_tci != tci)
					NO("the tag %04x, not %04x", m->vlan_tci, tci);
				if (!flags_are(m, RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED,
					       strip ? RTE_MBUF_F_RX_VLAN |
							       RTE_MBUF_F_RX_VLAN_STRIPPED
						     : 0))
					return false;
			}
			if (!send_one(A, 0, &f, NULL) || !expect(B, 0, &f, &m) ||
			    !flags_are(m, RTE_MBUF_F_RX_VLAN_STRIPPED, 0))
				return false;
		}
	}
	return true;
}

/* ---- filters ---- */

/*
 * What is in f is received, or not. A read of the receiver says that the writes before it are done,
 * which on their way have no order with those to the sender; and a frame behind it, for all, that
 * it was looked at.
 */
static bool comes(bool should)
{
	struct rte_eth_link link;

	WANT(!rte_eth_link_get_nowait(B, &link));
	frame_plain(&g, 0, 60);
	memset(g.at, 0xff, 6);
	return send_one(A, 0, &f, NULL) && send_one(A, 0, &g, NULL) &&
	       (!should || expect(B, 0, &f, NULL)) && expect(B, 0, &g, NULL) && nothing(B);
}

static bool case_vlan_filter(void)
{
	struct setup s = { .rx = RTE_ETH_RX_OFFLOAD_VLAN_FILTER };
	static const uint16_t ids[] = { 1, 31, 32, 100, 2048, 4094 };

	if (!both_setup(&plain, &s))
		return false;
	for (unsigned on = 0; on < 3; on++) { /* none, listed, taken away */
		for (unsigned i = 0; i < RTE_DIM(ids); i++)
			if (on && rte_eth_dev_vlan_filter(B, ids[i], on == 1))
				NO("VLAN %u cannot be listed", ids[i]);
		for (unsigned id = 0; id < 4096; id += id < 110 || longer ? 1 : 61) {
			bool listed = false;

			for (unsigned i = 0; i < RTE_DIM(ids); i++)
				listed |= on == 1 && ids[i] == id;
			/* promiscuous: the driver switches the filter off while it is */
			rte_eth_promiscuous_disable(B);
			frame_plain(&f, id, 80);
			frame_tag(&f, (uint16_t)(id | 0x6000));
			if (!comes(listed))
				return false;
		}
	}
	frame_plain(&f, 1, 80);
	return comes(true);
}

static bool case_addresses(void)
{
	struct rte_ether_addr own, other = { { 0x02, 1, 2, 3, 4, 5 } },
				   groups[3] = { { { 1, 0, 0x5e, 0, 0, 1 } },
						 { { 0x33, 0x33, 0, 0, 0x12, 0x34 } },
						 { { 1, 0, 0x5e, 9, 9, 9 } } },
				   added = { { 0x02, 9, 9, 9, 9, 9 } };

	if (!both_setup(&plain, &plain))
		return false;
#define TO(address, should)                      \
	do {                                     \
		frame_plain(&f, __LINE__, 60);   \
		memcpy(f.at, &(address), 6);     \
		if (!comes(should))              \
			NO("line %d", __LINE__); \
	} while (0)
	rte_eth_macaddr_get(B, &own);
	WANT(!rte_eth_promiscuous_disable(B));
	TO(own, true);
	TO(other, false);
	TO(((struct rte_ether_addr){ { 255, 255, 255, 255, 255, 255 } }), true);
	for (int i = 0; i < 3; i++)
		TO(groups[i], false);
	WANT(!rte_eth_dev_set_mc_addr_list(B, groups, 2));
	TO(groups[0], true);
	TO(groups[1], true);
	TO(groups[2], false);
	WANT(!rte_eth_dev_set_mc_addr_list(B, groups + 2, 1));
	TO(groups[0], false);
	TO(groups[2], true);
	WANT(!rte_eth_allmulticast_enable(B));
	TO(groups[1], true);
	TO(other, false);
	WANT(!rte_eth_allmulticast_disable(B));
	TO(groups[1], false);
	WANT(!rte_eth_dev_mac_addr_add(B, &added, 0) && !rte_eth_dev_mac_addr_add(B, &other, 0));
	TO(added, true);
	TO(other, true);
	WANT(!rte_eth_dev_mac_addr_remove(B, &other));
	TO(other, false);
	TO(added, true);
	WANT(!rte_eth_dev_default_mac_addr_set(B, &other));
	TO(other, true);
	TO(own, false);
	WANT(!rte_eth_dev_default_mac_addr_set(B, &own) && !rte_eth_dev_mac_addr_remove(B, &added));
	TO(own, true);
	TO(added, false);
	WANT(!rte_eth_promiscuous_enable(B));
	TO(other, true);
	TO(groups[1], true);
	return true;
}

/* Many flows; the hash is that of software, and the queue the one that the table names for it. */
static bool case_rss(void)
{
	static uint8_t key[40];
	struct setup s = { .queues = 4,
			   .rx = RTE_ETH_RX_OFFLOAD_RSS_HASH,
			   .key = key,
			   .rss = RTE_ETH_RSS_IPV4 | RTE_ETH_RSS_IPV6 |
				  RTE_ETH_RSS_NONFRAG_IPV4_TCP | RTE_ETH_RSS_NONFRAG_IPV4_UDP |
				  RTE_ETH_RSS_IPV6_TCP_EX | RTE_ETH_RSS_NONFRAG_IPV6_TCP |
				  RTE_ETH_RSS_NONFRAG_IPV6_UDP };
	struct rte_eth_rss_reta_entry64 reta[2] = { { .mask = UINT64_MAX },
						    { .mask = UINT64_MAX } };
	unsigned n = longer ? 20000 : 1000, per_queue[4] = { 0 };
	struct rte_mbuf *m;

	for (unsigned i = 0; i < 40; i++)
		key[i] = (uint8_t)(i * 151 + 7);
	if (!both_setup(&plain, &s))
		return false;
	for (unsigned i = 0; i < 128; i++)
		reta[i / 64].reta[i % 64] = (uint16_t)(i * 7 / 3 % 4);
	WANT(!rte_eth_dev_rss_reta_update(B, reta, 128));
	for (unsigned i = 0; i < n; i++) {
		struct flow fl = flow_of(i);
		uint32_t tuple[9], want, words;
		uint16_t queue;

		if (i % 7 == 0)
			fl.proto = 47; /* GRE: addresses alone */
		frame_ip(&f, &fl, i, 100);
		/* softrss wants the fields in the host's order, as they lie in the packet */
		words = fl.v6 ? 8 : 2;
		for (unsigned w = 0; w < words + 1; w++) {
			memcpy(&tuple[w], f.at + 14 + (fl.v6 ? 8 : 12) + 4 * w, 4);
			tuple[w] = rte_be_to_cpu_32(tuple[w]);
		}
		want = rte_softrss(tuple, words + (fl.proto != 47), key);
		queue = reta[want % 128 / 64].reta[want % 64];
		if (!send_one(A, 0, &f, NULL) || !expect(B, queue, &f, &m))
			return false;
		if (m->hash.rss != want)
			NO("flow %u: hash %08x, not %08x", i, m->hash.rss, want);
		if (!flags_are(m, RTE_MBUF_F_RX_RSS_HASH, RTE_MBUF_F_RX_RSS_HASH))
			return false;
		per_queue[queue]++;
	}
	frame_plain(&f, 1, 60); /* no IP: the first queue, no hash */
	if (!send_one(A, 0, &f, NULL) || !expect(B, 0, &f, NULL))
		return false;
	for (unsigned q = 0; q < 4; q++)
		if (per_queue[q] < n / 16)
			NO("queue %u had %u flows of %u", q, per_queue[q], n);
	snprintf(note, sizeof(note), "%u flows: %u, %u, %u, %u", n, per_queue[0], per_queue[1],
		 per_queue[2], per_queue[3]);
	return true;
}

/* ---- all of it ---- */

static const struct {
	const char *name;
	bool (*run)(void);
	bool asked; /* only when it is asked for: it wants another program at the other ends */
} cases[] = {
	{ "contents", case_contents, false },
	{ "jumbo", case_jumbo, false },
	{ "segments", case_segments, false },
	{ "statistics", case_statistics, false },
	{ "overrun", case_overrun, false },
	{ "checksums", case_checksums, false },
	{ "tso", case_tso, false },
	{ "vlan", case_vlan, false },
	{ "vlan_filter", case_vlan_filter, false },
	{ "addresses", case_addresses, false },
	{ "rss", case_rss, false },
	{ "both_ways", case_both_ways, false },
	{ "rx_interrupts", case_interrupts, false },
	{ "link", case_link, false },
	{ "restart", case_restart, false },
	{ "routed", case_routed, true },
};

int main(int argc, char **argv)
{
	int used = rte_eal_init(argc, argv), passed = 0, failed = 0;
	struct rte_eth_dev_info info;
	bool all = true;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (used < 0)
		rte_exit(1, "EAL: %s\n", rte_strerror(rte_errno));
	argc -= used;
	argv += used;
	if (rte_eth_dev_count_avail() != PORTS || rte_eth_dev_info_get(A, &info))
		rte_exit(1, "%u ports, not 2\n", rte_eth_dev_count_avail());
	vfs = strstr(info.driver_name, "_vf");
	pool = rte_pktmbuf_pool_create("frames", 16383, 64, 0, RTE_MBUF_DEFAULT_BUF_SIZE,
				       SOCKET_ID_ANY);
	if (!pool)
		rte_exit(1, "no memory for mbufs\n");
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--long"))
			longer = true;
		else if (!strcmp(argv[i], "--wrong") && i + 1 < argc)
			wrong = argv[++i];
		else
			all = false;
	}
	for (unsigned c = 0; c < RTE_DIM(cases); c++) {
		bool chosen = all && !cases[c].asked;

		for (int i = 1; i < argc; i++)
			chosen |= !strcmp(argv[i], cases[c].name);
		if (!chosen)
			continue;
		why[0] = note[0] = '\0';
		to = B;
		if (cases[c].run()) {
			passed++;
			printf("ok   %s%s%s\n", cases[c].name, note[0] ? ": " : "", note);
		} else {
			failed++;
			printf("FAIL %s: %s\n", cases[c].name, why);
		}
	}
	for (unsigned p = A; p < PORTS; p++) {
		rte_eth_dev_stop(p);
		rte_eth_dev_close(p);
	}
	rte_eal_cleanup();
	printf("%d passed, %d failed\n", passed, failed);
	return failed || !passed;
}
