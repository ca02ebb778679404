/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/dpdk/events.c: the cases of frames.c in which something happens meanwhile: another core,
 * interrupts, the link, a restart.
 */
#include <stdatomic.h>
#include <time.h>

#include "frames.h"

static struct frame f, g;
static atomic_uint go, done;
static atomic_bool ended;
static atomic_int links;

static bool launch(lcore_function_t *fn, void *arg)
{
	unsigned core = rte_get_next_lcore(-1, 1, 0);

	ended = false;
	go = done = 0;
	WANT(core < RTE_MAX_LCORE && !rte_eal_remote_launch(fn, arg, core));
	return true;
}

static bool join(bool ok)
{
	ended = true;
	rte_eal_mp_wait_lcore();
	return ok;
}

/* ---- two cores ---- */

/* Sends back what comes to B, from B to A. */
static int echo(void *arg)
{
	struct rte_mbuf *m[32];

	while (!ended) {
		uint16_t n = rte_eth_rx_burst(B, 0, m, 32);

		for (uint16_t i = 0; i < n; i++) {
			struct rte_ether_hdr *h = rte_pktmbuf_mtod(m[i], struct rte_ether_hdr *);
			struct rte_ether_addr a = h->src_addr;

			h->src_addr = h->dst_addr;
			h->dst_addr = a;
		}
		for (uint16_t sent = 0; sent < n;)
			sent += rte_eth_tx_burst(B, 0, m + sent, n - sent);
	}
	return 0;
}

static bool echoed(unsigned n, uint64_t *bytes)
{
	uint64_t next = 0;
	unsigned sent = 0;

	for (unsigned got = 0; got < n;) {
		struct rte_mbuf *m;
		uint8_t mac[6];
		bool ok;

		/*
		 * below the limit, and never more on the way than the rings hold however long a
		 * core is taken away
		 */
		if (sent < n && sent - got < 64) {
			paced(&next, 500000);
			frame_plain(&f, sent, (uint16_t)(60 + sent % 700));
			if (!send_one(A, 0, &f, NULL))
				return false;
			sent++;
			*bytes += f.len;
		}
		if (!rte_eth_rx_burst(A, 0, &m, 1)) {
			if (sent < n && sent - got < 64)
				continue;
			m = receive(A, 0);
			if (!m)
				NO("of %u frames %u came back", sent, got);
		}
		frame_plain(&g, got, (uint16_t)(60 + got % 700));
		memcpy(mac, g.at, 6);
		memcpy(g.at, g.at + 6, 6);
		memcpy(g.at + 6, mac, 6);
		ok = same(m, &g);
		rte_pktmbuf_free(m);
		if (!ok)
			return false;
		got++;
	}
	return true;
}

bool case_both_ways(void)
{
	unsigned n = longer ? 5000000 : 50000;
	uint64_t bytes = 0;

	if (!both_setup(&plain, &plain) || !launch(echo, NULL) || !join(echoed(n, &bytes)))
		return false;
	snprintf(note, sizeof(note), "%u frames there and back", n);
	return counted(A, n, bytes) && counted(B, n, bytes);
}

/* ---- receive interrupts ---- */

static uint64_t now_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static struct flow udp(unsigned round)
{
	return (struct flow){ .proto = IPPROTO_UDP,
			      .src = 0x0a000001 + round,
			      .dst = 0x0a000002,
			      .sport = 1,
			      .dport = 2 };
}

/*
 * When told that the reader is about to sleep: waits a moment, longer or shorter, and sends some.
 */
static int waker(void *arg)
{
	static struct frame mine;

	for (unsigned round = 0; !ended;) {
		if (go == round) {
			rte_delay_us_sleep(20);
			continue;
		}
		rte_delay_us_sleep(round * 131 % 2000);
		for (unsigned i = 0; i <= round % 5; i++) {
			struct flow fl = udp(round);
			struct rte_mbuf *m;

			frame_ip(&mine, &fl, round + i, 200);
			m = to_mbuf(&mine, NULL);
			if (!m || !rte_eth_tx_burst(A, 0, &m, 1))
				return 0; /* the reader will miss it */
		}
		done = ++round;
	}
	return 0;
}

static bool steer(unsigned queue)
{
	struct rte_eth_rss_reta_entry64 reta[2] = { { .mask = UINT64_MAX },
						    { .mask = UINT64_MAX } };

	for (unsigned i = 0; i < 128; i++)
		reta[i / 64].reta[i % 64] = (uint16_t)queue;
	WANT(!rte_eth_dev_rss_reta_update(B, reta, 128));
	return true;
}

