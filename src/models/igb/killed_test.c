/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/igb/killed_test.c: the port's process is killed, before each store that it makes while a
 * few frames pass and registers are accessed, and another one goes on: each frame comes whole, the
 * one that was on its way once or twice, each descriptor is done once, registers that are cleared
 * by reading tell all once, and no interrupt is missed.
 *
 * Each test takes some of the stores, others every time; with UVFIO_LONG it takes many more, which
 * is all where there are few.
 */
#include "models/igb/test_killed.h"

static bool is_long;

static uint32_t random32(void)
{
	static uint64_t x;

	if (!x)
		x = (uint64_t)time(NULL) * 0x9e3779b97f4a7c15ull | 1;
	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return (uint32_t)(x >> 16);
}

/*
 * @act, while the process is killed before one store or another. Where it was killed the next
 * process may be so, too, while it carries on.
 */
static void sweep(uint32_t srrctl, unsigned stride, void (*act)(struct far *f),
		  void (*check)(struct far *f))
{
	unsigned n, times = 0;
	bool killed = true;

	if (!CAN_COUNT_STORES)
		skip();
	if (is_long)
		stride = (stride + 28) / 29;
	for (n = 1 + random32() % stride; killed; n += stride) {
		struct far *f = far_new(NULL);

		far_rings(f, srrctl, true);
		killed_arm(&f->k, (int)n);
		if (random32() % 2)
			f->k.arm_next = 1 + (int)(random32() % 60);
		act(f);
		killed = f->k.kills;
		times += killed;
		f->k.arm_next = 0;
		killed_arm(&f->k, 0);
		check(f);
		far_free(f);
	}
	assert_true(times);
}

#define ONE_BUFFER (2u | 1u << 25)
#define SMALL	   (1u | 1u << 25) /* of 1 KiB */
#define LEGACY	   2u

/* ---- frames ---- */

#define FRAMES 10u

static void send_one(struct far *f, uint32_t len)
{
	unsigned i = f->tail;

	number(f, len);
	put(f, TX_BUF, len, ADV | TXD_EOP | TXD_RS, len << 14);
	ring(f);
	wait_sent(f, i);
	wait_frame(f, f->sent, len);
}

/* Counters may have a frame that was on its way once more. */
static void check_counts(struct far *f, uint32_t frames)
{
	uint32_t n = r(f, IGB_GPTC);

	assert_in_range(n, frames, frames + f->k.kills);
	n = r(f, IGB_GPRC);
	assert_in_range(n, frames, frames + 2 * f->k.kills);
	assert_true(f->twice <= f->k.kills);
	assert_int_equal(r(f, IGB_GPTC), 0);
}

static void act_frames(struct far *f)
{
	for (unsigned i = 0; i < FRAMES; i++)
		send_one(f, 98);
}

static void check_frames(struct far *f)
{
	check_rings(f, 98);
	check_counts(f, FRAMES);
	act_frames(f);
	check_rings(f, 98);
}

static void test_frames(void **state)
{
	sweep(ONE_BUFFER, 7, act_frames, check_frames);
}

static void test_legacy(void **state)
{
	sweep(LEGACY, 7, act_frames, check_frames);
}

/* Several buffers for a frame, and several descriptors. */
#define LONG 2502u
static void act_long(struct far *f)
{
	for (unsigned i = 0; i < 5; i++) {
		number(f, LONG);
		/* its end comes later */
		put(f, TX_BUF, 102, ADV | TXD_RS, LONG << 14);
		put(f, TX_BUF + 102, 1000, ADV, 0);
		ring(f);
		wait_sent(f, (f->tail + RING - 2) % RING);
		memset(f->k.mem + TX_BUF, 0xee, 102);
		put(f, TX_BUF + 1102, LONG - 1102, ADV | TXD_EOP | TXD_RS, 0);
		ring(f);
		wait_sent(f, (f->tail + RING - 1) % RING);
		wait_frame(f, f->sent, LONG);
	}
}

static void check_long(struct far *f)
{
	check_rings(f, LONG);
	check_counts(f, 5);
}

static void test_long(void **state)
{
	sweep(SMALL, 13, act_long, check_long);
}

