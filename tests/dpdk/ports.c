/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/dpdk/ports.c: frames.h. */
#include "frames.h"

struct rte_mempool *pool;
char why[512];
const char *wrong;
bool longer;

bool port_setup(unsigned port, const struct setup *s)
{
	uint16_t queues = s->queues ? s->queues : 1, descs = s->descs ? s->descs : 512;
	struct rte_eth_conf conf = {
		.rxmode = { .offloads = s->rx, .mtu = s->mtu ? s->mtu : RTE_ETHER_MTU },
		.txmode = { .offloads = s->tx },
		.intr_conf = { .lsc = s->lsc, .rxq = s->rx_intr },
	};
	int ret;

	if (s->rss) {
		conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		conf.rx_adv_conf.rss_conf.rss_hf = s->rss;
		conf.rx_adv_conf.rss_conf.rss_key = (uint8_t *)(uintptr_t)s->key;
		conf.rx_adv_conf.rss_conf.rss_key_len = s->key ? 40 : 0;
	}
	rte_eth_dev_stop(port);
	ret = rte_eth_dev_configure(port, queues, queues, &conf);
	if (ret)
		NO("port %u: configure: %s", port, rte_strerror(-ret));
	for (uint16_t q = 0; q < queues; q++) {
		ret = rte_eth_rx_queue_setup(port, q, descs, 0, NULL, pool);
		if (!ret)
			ret = rte_eth_tx_queue_setup(port, q, descs, 0, NULL);
		if (ret)
			NO("port %u: queue %u: %s", port, q, rte_strerror(-ret));
	}
	ret = rte_eth_dev_start(port);
	if (ret)
		NO("port %u: start: %s", port, rte_strerror(-ret));
	rte_eth_promiscuous_enable(port);
	rte_eth_allmulticast_disable(port);
	return true;
}

bool both_setup(const struct setup *a, const struct setup *b)
{
	if (!port_setup(A, a) || !port_setup(B, b) || !wait_link(A, true) || !wait_link(B, true))
		return false;
	for (unsigned p = A; p < PORTS; p++) {
		drain(p);
		rte_eth_stats_reset(p);
		rte_eth_xstats_reset(p);
	}
	return true;
}

bool wait_link(unsigned port, bool up)
{
	struct rte_eth_link link = { 0 };

	for (int i = 0; i < 10000; i++) {
		if (!rte_eth_link_get_nowait(port, &link) && link.link_status == up)
			return true;
		rte_delay_us_sleep(1000);
	}
	NO("port %u: the link does not %s", port, up ? "come" : "go");
}

/* ---- sending and receiving ---- */

struct rte_mbuf *to_mbuf(const struct frame *f, const struct ask *ask)
{
	struct rte_mbuf *head = NULL, **last = &head, *m;
	unsigned done = 0, n;

	while (done < f->len) {
		m = rte_pktmbuf_alloc(pool);
		if (!m) {
			rte_pktmbuf_free(head);
			return NULL;
		}
		n = ask && ask->segment ? ask->segment : rte_pktmbuf_tailroom(m);
		n = RTE_MIN(n, f->len - done);
		memcpy(rte_pktmbuf_mtod(m, void *), f->at + done, n);
		m->data_len = (uint16_t)n;
		*last = m;
		last = &m->next;
		if (m != head)
			head->nb_segs++;
		done += n;
	}
	if (!head)
		return NULL;
	head->pkt_len = f->len;
	if (ask) {
		head->ol_flags = ask->flags;
		head->l2_len = ask->l2;
		head->l3_len = ask->l3;
		head->l4_len = ask->l4;
		head->tso_segsz = ask->mss;
		head->vlan_tci = ask->tci;
	}
	return head;
}

/*
 * One thing that is wrong on purpose, in the tenth frame that has it; true: it is not to be sent at
 * all.
 */
static bool spoil(struct rte_mbuf *m)
{
	static unsigned count;
	uint8_t *byte = rte_pktmbuf_mtod(m, uint8_t *);

	if (!wrong || ((*wrong == 'o' || *wrong == 't') && !m->ol_flags) || ++count != 10)
		return false;
	if (!strcmp(wrong, "bit"))
		byte[m->data_len - 1] ^= 1;
	else if (!strcmp(wrong, "length") && m->nb_segs == 1)
		m->data_len--, m->pkt_len--;
	else if (!strcmp(wrong, "lost"))
		return true;
	else if (!strcmp(wrong, "offload"))
		m->ol_flags = 0;
	else if (!strcmp(wrong, "tag"))
		m->vlan_tci ^= 1;
	return false;
}