static int sleep_for(struct rte_epoll_event *e, int ms)
{
	return rte_epoll_wait(RTE_EPOLL_PER_THREAD, e, 1, ms);
}

/*
 * On, and nothing more to be told: frames that came while it was off are a cause that is still
 * there, and wake once.
 */
static bool listen_for(uint16_t queue)
{
	struct rte_epoll_event e;

	for (int i = 0; i < 10; i++) {
		WANT(!rte_eth_dev_rx_intr_enable(B, queue));
		if (sleep_for(&e, 0) == 0)
			return true;
		WANT(!rte_eth_dev_rx_intr_disable(B, queue));
	}
	NO("queue %u wakes the reader again and again", queue);
}

static bool woken(unsigned rounds)
{
	uint64_t wall = 0, cpu = 0;
	struct rte_epoll_event e;
	unsigned frames = 0;

	for (unsigned r = 0; r < rounds; r++) {
		uint16_t queue = r / 10 & 1;

		if (r % 10 == 0 && !steer(queue))
			return false;
		if (!listen_for(queue) || !nothing(B))
			return false;
		wall -= now_ns(CLOCK_MONOTONIC);
		cpu -= now_ns(CLOCK_THREAD_CPUTIME_ID);
		go = r + 1;
		if (sleep_for(&e, 10000) != 1)
			NO("round %u: frames for queue %u did not wake the reader", r, queue);
		cpu += now_ns(CLOCK_THREAD_CPUTIME_ID);
		wall += now_ns(CLOCK_MONOTONIC);
		if ((uintptr_t)e.epdata.data != queue)
			NO("round %u: queue %u woke the reader, not %u", r,
			   (unsigned)(uintptr_t)e.epdata.data, queue);
		if (rte_eth_rx_queue_count(B, queue) < 1)
			NO("round %u: the reader was woken before there was a frame", r);
		WANT(!rte_eth_dev_rx_intr_disable(B, queue));
		for (unsigned i = 0; i <= r % 5; i++, frames++) {
			struct flow fl = udp(r);

			frame_ip(&g, &fl, r + i, 200);
			if (!expect(B, queue, &g, NULL))
				return false;
		}
		while (done != r + 1)
			rte_pause();
	}
	if (cpu > wall / 2)
		NO("the reader did not sleep: %ju us of %ju on the processor", cpu / 1000,
		   wall / 1000);
	snprintf(note, sizeof(note), "woken %u times for %u frames, %ju%% of the time asleep",
		 rounds, frames, 100 - cpu * 100 / wall);
	return true;
}

bool case_interrupts(void)
{
	struct setup s = { .queues = 2, .rss = RTE_ETH_RSS_IPV4, .rx_intr = true };
	struct flow fl = udp(0);
	struct rte_epoll_event e;
	bool ok;

	if (!both_setup(&plain, &s))
		return false;
	for (uintptr_t q = 0; q < 2; q++)
		WANT(!rte_eth_dev_rx_intr_ctl_q(B, (uint16_t)q, RTE_EPOLL_PER_THREAD,
						RTE_INTR_EVENT_ADD, (void *)q));
	/*
	 * nothing comes: nobody wakes; off: frames do not wake; on again: they do, though they came
	 * before
	 */
	WANT(!rte_eth_dev_rx_intr_enable(B, 0) && !rte_eth_dev_rx_intr_enable(B, 1));
	while (sleep_for(&e, 0) > 0)
		;
	WANT(sleep_for(&e, 100) == 0);
	WANT(!rte_eth_dev_rx_intr_disable(B, 0) && !rte_eth_dev_rx_intr_disable(B, 1));
	frame_ip(&f, &fl, 1, 100);
	if (!steer(1) || !send_one(A, 0, &f, NULL))
		return false;
	WANT(sleep_for(&e, 100) == 0);
	WANT(!rte_eth_dev_rx_intr_enable(B, 1));
	WANT(sleep_for(&e, 10000) == 1 && (uintptr_t)e.epdata.data == 1);
	WANT(!rte_eth_dev_rx_intr_disable(B, 1));
	ok = expect(B, 1, &f, NULL) && launch(waker, NULL) && join(woken(longer ? 20000 : 300));
	for (uintptr_t q = 0; q < 2; q++)
		rte_eth_dev_rx_intr_ctl_q(B, (uint16_t)q, RTE_EPOLL_PER_THREAD, RTE_INTR_EVENT_DEL,
					  (void *)q);
	return ok;
}

