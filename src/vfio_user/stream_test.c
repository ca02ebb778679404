/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_user/stream_test.c: messages in pieces of every length, whose descriptors are whose, what is
 * malformed, and a peer that ends at every byte.
 */
#include <sys/resource.h>

#include "base/test_count.h"
#include "vfio_user/test_conn.h"

static uint8_t bytes[1u << 18];

static void next_is(struct vu_conn *c, uint16_t command, size_t len, unsigned fds)
{
	struct vu_message m;

	assert_int_equal(vu_conn_next(c, 0, &m), 0);
	assert_int_equal(m.header.command, command);
	assert_int_equal(m.len, len);
	assert_int_equal(m.num_fds, fds);
	for (size_t i = 0; i < len; i++)
		assert_int_equal(m.data[i], (uint8_t)(i * 3 + len));
	vu_message_fini(&m);
}

static void nothing_yet(struct vu_conn *c)
{
	struct vu_message m;

	assert_int_equal(vu_conn_next(c, 0, &m), -EAGAIN);
}

/* Put a command with @len bytes of data at @p. */
static size_t put(uint8_t *p, uint16_t command, size_t len)
{
	static uint8_t data[1u << 17];

	for (size_t i = 0; i < len; i++)
		data[i] = (uint8_t)(i * 3 + len);
	return put_message(p, 7, command, VU_TYPE_COMMAND | VU_FLAG_NO_REPLY, data, len);
}

static const size_t lengths[] = { 0, 1, 24, 63, 64, 65, VU_WINDOW - 40, VU_WINDOW, 5000, 0, 16 };

/* All of them one behind the other; return how long that is. */
static size_t put_all(uint8_t *p)
{
	size_t n = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(lengths); i++)
		n += put(p + n, (uint16_t)(VU_REGION_READ + i % 2), lengths[i]);
	return n;
}

static void test_pieces(void **state)
{
	size_t n = put_all(bytes);
	struct vu_conn *c;
	int peer;

	for (size_t piece = 1; piece <= n; piece += piece < 50 ? 1 : piece / 3) {
		unsigned came = 0;
		size_t sent = 0, whole = 0;

		c = make_raw(&peer);
		for (size_t at = 0; at < n; at += piece) {
			size_t k = n - at < piece ? n - at : piece;

			send_raw(peer, bytes + at, k, NULL, 0);
			sent += k;
			while (came < ARRAY_SIZE(lengths) &&
			       whole + sizeof(struct vu_header) + lengths[came] <= sent) {
				next_is(c, (uint16_t)(VU_REGION_READ + came % 2), lengths[came], 0);
				whole += sizeof(struct vu_header) + lengths[came++];
			}
			nothing_yet(c);
		}
		assert_int_equal(came, ARRAY_SIZE(lengths));
		vu_conn_free(c);
		close(peer);
	}
}

/* The peer sends so many bytes and is gone: what was whole is to be had, and the rest no more. */
static void test_ends_at_every_byte(void **state)
{
	unsigned fds = test_count_fds();
	struct vu_message m;
	struct vu_conn *c;
	int peer, event;

	for (size_t cut = 0; cut <= 48 + 116; cut++) {
		size_t n = put(bytes, VU_DMA_MAP, 32), end = n + put(bytes + n, VU_VERSION, 100);

		c = make_raw(&peer);
		assert_int_equal(end, 48 + 116);
		event = eventfd(0, 0);
		if (cut)
			send_raw(peer, bytes, cut, &event, 1);
		close(event);
		close(peer);
		if (cut >= n)
			next_is(c, VU_DMA_MAP, 32, 1);
		if (cut == end)
			next_is(c, VU_VERSION, 100, 0);
		assert_int_equal(vu_conn_next(c, 0, &m), -ECONNRESET);
		assert_int_equal(vu_conn_next(c, UINT64_MAX, &m), -ECONNRESET);
		vu_conn_free(c);
		assert_int_equal(test_count_fds(), fds);
	}
}

/* ---- what is malformed */