/* A large packet, cut into frames, with its headers in one descriptor and its data in another. */
#define MSS	 100u
#define SEGMENTS 5u
static void act_segments(struct far *f)
{
	static uint8_t p[LONGEST];
	uint8_t *h = (uint8_t *)f->k.mem + TX_BUF, *ip = h + 14, *tcp = ip + 20;
	uint64_t end = killed_now() + 20000000000ull;
	uint32_t have = 0, len, seq;
	unsigned twice = 0;

	memset(h, 0, 54);
	igb_put_be16(h + 12, 0x0800);
	ip[0] = 0x45;
	ip[9] = 6;
	igb_put_be32(ip + 12, 0x0a000001);
	igb_put_be32(ip + 16, 0x0a000002);
	tcp[12] = 0x50;
	tcp[13] = 0x19; /* ACK PSH FIN */
	igb_put_be16(tcp + 16, igb_fold(igb_sum(ip + 12, 8, 6)));
	for (unsigned i = 0; i < MSS * SEGMENTS; i++)
		h[54 + i] = (uint8_t)(i / MSS + 1);
	put_descriptor(
		f, (struct igb_desc){ 20 | 14 << 9,
				      TXD_DEXT | DTYP_CONTEXT << 20 | TUCMD_IPV4 | L4T_TCP << 11,
				      20 << 8 | MSS << 16 });
	put(f, TX_BUF, 54, ADV | TXD_TSE, POPTS_IXSM | POPTS_TXSM | (MSS * SEGMENTS) << 14);
	put(f, TX_BUF + 54, MSS * SEGMENTS, ADV | TXD_TSE | TXD_EOP | TXD_RS, 0);
	ring(f);
	while (have < SEGMENTS) {
		assert_true(killed_now() < end);
		len = far_take(f, p);
		if (!len) {
			killed_idle(&f->k);
			continue;
		}
		assert_int_equal(len, 54 + MSS);
		seq = igb_be32(p + 38) / MSS;
		if (seq + 1 == have) {
			twice++;
			continue;
		}
		assert_int_equal(seq, have);
		have++;
		assert_int_equal(igb_be16(p + 18), seq);
		assert_int_equal(p[47], have == SEGMENTS ? 0x19 : 0x10);
		for (unsigned i = 0; i < MSS; i++)
			assert_int_equal(p[54 + i], have);
		/* the sums are right: of the pseudo header and all behind it, ones */
		assert_int_equal(igb_fold(igb_sum(p + 14, 20, 0)), 0xffff);
		assert_int_equal(
			igb_fold(igb_sum(p + 34, 20 + MSS, igb_sum(p + 26, 8, 6 + 20 + MSS))),
			0xffff);
	}
	wait_sent(f, (f->tail + RING - 1) % RING);
	while ((len = far_take(f, p))) {
		twice++;
		assert_int_equal(igb_be32(p + 38) / MSS, SEGMENTS - 1);
	}
	assert_true(twice <= f->k.kills);
}

static void check_segments(struct far *f)
{
	uint32_t n = r(f, IGB_TSCTC);

	check_rings(f, 0);
	assert_in_range(n, 1, 1 + f->k.kills);
	f->twice = 0;
	check_counts(f, SEGMENTS);
}

static void test_segments(void **state)
{
	sweep(ONE_BUFFER, 7, act_segments, check_segments);
}

/* ---- interrupts ---- */

/* As drivers with NAPI do it: a message masks itself, and the ring is looked at after one. */
static void act_interrupts(struct far *f)
{
	int seen;

	w(f, IGB_GPIE, GPIE_MSIX | GPIE_EIAME | 1u << 31);
	w(f, IGB_IVAR(0), IVAR_VALID);
	w(f, IGB_EIAC, 1);
	w(f, IGB_EIAM, 1);
	seen = atomic_load(&f->k.shared->irqs);
	w(f, IGB_EIMS, 1);
	for (unsigned i = 0; i < 4; i++) {
		uint64_t end = killed_now() + 20000000000ull;
		static uint8_t p[LONGEST];

		number(f, 98);
		put(f, TX_BUF, 98, ADV | TXD_EOP | TXD_RS, 98 << 14);
		ring(f);
		while (f->got != f->sent) {
			while (atomic_load(&f->k.shared->irqs) == seen) {
				if (killed_now() > end)
					fail_msg("no interrupt tells of frame %u", f->sent);
				killed_idle(&f->k);
			}
			seen = atomic_load(&f->k.shared->irqs);
			while (far_take(f, p))
				check_frame(f, p, 98);
			w(f, IGB_EIMS, 1);
		}
		wait_sent(f, (f->tail + RING - 1) % RING);
	}
}

