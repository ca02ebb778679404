/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/igb/split_test.c: header splitting, by the cases of the datasheet, and with frames in
 * loopback.
 */
#include "models/igb/igb.h"
#include "models/igb/internal.h"
#include "pci/test_model.h"

#define TX_RING IOVA
#define RX_RING (IOVA + 0x1000)
#define TX_BUF	(IOVA + 0x2000)
#define HDR_BUF (IOVA + 0x5000) /* 256 bytes for each descriptor */
#define PKT_BUF (IOVA + 0x8000) /* 1024 bytes for each */
#define RING	16u
#define SPLIT	(DESCTYPE_SPLIT << 25)
#define ALWAYS	(DESCTYPE_SPLIT_ALWAYS << 25)
#define ROOM	(2u << 8) /* 128 bytes */

static void test_cases(void **state)
{
	static const struct {
		uint32_t srrctl;
		size_t header, len, front;
		uint32_t info, error;
	} cases[] = {
		{ DESCTYPE_ADVANCED << 25 | ROOM, 54, 1000, 0, 0, 0 },
		{ DESCTYPE_LEGACY << 25 | ROOM, 54, 1000, 0, 0, 0 },
		{ SPLIT | ROOM, 0, 60, 0, 0, 0 },
		{ SPLIT | ROOM, 54, 60, 54, RXD_SPH | RXD_HDR_LEN(54), 0 },
		{ SPLIT | ROOM, 54, 54, 54, RXD_SPH | RXD_HDR_LEN(54), 0 },
		{ SPLIT | ROOM, 128, 1000, 128, RXD_SPH | RXD_HDR_LEN(128), 0 },
		{ SPLIT | ROOM, 129, 1000, 0, RXD_SPH | RXD_HDR_LEN(129), RXD_HBO },
		{ SPLIT | ROOM, 1024, 2000, 0, 0, 0 },
		{ SPLIT, 54, 1000, 0, RXD_SPH | RXD_HDR_LEN(54), RXD_HBO },
		{ ALWAYS | ROOM, 0, 128, 128, RXD_HDR_LEN(128), 0 },
		{ ALWAYS | ROOM, 54, 60, 60, RXD_HDR_LEN(60), 0 },
		{ ALWAYS | ROOM, 0, 129, 128, RXD_HDR_LEN(128), 0 },
		{ ALWAYS | ROOM, 54, 129, 54, RXD_SPH | RXD_HDR_LEN(54), 0 },
		{ ALWAYS | ROOM, 200, 1000, 128, RXD_SPH | RXD_HDR_LEN(200), RXD_HBO },
		{ ALWAYS | ROOM, 1024, 2000, 128, RXD_HDR_LEN(128), 0 },
		/* a buffer larger than the descriptor can tell of */
		{ ALWAYS | 63u << 8, 0, 2000, 1023, RXD_HDR_LEN(1023), 0 },
		{ ALWAYS | 63u << 8, 0, 1024, 1023, RXD_HDR_LEN(1023), 0 },
	};
	struct igb_split s;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		igb_split(cases[i].srrctl, cases[i].header, cases[i].len, &s);
		assert_int_equal(s.front, cases[i].front);
		assert_int_equal(s.info, cases[i].info);
		assert_int_equal(s.error, cases[i].error);
	}
	for (unsigned type = 0; type < 8; type++)
		assert_int_equal(igb_descriptor_type_known(type << 25),
				 type <= 2 || type == DESCTYPE_SPLIT_ALWAYS);
}

/* ---- through the device ---- */

static struct igb_desc *txd;
static uint64_t (*rxd)[2];
static unsigned sent, rx_at;

static void w(uint32_t off, uint32_t v)
{
	wr(0, off, 4, v);
}

static void start(uint32_t srrctl)
{
	plug(&model_igb, "mac", "52:54:00:12:34:56");
	txd = (void *)mem;
	rxd = (void *)(mem + 0x1000);
	sent = rx_at = 0;
	w(IGB_MDIC, 0x4140 | 1u << 21 | MDIC_OP_WRITE << 26); /* PHY loopback */
	w(IGB_CTRL, CTRL_SLU | CTRL_FRCSPD | CTRL_FRCDPX | CTRL_FD | CTRL_SPEED_1000 | CTRL_VME);
	w(IGB_TXQ(0, TDBAL), (uint32_t)TX_RING);
	w(IGB_TXQ(0, TDLEN), RING * 16);
	w(IGB_TXQ(0, TXDCTL), QUEUE_ENABLE);
	w(IGB_RXQ(0, RDBAL), (uint32_t)RX_RING);
	w(IGB_RXQ(0, RDLEN), RING * 16);
	w(IGB_RXQ(0, SRRCTL), srrctl | 1); /* buffers of 1 KiB */
	w(IGB_RXQ(0, RXDCTL), QUEUE_ENABLE);
	for (unsigned i = 0; i < RING; i++) {
		rxd[i][0] = PKT_BUF + i * 1024;
		rxd[i][1] = HDR_BUF + i * 256;
	}
	w(IGB_RXQ(0, RDT), RING - 1);
	w(IGB_RCTL, RCTL_EN | RCTL_UPE | RCTL_MPE | RCTL_BAM | RCTL_SECRC | RCTL_LPE);
	w(IGB_TCTL, TCTL_EN | TCTL_PSP);
	memset(mem + 0x5000, 0xee, 0x1000 + RING * 1024 + 0x2000);
}

