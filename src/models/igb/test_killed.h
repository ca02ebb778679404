/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/igb/test_killed.h: a port in a process of its own that is killed and made again
 * (pci/test_killed.h), in the loopback of its PHY or with a wire, for unit tests: with a driver
 * that has a small ring each way, numbers its frames, and gives the same buffers again and again,
 * so that nothing but the protocol of kept.h tells a descriptor that is done from one that is given
 * anew.
 */
#ifndef MODELS_IGB_TEST_KILLED_H
#define MODELS_IGB_TEST_KILLED_H
#include "models/igb/igb.h"
#include "models/igb/internal.h"
#include "pci/test_killed.h"

#define IOVA	0x100000ull
#define TX_RING 0u
#define RX_RING 0x1000u
#define TX_BUF	0x2000u
#define RX_BUF	0x10000u
#define RING	8u /* descriptors */
#define RX_SIZE 2048u
#define ADV	(TXD_DEXT | DTYP_DATA << 20)

#define LONGEST 4096u /* bytes of a frame */

struct far {
	struct killed k;
	unsigned tail;	    /* of the ring that sends */
	unsigned at;	    /* where the next frame comes */
	bool legacy;	    /* descriptors that receive */
	uint32_t sent, got; /* numbers of frames: of the last one, of the last that came */
	unsigned twice;	    /* frames that came once more */
	/* while it was dead: frames that were taken, and descriptors that were used again */
	unsigned num_early, next_early;
	uint32_t early_len[RING];
	uint8_t early[RING][LONGEST];
	uint32_t reused; /* a bit each */
};

static inline uint32_t r(struct far *f, uint32_t off)
{
	return (uint32_t)killed_access(&f->k, off, 4, false, 0);
}
static inline void w(struct far *f, uint32_t off, uint32_t v)
{
	killed_access(&f->k, off, 4, true, v);
}
static inline struct igb_desc *txd(struct far *f)
{
	return (void *)(f->k.mem + TX_RING);
}
static inline uint64_t (*rxd(struct far *f))[2]
{
	return (void *)(f->k.mem + RX_RING);
}

/* All but the copies, since a kill in the middle of one is as one before. */
static inline char *far_kept(pci_function *fn, size_t *size)
{
	const struct igb *g = uvfio_priv(fn);

	*size = offsetof(struct igb_kept, irq_was);
	return (char *)g->kept;
}

/* @net: the option, or NULL */
static inline void far_dead(struct killed *k);

static inline struct far *far_new(const char *net)
{
	struct far *f = calloc(1, sizeof(*f));

	f->k = (struct killed){ .model = &model_igb,
				.opts = { { "mac", "52:54:00:12:34:56" }, { "net", net } },
				.num_opts = net ? 2 : 1,
				.iova = IOVA,
				.mem_size = 1u << 20,
				.vectors = 3,
				.kept_memory = far_kept,
				.dead = far_dead };
	killed_begin(&f->k);
	f->k.shared->at[0] = TX_RING;
	f->k.shared->at[1] = RX_RING;
	f->k.shared->size[0] = f->k.shared->size[1] = 0x1000;
	return f;
}

static inline void far_free(struct far *f)
{
	killed_end(&f->k);
	free(f);
}

static inline void mdic(struct far *f, unsigned reg, uint16_t v)
{
	w(f, IGB_MDIC, v | reg << 16 | 1u << 21 | MDIC_OP_WRITE << 26);
}

static inline void give(struct far *f, unsigned i)
{
	rxd(f)[i][0] = IOVA + RX_BUF + i * RX_SIZE;
	rxd(f)[i][1] = 0;
}