static void check_interrupts(struct far *f)
{
	check_rings(f, 98);
	assert_int_equal(r(f, IGB_EIAC), 1);
	assert_int_equal(r(f, IGB_EIAM), 1);
}

static void test_interrupts(void **state)
{
	sweep(ONE_BUFFER, 29, act_interrupts, check_interrupts);
}

/* As drivers with one message for all do it: a cause tells which ring to look at. */
static void act_told(struct far *f)
{
	r(f, IGB_ICR);
	for (unsigned i = 0; i < 4; i++) {
		uint64_t end = killed_now() + 20000000000ull;
		static uint8_t p[LONGEST];
		bool sent = false;

		number(f, 98);
		put(f, TX_BUF, 98, ADV | TXD_EOP | TXD_RS, 98 << 14);
		ring(f);
		while (f->got != f->sent || !sent) {
			uint32_t icr = r(f, IGB_ICR);

			if (killed_now() > end)
				fail_msg("no cause tells of frame %u", f->sent);
			if (icr & ICR_RXDW)
				while (far_take(f, p))
					check_frame(f, p, 98);
			if (icr & ICR_TXDW) {
				wait_sent(f, (f->tail + RING - 1) % RING);
				sent = true;
			}
		}
	}
}

static void check_nothing(struct far *f)
{
	check_rings(f, 98);
}

static void test_told(void **state)
{
	sweep(ONE_BUFFER, 3, act_told, check_nothing);
}

/* A cause is read once, and masks what it is to mask. */
static void act_causes(struct far *f)
{
	w(f, IGB_IAM, ICR_LSC | ICR_RXO);
	r(f, IGB_ICR);
	for (unsigned i = 0; i < 3; i++) {
		uint32_t v;

		w(f, IGB_IMS, ICR_LSC | ICR_RXO);
		w(f, IGB_ICS, ICR_LSC);
		w(f, IGB_ICS, ICR_RXO);
		v = r(f, IGB_ICR) & (ICR_LSC | ICR_RXO | ICR_ASSERTED);
		assert_int_equal(v, ICR_LSC | ICR_RXO | ICR_ASSERTED);
		assert_int_equal(r(f, IGB_IMS), 0);
		v = r(f, IGB_ICR) & (ICR_LSC | ICR_RXO);
		assert_int_equal(v, 0);
		w(f, IGB_EICS, 6);
		assert_int_equal(r(f, IGB_EICR) & 6, 6);
		assert_int_equal(r(f, IGB_EICR) & 6, 0);
	}
}

static void test_causes(void **state)
{
	sweep(ONE_BUFFER, 5, act_causes, check_nothing);
}

/* ---- registers that tell what they have once ---- */

#define SOME 4u
static uint64_t sum_octets, sum_frames, sum_broadcast;

static void act_statistics(struct far *f)
{
	uint64_t octets;

	for (unsigned i = 0; i < SOME; i++) {
		send_one(f, 98);
		sum_frames += r(f, IGB_GPRC);
		octets = r(f, IGB_GORCL);
		octets |= (uint64_t)r(f, IGB_GORCL + 4) << 32;
		sum_octets += octets;
		octets = killed_access(&f->k, IGB_TORL, 8, false, 0);
		sum_broadcast += octets;
	}
}

static void check_statistics(struct far *f)
{
	check_rings(f, 98);
	sum_frames += r(f, IGB_GPRC);
	sum_octets += killed_access(&f->k, IGB_GORCL, 8, false, 0);
	sum_broadcast += killed_access(&f->k, IGB_TORL, 8, false, 0);
	/* one that was cut may have been counted in one way and not in another */
	assert_in_range(sum_frames, SOME, SOME + 2 * f->k.kills);
	assert_in_range(sum_octets, SOME * 102, (SOME + 2 * f->k.kills) * 102);
	assert_int_equal(sum_octets, sum_broadcast);
	assert_int_equal(sum_octets % 102, 0);
	if (!f->twice && !f->k.kills)
		assert_int_equal(sum_frames, SOME);
	sum_frames = sum_octets = sum_broadcast = 0;
}