static void malformed(uint32_t size, uint32_t flags)
{
	struct vu_header h = { .command = VU_REGION_READ, .size = size, .flags = flags };
	struct vu_message m;
	struct vu_conn *c;
	int peer;

	c = make_raw(&peer);
	send_raw(peer, bytes, put(bytes, VU_DEVICE_GET_INFO, 16), NULL, 0);
	send_raw(peer, &h, sizeof(h), NULL, 0);
	next_is(c, VU_DEVICE_GET_INFO, 16, 0);
	assert_int_equal(vu_conn_next(c, UINT64_MAX, &m), -EPROTO);
	assert_int_equal(vu_conn_error(c), -EPROTO);
	assert_int_equal(recv(peer, &h, 1, 0), 0); /* it sees the end */
	vu_conn_free(c);
	close(peer);
}

static void test_malformed(void **state)
{
	const uint32_t most = 16 + VU_FIXED + (1u << 20);
	struct vu_message m;
	struct vu_header h;
	struct vu_conn *c;
	int peer;

	for (uint32_t size = 0; size < 16; size++)
		malformed(size, VU_TYPE_COMMAND);
	malformed(most + 1, VU_TYPE_COMMAND);
	malformed(INT32_MAX, VU_TYPE_COMMAND);
	malformed(UINT32_MAX, VU_TYPE_COMMAND);
	for (uint32_t type = 2; type < 16; type++)
		malformed(16, type);
	/* the longest one is not */
	h = (struct vu_header){ .command = VU_REGION_READ, .size = most };
	c = make_raw(&peer);
	send_raw(peer, &h, sizeof(h), NULL, 0);
	assert_int_equal(vu_conn_next(c, 0, &m), -EAGAIN);
	assert_int_equal(vu_conn_error(c), 0);
	vu_conn_free(c);
	close(peer);
}

/* ---- descriptors */

struct step {
	uint16_t command;
	size_t len;
	unsigned expected; /* descriptors that it comes with */
};

/*
 * Two messages in two writes that part them at every byte; the second one has descriptors, or the
 * first one has. Messages are there before anything is taken, or taken as they come.
 */
static void parted(const struct step s[2], unsigned first_fds, unsigned second_fds, size_t cut)
{
	unsigned before = test_count_fds();
	int peer, e[2] = { eventfd(0, 0), eventfd(0, 0) };
	size_t first = put(bytes, s[0].command, s[0].len);
	size_t end = first + put(bytes + first, s[1].command, s[1].len);
	struct vu_conn *c = make_raw(&peer);

	send_raw(peer, bytes, cut, e, first_fds);
	send_raw(peer, bytes + cut, end - cut, e, second_fds);
	next_is(c, s[0].command, s[0].len, s[0].expected);
	next_is(c, s[1].command, s[1].len, s[1].expected);
	nothing_yet(c);
	close(e[0]);
	close(e[1]);
	vu_conn_free(c);
	close(peer);
	assert_int_equal(test_count_fds(), before);
}

static void test_fds_of_whom(void **state)
{
	/* at the border of two messages: each has its own */
	static const struct step each[] = { { VU_DMA_MAP, 32, 1 }, { VU_DEVICE_SET_IRQS, 20, 2 } };
	static const struct step second[] = { { VU_DMA_MAP, 32, 0 },
					      { VU_DEVICE_SET_IRQS, 20, 2 } };
	static const struct step first[] = { { VU_DMA_MAP, 32, 1 }, { VU_DMA_MAP, 32, 0 } };
	static const struct step stray[] = { { VU_REGION_WRITE, 20, 0 }, { VU_DMA_UNMAP, 24, 0 } };
	static const struct step later[] = { { VU_DMA_MAP, 32, 2 }, { VU_REGION_WRITE, 24, 0 } };

	parted(each, 1, 2, 48);
	parted(second, 0, 2, 48);
	parted(first, 1, 0, 48);
	parted(stray, 2, 1, 36);
	/* the first one's descriptors come with any part of its header */
	for (size_t cut = 1; cut < 48; cut++)
		parted(first, 1, 0, cut);
	for (size_t cut = 1; cut < 16; cut++)
		parted(later, 0, 2, cut);
	/* or a part of the second message comes with them: they are still the first one's */
	for (size_t cut = 49; cut < 48 + 40; cut++)
		parted(later, 2, 0, cut);
	/* the second one's header is complete by the second write, and had none before */
	for (size_t cut = 49; cut < 48 + 16; cut++)
		parted(second, 0, 2, cut);
	/* there may not be two lots with one header */
	for (size_t cut = 1; cut < 16; cut++)
		parted(first, 1, 2, cut);
}

