/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/dpdk/frames.h: two ports joined by a cable, frames that both ends can make from a number,
 * and the sending and receiving of them, for frames.c. What is expected is made here byte by byte,
 * with DPDK's own software for checksums, and compared whole: a frame that is right in all but one
 * bit is wrong.
 */
#ifndef DPDK_FRAMES_H
#define DPDK_FRAMES_H
#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_interrupts.h>
#include <rte_ip.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>
#include <rte_tcp.h>
#include <rte_thash.h>
#include <rte_udp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { A, B, PORTS };	 /* the two ports */
#define FRAME_MAX  65535 /* before it is segmented */
#define QUEUES_MAX 8

struct setup {
	uint16_t queues, descs;
	uint32_t mtu;
	uint64_t rx, tx; /* offloads */
	uint64_t rss;	 /* which fields; 0: no RSS */
	const uint8_t *key;
	bool rx_intr, lsc;
};

struct frame {
	uint16_t len;
	uint8_t at[FRAME_MAX];
};

/* The offloads that the sender asks of the device; all zero: none. */
struct ask {
	uint64_t flags;
	unsigned l2, l3, l4, mss;
	uint16_t tci;
	unsigned segment; /* bytes in each mbuf; 0: as many as fit */
};

extern struct rte_mempool *pool;
extern char why[512];	  /* why a case failed */
extern const char *wrong; /* what is done wrong on purpose, once; NULL: nothing */
extern bool longer;
/* the ports are virtual functions, whose driver counts the FCS among the bytes and has no reset */
extern bool vfs;

#define NO(...)                                                  \
	do {                                                     \
		if (!why[0])                                     \
			snprintf(why, sizeof(why), __VA_ARGS__); \
		return false;                                    \
	} while (0)
#define WANT(condition)                                          \
	do {                                                     \
		if (!(condition))                                \
			NO("line %d: %s", __LINE__, #condition); \
	} while (0)

/* ports */
bool port_setup(unsigned port, const struct setup *s);
bool both_setup(const struct setup *a, const struct setup *b);
bool wait_link(unsigned port, bool up);

/* frames */
struct rte_mbuf *to_mbuf(const struct frame *f, const struct ask *ask);
bool send_one(unsigned port, uint16_t queue, const struct frame *f, const struct ask *ask);
struct rte_mbuf *receive(unsigned port, uint16_t queue); /* NULL: nothing within the time */
bool nothing(unsigned port);				 /* on any queue of it */
bool same(struct rte_mbuf *m, const struct frame *f);	 /* says why not */
bool expect(unsigned port, uint16_t queue, const struct frame *f, struct rte_mbuf **keep);
void drain(unsigned port);
void paced(uint64_t *next, uint64_t per_second);

/* the port to which the frames made here are addressed */
extern unsigned to;
/* a frame of @len bytes made of @number, of an EtherType that nobody knows */
void frame_plain(struct frame *f, uint32_t number, uint16_t len);

struct flow {
	bool v6;
	uint8_t proto; /* IPPROTO_TCP, IPPROTO_UDP, others: bare IP */
	uint32_t src, dst;
	uint16_t sport, dport;
	uint32_t seq;
	uint8_t tcp_flags;
	uint16_t id;
};
struct layout {
	unsigned l2, l3, l4;
};
/* all checksums right; @len with the Ethernet header */
struct layout frame_ip(struct frame *f, const struct flow *flow, uint32_t number, uint16_t len);
void frame_checksums(struct frame *f, struct layout at);
void frame_tag(struct frame *f, uint16_t tci); /* puts a VLAN tag in */
/* where the checksum of TCP or UDP is; 0: there is none */
unsigned l4_checksum_at(const struct frame *f, struct layout at);

/* the cases; what one that passed tells goes to note */
extern char note[128];
extern const struct setup plain;
/*
 * frames of all lengths from @first to @last by @step, @rounds times, in bursts of eight, not more
 * than @rate a second; looked at, and counted
 */
bool stream(unsigned from, uint16_t first, uint16_t last, unsigned step, unsigned rounds,
	    uint64_t rate, const struct ask *ask);
bool counted(unsigned from, uint64_t n, uint64_t bytes); /* by both devices since both_setup() */
bool case_both_ways(void);
bool case_interrupts(void);
bool case_link(void);
bool case_restart(void);
bool case_routed(void);
#endif