static void test_statistics(void **state)
{
	sweep(ONE_BUFFER, 3, act_statistics, check_statistics);
}

/* The semaphore is taken once; the EEPROM is written bit by bit; the PHY holds what it was told. */
static void spi_bits(struct far *f, unsigned v, unsigned num)
{
	for (unsigned i = num; i--;) {
		uint32_t di = v >> i & 1 ? EECD_DI : 0;

		w(f, IGB_EECD, EECD_REQ | di);
		w(f, IGB_EECD, EECD_REQ | di | EECD_SK);
	}
	w(f, IGB_EECD, EECD_REQ);
}

static void act_registers(struct far *f)
{
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(r(f, IGB_SWSM) & SWSM_SMBI, 0);
		assert_int_equal(r(f, IGB_SWSM) & SWSM_SMBI, SWSM_SMBI);
		w(f, IGB_SWSM, 0);
	}
	w(f, IGB_EECD, EECD_REQ | EECD_CS);
	spi_bits(f, 6, 8); /* WREN */
	w(f, IGB_EECD, EECD_REQ | EECD_CS);
	spi_bits(f, 2, 8); /* WRITE, two bytes at 100h */
	spi_bits(f, 0x100, 16);
	spi_bits(f, 0x3412, 16);
	w(f, IGB_EECD, EECD_REQ | EECD_CS);
	w(f, IGB_EECD, 0);
	w(f, IGB_EERD, 0x80 << 2 | 1);
	assert_int_equal(r(f, IGB_EERD) >> 16, 0x1234);
	mdic(f, 20, 0x5a5a);
	w(f, IGB_MDIC, 20 << 16 | 1u << 21 | MDIC_OP_READ << 26);
	assert_int_equal(r(f, IGB_MDIC) & 0xffff, 0x5a5a);
	/* the link goes, and comes */
	r(f, IGB_ICR);
	mdic(f, 0, 0x0940);
	assert_int_equal(r(f, IGB_STATUS) & STATUS_LU, 0);
	assert_int_equal(r(f, IGB_ICR) & ICR_LSC, ICR_LSC);
	mdic(f, 0, 0x4140);
	assert_int_equal(r(f, IGB_STATUS) & STATUS_LU, STATUS_LU);
	assert_int_equal(r(f, IGB_ICR) & ICR_LSC, ICR_LSC);
	w(f, IGB_RAL(3), 0x12345678);
	assert_int_equal(r(f, IGB_RAL(3)), 0x12345678);
}

static void test_registers(void **state)
{
	sweep(ONE_BUFFER, 17, act_registers, check_nothing);
}

/* ---- resets ---- */

static void act_reset(struct far *f)
{
	send_one(f, 98);
	w(f, IGB_VFTA, 77);
	killed_reset(&f->k);
	assert_int_equal(r(f, IGB_VFTA), 0);
	assert_int_equal(r(f, IGB_RCTL), 0);
	assert_int_equal(r(f, IGB_RAL(0)), 0x12005452);
	f->tail = f->at = 0;
	f->sent = f->got = 0;
	far_rings(f, ONE_BUFFER, true);
	send_one(f, 98);
}

static void test_reset(void **state)
{
	/* each register is stored to */
	sweep(ONE_BUFFER, 15000, act_reset, check_nothing);
}

/* ---- memory that is none of ours ---- */

static int try_carry_on(struct far *f)
{
	struct loop *loop = loop_new();
	pci_function *fn;
	char err[256];
	int ret;

	assert_int_equal(pci_function_new(&model_igb, "0000:01:00.0", 0, loop, f->k.opts,
					  f->k.num_opts, err, sizeof(err), &fn),
			 0);
	assert_int_equal(pci_function_stop(fn, UVFIO_STOP_DMA), 0);
	assert_int_equal(pci_function_stop(fn, UVFIO_STOP_ALL), 0);
	assert_int_equal(pci_lasting_map(fn, f->k.kept, 0, true), 0);
	ret = pci_function_carry_on(fn);
	if (ret) {
		/* with zeroes it can be used again */
		assert_int_equal(pci_lasting_unmap(fn, false), 0);
		pci_function_reset(fn, UVFIO_RESET_FLR);
	}
	pci_function_free(fn);
	loop_free(loop);
	return ret;
}