/* Descriptors that come where no header is are nobody's. */
static void test_fds_amid(void **state)
{
	unsigned before = test_count_fds();
	size_t n = put(bytes, VU_DMA_MAP, 3000);
	struct vu_conn *c;
	int peer;

	c = make_raw(&peer);
	send_raw(peer, bytes, 2000, NULL, 0);
	nothing_yet(c);
	send_raw(peer, bytes + 2000, n - 2000, &peer, 1);
	next_is(c, VU_DMA_MAP, 3000, 0);
	vu_conn_free(c);
	close(peer);
	assert_int_equal(test_count_fds(), before);
}

/* A write with descriptors behind so many bytes that were not read yet. */
static void test_fds_behind_others(void **state)
{
	size_t before[] = { 0, 8, 100, 3 * VU_WINDOW };
	struct vu_conn *c;
	int peer, e = eventfd(0, 0);

	for (unsigned i = 0; i < ARRAY_SIZE(before); i++)
		for (unsigned times = 1; times < 140; times += 20) {
			c = make_raw(&peer);
			for (unsigned k = 0; k < times; k++)
				send_raw(peer, bytes, put(bytes, VU_REGION_WRITE, before[i]), NULL,
					 0);
			send_raw(peer, bytes, put(bytes, VU_DEVICE_SET_IRQS, 20), &e, 1);
			send_raw(peer, bytes, put(bytes, VU_DEVICE_SET_IRQS, 21), NULL, 0);
			for (unsigned k = 0; k < times; k++)
				next_is(c, VU_REGION_WRITE, before[i], 0);
			next_is(c, VU_DEVICE_SET_IRQS, 20, 1);
			next_is(c, VU_DEVICE_SET_IRQS, 21, 0);
			vu_conn_free(c);
			close(peer);
			if (before[i] > 100 && times > 20)
				break; /* the socket has no room */
		}
	close(e);
}

/* They are the same files, and the message's until they are taken. */
static void test_fds_taken(void **state)
{
	unsigned before = test_count_fds();
	int peer, e[3], fd;
	struct vu_message m;
	struct vu_conn *c;
	uint64_t v = 5;

	c = make_raw(&peer);
	for (unsigned i = 0; i < 3; i++)
		e[i] = eventfd(i, 0);
	send_raw(peer, bytes, put(bytes, VU_DEVICE_SET_IRQS, 20), e, 3);
	for (unsigned i = 0; i < 3; i++)
		close(e[i]);
	assert_int_equal(vu_conn_next(c, 0, &m), 0);
	assert_int_equal(m.num_fds, 3);
	fd = vu_message_take_fd(&m, 2);
	assert_int_equal(vu_message_take_fd(&m, 2), -1);
	assert_int_equal(vu_message_take_fd(&m, 3), -1);
	vu_message_fini(&m);
	assert_int_equal(read(fd, &v, 8), 8);
	assert_int_equal(v, 2);
	close(fd);
	vu_conn_free(c);
	close(peer);
	assert_int_equal(test_count_fds(), before);
}