/* Have a ring each way. @loop: frames come back */
static inline void far_rings(struct far *f, uint32_t srrctl, bool loop)
{
	if (loop)
		mdic(f, 0, 0x4140);
	w(f, IGB_CTRL, r(f, IGB_CTRL) | CTRL_SLU | (loop ? CTRL_FRCSPD | CTRL_FRCDPX : 0));
	assert_true(r(f, IGB_STATUS) & STATUS_LU);
	w(f, IGB_TXQ(0, TDBAL), (uint32_t)IOVA + TX_RING);
	w(f, IGB_TXQ(0, TDLEN), RING * 16);
	w(f, IGB_TXQ(0, TXDCTL), QUEUE_ENABLE);
	w(f, IGB_RXQ(0, RDBAL), (uint32_t)IOVA + RX_RING);
	w(f, IGB_RXQ(0, RDLEN), RING * 16);
	w(f, IGB_RXQ(0, SRRCTL), srrctl);
	w(f, IGB_RXQ(0, RXDCTL), QUEUE_ENABLE);
	for (unsigned i = 0; i < RING; i++)
		give(f, i);
	w(f, IGB_RXQ(0, RDT), RING - 1);
	w(f, IGB_RCTL, RCTL_EN | RCTL_UPE | RCTL_MPE | RCTL_BAM | RCTL_SECRC | RCTL_LPE);
	w(f, IGB_TCTL, TCTL_EN | TCTL_PSP);
	f->legacy = SRRCTL_DESCTYPE(srrctl) == DESCTYPE_LEGACY;
}

/* ---- sending ---- */

static inline void put_descriptor(struct far *f, struct igb_desc d)
{
	/* one that was given back is the driver's */
	if (f->reused >> f->tail & 1)
		assert_int_equal(txd(f)[f->tail].opt, 0);
	f->reused &= ~(1u << f->tail);
	txd(f)[f->tail] = d;
	f->tail = (f->tail + 1) % RING;
}

static inline void put(struct far *f, uint32_t at, uint32_t len, uint32_t cmd, uint32_t opt)
{
	put_descriptor(f, (struct igb_desc){ IOVA + at, cmd | len, opt });
}

static inline void ring(struct far *f)
{
	w(f, IGB_TXQ(0, TDT), f->tail);
}

/* Wait until what asked for a report is done; the ring is the driver's then. */
static inline void wait_sent(struct far *f, unsigned i)
{
	uint64_t end = killed_now() + 20000000000ull;
	volatile const uint32_t *opt = &txd(f)[i].opt;

	while (!(*opt & TXD_DD) && !(f->reused >> i & 1)) {
		if (killed_now() > end)
			fail_msg("descriptor %u is not done: %x", i, *opt);
		killed_idle(&f->k);
	}
	assert_int_equal(*opt, f->reused >> i & 1 ? 0 : TXD_DD);
}

/* Make a frame of a number. */
static inline void fill(uint8_t *p, uint32_t len, uint32_t number)
{
	memset(p, 0xff, 12);
	igb_put_be16(p + 12, 0x88b5);
	for (uint32_t i = 14; i + 4 <= len; i += 4)
		igb_put_be32(p + i, number * 0x10001u + i);
}

/* Make a frame at TX_BUF, of the next number. */
static inline void number(struct far *f, uint32_t len)
{
	fill((uint8_t *)f->k.mem + TX_BUF, len, ++f->sent);
}

/* ---- receiving ---- */

/* Take the frame that is in the ring, and fill its descriptors again: its length; 0: none is. */
static inline uint32_t take_descriptors(struct far *f, uint8_t to[LONGEST])
{
	uint32_t len = 0, status, n;
	volatile const uint64_t *d;

	do {
		unsigned i = f->at;

		d = rxd(f)[i];
		status = f->legacy ? (uint32_t)(d[1] >> 32) & 0xff : (uint32_t)d[1];
		if (!(status & RXD_DD)) {
			assert_int_equal(len, 0); /* all of a frame is there, or nothing */
			return 0;
		}
		n = f->legacy ? (uint32_t)d[1] & 0xffff : (uint32_t)(d[1] >> 32) & 0xffff;
		assert_true(n && n <= RX_SIZE && len + n <= LONGEST);
		memcpy(to + len, f->k.mem + RX_BUF + i * RX_SIZE, n);
		memset(f->k.mem + RX_BUF + i * RX_SIZE, 0, n);
		len += n;
		give(f, i);
		f->at = (i + 1) % RING;
	} while (!(status & RXD_EOP));
	return len;
}