bool send_one(unsigned port, uint16_t queue, const struct frame *f, const struct ask *ask)
{
	struct rte_mbuf *m = to_mbuf(f, ask);

	if (!m)
		NO("no mbuf to send");
	if (spoil(m)) {
		rte_pktmbuf_free(m);
		return true;
	}
	if (rte_eth_tx_prepare(port, queue, &m, 1) != 1) {
		rte_pktmbuf_free(m);
		NO("port %u: a frame of %u bytes was not prepared: %s", port, f->len,
		   rte_strerror(rte_errno));
	}
	for (int i = 0; i < 100000; i++) {
		if (rte_eth_tx_burst(port, queue, &m, 1))
			return true;
		if (i > 1000)
			rte_delay_us_sleep(100);
	}
	rte_pktmbuf_free(m);
	NO("port %u: the transmit ring stays full", port);
}

struct rte_mbuf *receive(unsigned port, uint16_t queue)
{
	uint64_t end = 0;
	struct rte_mbuf *m;

	/*
	 * it comes at once, but for another core that was taken away; what is made wrong on purpose
	 * does not come at all
	 */
	for (int i = 0; i < 1000 || rte_rdtsc() < end; i++) {
		if (rte_eth_rx_burst(port, queue, &m, 1))
			return m;
		if (i == 999)
			end = rte_rdtsc() + (wrong ? rte_get_tsc_hz() / 10 : 60 * rte_get_tsc_hz());
		if (i > 1000)
			rte_delay_us_sleep(100);
	}
	return NULL;
}

static unsigned queues_of(unsigned port)
{
	struct rte_eth_dev_info info;

	return rte_eth_dev_info_get(port, &info) ? 0 : info.nb_rx_queues;
}

bool nothing(unsigned port)
{
	struct rte_mbuf *m;

	for (uint16_t q = 0; q < queues_of(port); q++)
		if (rte_eth_rx_burst(port, q, &m, 1)) {
			snprintf(why, sizeof(why),
				 "port %u: a frame of %u bytes that should not have come", port,
				 m->pkt_len);
			rte_pktmbuf_free(m);
			return false;
		}
	return true;
}

void drain(unsigned port)
{
	struct rte_mbuf *m;

	for (uint16_t q = 0; q < queues_of(port); q++)
		while (rte_eth_rx_burst(port, q, &m, 1))
			rte_pktmbuf_free(m);
}

bool same(struct rte_mbuf *m, const struct frame *f)
{
	static uint8_t copy[FRAME_MAX];
	const uint8_t *got = rte_pktmbuf_read(m, 0, RTE_MIN(m->pkt_len, sizeof(copy)), copy);

	if (m->pkt_len != f->len)
		NO("a frame of %u bytes, not %u", m->pkt_len, f->len);
	for (unsigned i = 0; i < f->len; i++)
		if (got[i] != f->at[i])
			NO("byte %u of a frame of %u is %02x, not %02x", i, f->len, got[i],
			   f->at[i]);
	return true;
}

bool expect(unsigned port, uint16_t queue, const struct frame *f, struct rte_mbuf **keep)
{
	struct rte_mbuf *m = receive(port, queue);
	bool ok;

	if (!m)
		NO("port %u, queue %u: a frame of %u bytes did not come", port, queue, f->len);
	ok = same(m, f);
	if (ok && keep)
		*keep = m;
	else
		rte_pktmbuf_free(m);
	return ok;
}

/* Returns when the next frame may go. */
void paced(uint64_t *next, uint64_t per_second)
{
	while (rte_rdtsc() < *next)
		rte_pause();
	*next = rte_rdtsc() + rte_get_tsc_hz() / per_second;
}

/* ---- frames ---- */

static void fill(uint8_t *at, unsigned n, uint32_t number)
{
	uint32_t x = number * 2654435761u + 1;

	for (unsigned i = 0; i < n; i++) {
		x ^= x << 13;
		x ^= x >> 17;
		x ^= x << 5;
		at[i] = (uint8_t)x;
	}
}

unsigned to = B;

static uint8_t *ether(struct frame *f, uint16_t type)
{
	struct rte_ether_hdr *h = (void *)f->at;

	rte_eth_macaddr_get(to, &h->dst_addr);
	rte_eth_macaddr_get(!to, &h->src_addr);
	h->ether_type = rte_cpu_to_be_16(type);
	return f->at + sizeof(*h);
}