/* More than may be: it is refused as a whole, and what comes behind it is not. */
static void test_fds_too_many(void **state)
{
	unsigned before = test_count_fds();
	int peer, e[VU_MAX_FDS];
	struct vu_message m;
	struct vu_header h;
	struct vu_conn *c;

	c = make_raw(&peer);
	for (unsigned i = 0; i < VU_MAX_FDS; i++)
		e[i] = peer;
	for (unsigned n = 9; n <= VU_MAX_FDS; n += 244) {
		size_t len = put_message(bytes, (uint16_t)n, VU_DMA_MAP, VU_TYPE_COMMAND, NULL, 0);

		send_raw(peer, bytes, len, e, n);
		nothing_yet(c);
		recv_raw(peer, &h, sizeof(h));
		assert_int_equal(h.id, n);
		assert_int_equal(h.flags, VU_TYPE_REPLY | VU_FLAG_ERROR);
		assert_int_equal(h.error, EINVAL);
	}
	/* the same without an answer */
	send_raw(peer, bytes, put(bytes, VU_DMA_MAP, 32), e, 9);
	send_raw(peer, bytes, put(bytes, VU_DMA_MAP, 33), e, 8);
	next_is(c, VU_DMA_MAP, 33, 8);
	assert_int_equal(vu_conn_next(c, 0, &m), -EAGAIN);
	vu_conn_free(c);
	assert_int_equal(recv(peer, &h, 1, 0), 0);
	close(peer);
	assert_int_equal(test_count_fds(), before);
}

/* The process has no number left for what comes: the kernel says so, and so does the answer. */
static void test_fds_no_number(void **state)
{
	int peer, e = eventfd(0, 0);
	struct rlimit was, rl;
	struct vu_message m;
	struct vu_header h;
	struct vu_conn *c;

	c = make_raw(&peer);
	send_raw(peer, bytes, put_message(bytes, 9, VU_DMA_MAP, VU_TYPE_COMMAND, NULL, 0), &e, 1);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	rl = (struct rlimit){ .rlim_cur = 0, .rlim_max = was.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &rl), 0);
	assert_int_equal(vu_conn_next(c, 0, &m), -EAGAIN);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	recv_raw(peer, &h, sizeof(h));
	assert_int_equal(h.error, EMFILE);
	send_raw(peer, bytes, put(bytes, VU_DMA_MAP, 32), &e, 1);
	next_is(c, VU_DMA_MAP, 32, 1);
	vu_conn_free(c);
	close(peer);
	close(e);
}

/* Of a reply, too: those that can have any. */
static void test_fds_of_replies(void **state)
{
	static const struct {
		uint16_t command;
		unsigned sent, got;
		int rc;
	} cases[] = {
		{ VU_VERSION, 1, 1, 0 },
		{ VU_DEVICE_GET_REGION_INFO, 8, 8, 0 },
		{ VU_DEVICE_GET_REGION_IO_FDS, 2, 2, 0 },
		{ VU_DEVICE_GET_REGION_INFO, 9, 0, -EINVAL },
		{ VU_DMA_MAP, 1, 0, 0 },
		{ VU_REGION_READ, 1, 0, 0 },
	};
	int e[9];

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		unsigned before = test_count_fds();
		struct vu_call call = { .command = cases[i].command };
		struct vu_message r;
		struct vu_conn *c;
		int peer;

		c = make_raw(&peer);
		for (unsigned k = 0; k < 9; k++)
			e[k] = peer;
		send_raw(peer, bytes,
			 put_message(bytes, 1, cases[i].command, VU_TYPE_REPLY, "x", 1), e,
			 cases[i].sent);
		assert_int_equal(vu_conn_call(c, &call, &r), cases[i].rc);
		assert_int_equal(r.num_fds, cases[i].got);
		assert_int_equal(r.len, !cases[i].rc);
		vu_message_fini(&r);
		vu_conn_free(c);
		close(peer);
		assert_int_equal(test_count_fds(), before);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pieces),	      cmocka_unit_test(test_ends_at_every_byte),
		cmocka_unit_test(test_malformed),     cmocka_unit_test(test_fds_of_whom),
		cmocka_unit_test(test_fds_amid),      cmocka_unit_test(test_fds_behind_others),
		cmocka_unit_test(test_fds_taken),     cmocka_unit_test(test_fds_too_many),
		cmocka_unit_test(test_fds_no_number), cmocka_unit_test(test_fds_of_replies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