/* ---- another program at the other ends: DPDK's l3fwd-power ---- */

/*
 * One at a time, so that it sleeps in between; what comes out of its other port has its mark, and
 * is the rest of what went in.
 */
bool case_routed(void)
{
	unsigned n = longer ? 20000 : 500;
	uint8_t router[PORTS][6];
	struct rte_ipv4_hdr *ip = (void *)(g.at + 14);

	if (!both_setup(&plain, &plain))
		return false;
	for (unsigned i = 0; i < n; i++) {
		unsigned out = ~i & 1;
		struct flow fl = { .proto = IPPROTO_UDP,
				   .src = 0x0a000001 + i,
				   .dst = (out == B ? 0x02010100 : 0x01010100) | (i & 0xff),
				   .sport = (uint16_t)i,
				   .dport = 9 };
		struct rte_mbuf *m;
		bool ok;

		frame_ip(&f, &fl, i, (uint16_t)(60 + i % 1400));
		g = f;
		memcpy(g.at, ((uint8_t[6]){ 2, 0, 0, 0, 0, (uint8_t)out }), 6);
		ip->time_to_live--;
		ip->hdr_checksum++; /* as it does it */
		if (!send_one(!out, 0, &f, NULL))
			return false;
		m = receive(out, 0);
		if (!m)
			NO("frame %u did not come out of the router", i);
		if (i < PORTS)
			memcpy(router[out], rte_pktmbuf_mtod_offset(m, void *, 6), 6);
		memcpy(g.at + 6, router[out], 6);
		ok = same(m, &g);
		rte_pktmbuf_free(m);
		if (!ok)
			return false;
		rte_delay_us_sleep(i % 300);
	}
	snprintf(note, sizeof(note), "%u frames", n);
	return nothing(A) && nothing(B);
}

/* ---- link and restart ---- */

static int on_link(uint16_t port, enum rte_eth_event_type type, void *arg, void *ret)
{
	links++;
	return 0;
}

static bool told(int n)
{
	for (int i = 0; i < 10000 && links < n; i++)
		rte_delay_us_sleep(1000);
	if (links != n)
		NO("%d changes of the link were told, not %d", links, n);
	return true;
}

/*
 * One end's PHY is switched off: the other's driver hears of it by an interrupt, and when it is
 * back frames pass.
 */
static bool links_change(unsigned rounds)
{
	for (unsigned r = 0; r < rounds; r++) {
		links = 0;
		WANT(!rte_eth_dev_set_link_down(A));
		if (!told(1) || !wait_link(B, false) || !wait_link(A, false))
			return false;
		WANT(!rte_eth_dev_set_link_up(A));
		if (!told(2) || !wait_link(B, true) || !wait_link(A, true))
			return false;
		rte_eth_stats_reset(A);
		rte_eth_stats_reset(B);
		if (!stream(A, 60, 1514, 97, 1, 100000, NULL))
			return false;
	}
	snprintf(note, sizeof(note), "%u times down and up", rounds);
	return true;
}

bool case_link(void)
{
	struct setup s = { .lsc = true };
	bool ok;

	if (!both_setup(&plain, &s))
		return false;
	WANT(!rte_eth_dev_callback_register(B, RTE_ETH_EVENT_INTR_LSC, on_link, NULL));
	ok = links_change(longer ? 200 : 5);
	rte_eth_dev_callback_unregister(B, RTE_ETH_EVENT_INTR_LSC, on_link, NULL);
	return ok;
}

bool case_restart(void)
{
	unsigned rounds = longer ? 100 : 5;

	for (unsigned r = 0; r < rounds; r++) {
		struct setup s = { .queues = (uint16_t)(1 + r % (vfs ? 2 : 4)),
				   .descs = (uint16_t)(128 << r % 4) };

		if (r % 2) {
			rte_eth_dev_stop(A);
			rte_eth_dev_stop(B);
			WANT(rte_eth_dev_reset(r & 2 ? A : B) == (vfs ? -ENOTSUP : 0));
		}
		if (!both_setup(&s, &s) || !stream(A, 60, 1514, 97, 1, 100000, NULL) ||
		    !stream(B, 60, 1514, 97, 1, 100000, NULL))
			return false;
	}
	snprintf(note, sizeof(note), "%u times", rounds);
	return true;
}