/*
 * Another thread of the driver polls while an access is under way: it takes frames, and uses
 * descriptors again of which the port does not yet hear.
 */
static inline void far_dead(struct killed *k)
{
	struct far *f = container_of_type(k, struct far, k);
	uint32_t len;

	if (f->next_early == f->num_early)
		f->next_early = f->num_early = 0;
	while (f->num_early < RING && (len = take_descriptors(f, f->early[f->num_early])))
		f->early_len[f->num_early++] = len;
	for (unsigned i = 0; i < RING; i++)
		if (txd(f)[i].opt == TXD_DD) {
			txd(f)[i].opt = 0;
			f->reused |= 1u << i;
		}
}

/* Take the frame that comes next: its length, with all of it in @to; 0: none is there. */
static inline uint32_t far_take(struct far *f, uint8_t to[LONGEST])
{
	uint32_t len;

	if (f->next_early < f->num_early) {
		len = f->early_len[f->next_early];
		memcpy(to, f->early[f->next_early++], len);
	} else {
		len = take_descriptors(f, to);
	}
	if (len)
		w(f, IGB_RXQ(0, RDT), (f->at + RING - 1) % RING);
	return len;
}

/* Return the number of a frame of fill(), all of which must be that one's. */
static inline uint32_t number_of(const uint8_t *p, uint32_t len)
{
	uint32_t n = (igb_be32(p + 14) - 14) / 0x10001u;

	for (uint32_t i = 14; i + 4 <= len; i += 4)
		if (igb_be32(p + i) != n * 0x10001u + i)
			fail_msg("frame %u: byte %u is another one's", n, i);
	return n;
}

/* Check a frame: the next one, or the last one once more. */
static inline void check_frame(struct far *f, const uint8_t *p, uint32_t len)
{
	uint32_t n = number_of(p, len);

	if (n == f->got) {
		f->twice++;
		return;
	}
	assert_int_equal(n, f->got + 1);
	f->got = n;
}

/* Take what is there until frame @n has come. */
static inline void wait_frame(struct far *f, uint32_t n, uint32_t len)
{
	uint64_t end = killed_now() + 20000000000ull;
	static uint8_t p[LONGEST];
	uint32_t have;

	while (f->got != n) {
		if (killed_now() > end)
			fail_msg("frame %u does not come", n);
		have = far_take(f, p);
		if (have) {
			assert_int_equal(have, len);
			check_frame(f, p, have);
		} else {
			killed_idle(&f->k);
		}
	}
}

/* Nothing is under way: heads and tails meet, no descriptor is done that nobody asked for. */
static inline void check_rings(struct far *f, uint32_t len)
{
	static uint8_t p[LONGEST];
	uint32_t have;

	r(f, IGB_STATUS);
	while ((have = far_take(f, p))) {
		assert_int_equal(have, len);
		check_frame(f, p, have);
	}
	assert_int_equal(f->got, f->sent);
	assert_int_equal(r(f, IGB_TXQ(0, TDH)), f->tail);
	assert_int_equal(r(f, IGB_RXQ(0, RDH)), f->at);
	for (unsigned i = 0; i < RING; i++) {
		if (i == (f->at + RING - 1) % RING)
			continue; /* the driver's */
		assert_int_equal(rxd(f)[i][0], IOVA + RX_BUF + i * RX_SIZE);
		assert_int_equal(rxd(f)[i][1], 0);
		if (f->reused >> i & 1)
			assert_int_equal(txd(f)[i].opt, 0);
	}
}
#endif