static int with(struct far *f, size_t at, const void *value, size_t size)
{
	char was[64];
	int ret;

	assert_int_equal(pread(f->k.kept, was, size, (off_t)at), size);
	assert_int_equal(pwrite(f->k.kept, value, size, (off_t)at), size);
	ret = try_carry_on(f);
	assert_int_equal(pwrite(f->k.kept, was, size, (off_t)at), size);
	return ret;
}
#define WITH(f, member, v)                                                           \
	({                                                                           \
		__typeof__(((struct igb_kept *)0)->member) value_ = (v);             \
		with(f, offsetof(struct igb_kept, member), &value_, sizeof(value_)); \
	})

#define KEPT(member) ((uint32_t)offsetof(struct igb_kept, member))

static int with_packet(struct far *f, uint32_t first_cmd, uint32_t len)
{
	return WITH(f, tx[3].state,
		    ((struct igb_tx_state){ .first_cmd = first_cmd, .len = len, .started = true }));
}

/* An access was cut when it was about to store a zero @at there. */
static int with_store(struct far *f, uint32_t at, bool wide)
{
	struct igb_kept_access a = { .state = IGB_ACCESS_REDO,
				     .set = { { .at = at, .wide = wide } } };

	return with(f, KEPT(access[0]), &a, sizeof(a));
}

static void test_refused(void **state)
{
	struct far *f = far_new(NULL);

	far_rings(f, ONE_BUFFER, true);
	kill(f->k.pid, SIGKILL);
	waitpid(f->k.pid, NULL, 0);
	assert_int_equal(try_carry_on(f), 0);
	assert_int_equal(WITH(f, layout, 1), -EINVAL);
	assert_int_equal(WITH(f, vectors, 3), -EINVAL);
	assert_int_equal(WITH(f, reg[IGB_RCTL / 4], ~0u), -EINVAL);
	assert_int_equal(WITH(f, access[1].state, 99), -EINVAL);
	assert_int_equal(WITH(f, ctl.mode, 3), -EINVAL);
	assert_int_equal(WITH(f, ctl.spi.at, 5000), -EINVAL);
	assert_int_equal(WITH(f, rx[3].record.state, 9), -EINVAL);
	assert_int_equal(WITH(f, rx[3].record.state, IGB_RECORD_READY), -EINVAL);
	assert_int_equal(WITH(f, tx[3].record.valid, 9), -EINVAL);
	/* a packet with no end yet that is longer than this one may be */
	assert_int_equal(with_packet(f, 0, IGB_FRAME_MAX), 0);
	assert_int_equal(with_packet(f, 0, IGB_FRAME_MAX + 1), -EINVAL);
	assert_int_equal(with_packet(f, TXD_DEXT | TXD_TSE, IGB_PKT_MAX), 0);
	assert_int_equal(with_packet(f, TXD_DEXT | TXD_TSE, IGB_PKT_MAX + 1), -EINVAL);
	/* what is finished are stores to registers and counts */
	assert_int_equal(with_store(f, KEPT(stats.traffic), true), 0);
	assert_int_equal(with_store(f, KEPT(reg[IGB_TXQ(3, TDT) / 4]), false), 0);
	assert_int_equal(with_store(f, KEPT(stats.traffic) + 4, true), -EINVAL);
	assert_int_equal(with_store(f, KEPT(ctl), true), -EINVAL);
	assert_int_equal(with_store(f, KEPT(access[0].set[1].at), false), -EINVAL);
	assert_int_equal(with_store(f, KEPT(tx[0].state.len), false), -EINVAL);
	assert_int_equal(try_carry_on(f), 0);
	killed_start(&f->k, true);
	send_one(f, 98);
	far_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frames),	   cmocka_unit_test(test_legacy),
		cmocka_unit_test(test_long),	   cmocka_unit_test(test_segments),
		cmocka_unit_test(test_interrupts), cmocka_unit_test(test_told),
		cmocka_unit_test(test_causes),	   cmocka_unit_test(test_statistics),
		cmocka_unit_test(test_registers),  cmocka_unit_test(test_reset),
		cmocka_unit_test(test_refused),
	};

	is_long = getenv("UVFIO_LONG");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