static void send(size_t len)
{
	txd[sent] = (struct igb_desc){ TX_BUF, (uint32_t)len | TXD_DEXT | DTYP_DATA << 20 | TXD_EOP,
				       (uint32_t)len << 14 };
	sent = (sent + 1) % RING;
	w(IGB_TXQ(0, TDT), sent);
}

static uint8_t *frame(void)
{
	return mem + 0x2000;
}

/* Ethernet, tagged if @tag, IPv4 or, @v6, IPv6, @proto, and a payload of its numbers. */
static size_t make(unsigned tag, bool v6, unsigned proto, bool fragment, size_t payload)
{
	uint8_t *f = frame(), *l4;
	size_t at = 12, l4len = proto == 6 ? 20 : 8;

	memset(f, 0, 200);
	memset(f, 2, 12);
	if (tag) {
		igb_put_be16(f + at, 0x8100);
		igb_put_be16(f + at + 2, tag);
		at += 4;
	}
	igb_put_be16(f + at, v6 ? 0x86dd : 0x0800);
	at += 2;
	if (v6) {
		f[at] = 0x60;
		igb_put_be16(f + at + 4, (uint32_t)(l4len + payload + (fragment ? 8 : 0)));
		f[at + 6] = fragment ? 44 : (uint8_t)proto;
		l4 = f + at + 40;
		if (fragment) {
			l4[0] = (uint8_t)proto;
			l4[3] = 1; /* more fragments */
			l4 += 8;
		}
	} else {
		f[at] = 0x45;
		igb_put_be16(f + at + 2, (uint32_t)(20 + l4len + payload));
		f[at + 6] = fragment ? 0x20 : 0;
		f[at + 9] = (uint8_t)proto;
		l4 = f + at + 20;
	}
	if (proto == 6)
		l4[12] = 5 << 4;
	else
		igb_put_be16(l4 + 4, (uint32_t)(8 + payload));
	for (size_t i = 0; i < payload; i++)
		l4[l4len + i] = (uint8_t)(i * 7 + 1);
	return (size_t)(l4 - f) + l4len + payload;
}

/*
 * Put the received pieces together and compare them with @skip bytes of a tag less than was sent.
 */
static void came(size_t len, size_t front, uint32_t info, size_t skip)
{
	uint8_t got[4096], want[4096];
	size_t n = 0, k;
	bool first = true, eop;

	memcpy(want, frame(), len);
	if (skip) {
		memmove(want + 12, want + 16, len - 16);
		len -= 4;
	}
	do {
		uint64_t lo = rxd[rx_at][0], hi = rxd[rx_at][1];

		assert_true(hi & RXD_DD);
		assert_int_equal((uint32_t)lo & (RXD_SPH | RXD_HDR_LEN(1023)), first ? info : 0);
		assert_false(hi & RXD_HBO);
		if (first)
			memcpy(got, mem + 0x5000 + rx_at * 256, front);
		n += first ? front : 0;
		assert_int_equal(mem[0x5000 + rx_at * 256 + (first ? front : 0)], 0xee);
		k = (uint16_t)(hi >> 32);
		memcpy(got + n, mem + 0x8000 + rx_at * 1024, k);
		n += k;
		eop = hi & RXD_EOP;
		rx_at = (rx_at + 1) % RING;
		first = false;
	} while (!eop);
	assert_int_equal(n, len);
	assert_memory_equal(got, want, len);
}

static void test_split(void **state)
{
	size_t len;

	start(SPLIT | ROOM);
	send(len = make(0, false, 6, false, 200)); /* nothing was asked for */
	came(len, 0, 0, 0);
	w(IGB_PSRTYPE(0), 1u << PSR_IPV4_TCP | 1u << PSR_IPV6_FRAGMENT | 1u << PSR_IPV6_UDP);
	send(len = make(0, false, 6, false, 200));
	came(len, 54, RXD_SPH | RXD_HDR_LEN(54), 0);
	send(len = make(0, false, 17, false, 200)); /* not UDP */
	came(len, 0, 0, 0);
	send(len = make(0, false, 6, true, 200)); /* and no fragments of IPv4 */
	came(len, 0, 0, 0);
	send(len = make(0, true, 17, false, 200));
	came(len, 62, RXD_SPH | RXD_HDR_LEN(62), 0);
	send(len = make(0, true, 17, true, 200)); /* up to the fragment's own header */
	came(len, 54, RXD_SPH | RXD_HDR_LEN(54), 0);
	send(len = make(5, false, 6, false, 200)); /* a tag that is taken off does not count */
	came(len, 54, RXD_SPH | RXD_HDR_LEN(54), 4);
	unplug();
}

static void test_always(void **state)
{
	size_t len;

	start(ALWAYS | ROOM);
	send(len = make(0, false, 17, false, 20));
	came(len, len, RXD_HDR_LEN(len), 0);
	send(len = make(0, false, 17, false, 500));
	came(len, 128, RXD_HDR_LEN(128), 0);
	send(len = make(0, false, 6, false, 2500)); /* three descriptors; one header buffer */
	came(len, 128, RXD_HDR_LEN(128), 0);
	assert_int_equal(rx_at, 5);
	w(IGB_PSRTYPE(0), 1u << PSR_IPV4_TCP);
	send(len = make(0, false, 6, false, 2500));
	came(len, 54, RXD_SPH | RXD_HDR_LEN(54), 0);
	/* room for the rest: 128 in the header buffer count */
	send(len = make(0, false, 17, false, 1024 + 128 - 42));
	came(len, 128, RXD_HDR_LEN(128), 0);
	assert_int_equal(rx_at, 9);
	unplug();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_split),
		cmocka_unit_test(test_always),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