void frame_plain(struct frame *f, uint32_t number, uint16_t len)
{
	fill(ether(f, 0x88b5 /* IEEE 802, local experimental */), len - 14u, number);
	f->len = len;
}

unsigned l4_checksum_at(const struct frame *f, struct layout at)
{
	uint8_t proto = f->at[at.l2] >> 4 == 4 ? f->at[at.l2 + 9] : f->at[at.l2 + 6];
	unsigned l4 = at.l2 + at.l3;

	return proto == IPPROTO_TCP ? l4 + 16 : proto == IPPROTO_UDP ? l4 + 6 : 0;
}

void frame_checksums(struct frame *f, struct layout at)
{
	struct rte_ipv4_hdr *ip = (void *)(f->at + at.l2);
	void *l4 = f->at + at.l2 + at.l3;
	unsigned where = l4_checksum_at(f, at);
	uint16_t sum = 0;

	if (where)
		memcpy(f->at + where, &sum, 2);
	if (ip->version_ihl >> 4 == 4) {
		ip->hdr_checksum = 0;
		sum = rte_ipv4_udptcp_cksum(ip, l4);
		ip->hdr_checksum = rte_ipv4_cksum(ip);
	} else {
		sum = rte_ipv6_udptcp_cksum((void *)ip, l4);
	}
	if (where)
		memcpy(f->at + where, &sum, 2);
}

struct layout frame_ip(struct frame *f, const struct flow *flow, uint32_t number, uint16_t len)
{
	struct layout at = { 14, flow->v6 ? 40 : 20,
			     flow->proto == IPPROTO_TCP	  ? 20
			     : flow->proto == IPPROTO_UDP ? 8
							  : 0 };
	uint8_t *ip = ether(f, flow->v6 ? RTE_ETHER_TYPE_IPV6 : RTE_ETHER_TYPE_IPV4),
		*l4 = ip + at.l3;
	unsigned left = len - at.l2 - at.l3;

	f->len = len;
	if (flow->v6) {
		struct rte_ipv6_hdr *h = (void *)ip;
		uint32_t src = rte_cpu_to_be_32(flow->src), dst = rte_cpu_to_be_32(flow->dst);

		memset(h, 0, sizeof(*h));
		h->vtc_flow = rte_cpu_to_be_32(6u << 28);
		h->payload_len = rte_cpu_to_be_16((uint16_t)left);
		h->proto = flow->proto;
		h->hop_limits = 64;
		ip[8] = ip[24] = 0xfd;
		memcpy(ip + 20, &src, 4);
		memcpy(ip + 36, &dst, 4);
	} else {
		*(struct rte_ipv4_hdr *)ip = (struct rte_ipv4_hdr){
			.version_ihl = 0x45,
			.total_length = rte_cpu_to_be_16((uint16_t)(left + 20)),
			.packet_id = rte_cpu_to_be_16(flow->id),
			.time_to_live = 64,
			.next_proto_id = flow->proto,
			.src_addr = rte_cpu_to_be_32(flow->src),
			.dst_addr = rte_cpu_to_be_32(flow->dst),
		};
	}
	if (flow->proto == IPPROTO_TCP)
		*(struct rte_tcp_hdr *)l4 = (struct rte_tcp_hdr){
			.src_port = rte_cpu_to_be_16(flow->sport),
			.dst_port = rte_cpu_to_be_16(flow->dport),
			.sent_seq = rte_cpu_to_be_32(flow->seq),
			.data_off = 5 << 4,
			.tcp_flags = flow->tcp_flags,
			.rx_win = rte_cpu_to_be_16(1000),
		};
	else if (flow->proto == IPPROTO_UDP)
		*(struct rte_udp_hdr *)l4 = (struct rte_udp_hdr){
			.src_port = rte_cpu_to_be_16(flow->sport),
			.dst_port = rte_cpu_to_be_16(flow->dport),
			.dgram_len = rte_cpu_to_be_16((uint16_t)left),
		};
	fill(l4 + at.l4, left - at.l4, number);
	frame_checksums(f, at);
	return at;
}

void frame_tag(struct frame *f, uint16_t tci)
{
	memmove(f->at + 16, f->at + 12, f->len - 12u);
	f->at[12] = 0x81;
	f->at[13] = 0;
	f->at[14] = (uint8_t)(tci >> 8);
	f->at[15] = (uint8_t)tci;
	f->len += 4;
}
