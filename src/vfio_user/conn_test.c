/* SPDX-License-Identifier: BSD-3-Clause */
/* vfio_user/conn_test.c: calls, commands and replies between two ends, by several threads. */
#include "base/sys.h"
#include "base/test_count.h"
#include "vfio_user/test_conn.h"

/* What a server does in these tests: DMA commands are called back, data are answered as they are */
struct server {
	struct vu_conn *c;
	pthread_t thread;
	atomic_uint served;
	unsigned calls_back; /* DMA_READs of its own while it serves one */
};

static void *serve(void *arg)
{
	struct server *s = arg;
	struct vu_message m, r;
	int rc;

	while (!(rc = vu_conn_next(s->c, UINT64_MAX, &m))) {
		struct iovec iov = { m.data, m.len };

		for (unsigned i = 0; i < s->calls_back; i++) {
			struct vu_call call = { .command = VU_DMA_READ, .iov = &iov, .iovcnt = 1 };

			assert_int_equal(vu_conn_call(s->c, &call, &r), 0);
			assert_int_equal(r.len, m.len);
			vu_message_fini(&r);
		}
		atomic_fetch_add(&s->served, 1);
		if (m.header.command == VU_DEVICE_RESET)
			rc = vu_conn_reply(s->c, &m.header, -EBUSY, NULL, 0, NULL, 0);
		else
			rc = vu_conn_reply(s->c, &m.header, 0, &iov, 1, m.fds, m.num_fds);
		vu_message_fini(&m);
		if (rc)
			break;
	}
	assert_int_equal(rc, -ECONNRESET);
	return NULL;
}

static void start(struct server *s, struct vu_conn *c)
{
	s->c = c;
	assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void stop(struct server *s, struct vu_conn *client)
{
	vu_conn_free(client);
	pthread_join(s->thread, NULL);
	vu_conn_free(s->c);
}

static void call_of(struct vu_conn *c, size_t n, uint8_t *data)
{
	struct iovec iov = { data, n };
	struct vu_call call = { .command = VU_REGION_READ, .iov = &iov, .iovcnt = 1 };
	struct vu_message r;

	memset(data, (int)n, n);
	assert_int_equal(vu_conn_call(c, &call, &r), 0);
	assert_int_equal(r.len, n);
	assert_int_equal(r.header.command, VU_REGION_READ);
	if (n)
		assert_memory_equal(r.data, data, n);
	vu_message_fini(&r);
}

/* Data of all lengths around those at which it is done otherwise, and long ones. */
static void test_lengths(void **state)
{
	static const size_t around[] = { 64, VU_WINDOW, 4096, 262144, 1u << 20 };
	uint8_t *data = malloc(1u << 21);
	struct server s = { 0 };
	struct vu_conn *c[2];

	make_pair(c);
	start(&s, c[1]);
	for (size_t n = 0; n < 64; n++)
		call_of(c[0], n, data);
	for (unsigned i = 0; i < ARRAY_SIZE(around); i++)
		for (size_t n = around[i] - 20; n < around[i] + 20; n++)
			call_of(c[0], n, data);
	stop(&s, c[0]);
	free(data);
}

static void test_errors(void **state)
{
	struct vu_call call = { .command = VU_DEVICE_RESET };
	struct server s = { 0 };
	struct vu_message r;
	struct vu_conn *c[2];

	make_pair(c);
	start(&s, c[1]);
	assert_int_equal(vu_conn_call(c[0], &call, &r), -EBUSY);
	assert_null(r.data);
	assert_int_equal(vu_conn_error(c[0]), 0);
	stop(&s, c[0]);
}

/* ---- the other end is this test */

/* Numbers that are an errno come as they are, others as EIO. */
static void test_error_numbers(void **state)
{
	static const struct {
		uint32_t sent;
		int got;
	} cases[] = {
		{ ENODEV, -ENODEV }, { 0, -EIO },	   { 1000, -EIO },
		{ 4096, -EIO },	     { UINT32_MAX, -EIO }, { EHWPOISON, -EHWPOISON },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct vu_header h = { .id = 1,
				       .command = VU_REGION_READ,
				       .size = sizeof(h),
				       .flags = VU_TYPE_REPLY | VU_FLAG_ERROR,
				       .error = cases[i].sent };
		struct vu_call call = { .command = VU_REGION_READ };
		struct vu_message r;
		struct vu_conn *c;
		int peer;

		c = make_raw(&peer);
		send_raw(peer, &h, sizeof(h), NULL, 0);
		assert_int_equal(vu_conn_call(c, &call, &r), cases[i].got);
		assert_int_equal(vu_conn_error(c), 0);
		vu_conn_free(c);
		close(peer);
	}
}

/* A reply that comes too late is passed over, and one that nobody asked for is the end. */
static void test_late_reply(void **state)
{
	struct vu_call call = { .command = VU_DEVICE_RESET, .timeout_ns = 1000000 };
	uint8_t buf[64], data = 7;
	struct vu_message r;
	struct vu_conn *c;
	struct vu_header h;
	int peer;

	c = make_raw(&peer);
	assert_int_equal(vu_conn_call(c, &call, &r), -ETIMEDOUT);
	recv_raw(peer, &h, sizeof(h));
	assert_int_equal(h.command, VU_DEVICE_RESET);
	send_raw(peer, buf, put_message(buf, h.id, h.command, VU_TYPE_REPLY, &data, 1), NULL, 0);
	/* that of the next call is behind it */
	send_raw(peer, buf,
		 put_message(buf, (uint16_t)(h.id + 1), h.command, VU_TYPE_REPLY, NULL, 0), NULL,
		 0);
	call.timeout_ns = 0;
	assert_int_equal(vu_conn_call(c, &call, &r), 0);
	assert_int_equal(r.len, 0);
	vu_message_fini(&r);
	recv_raw(peer, &h, sizeof(h));
	send_raw(peer, buf, put_message(buf, h.id, h.command, VU_TYPE_REPLY, NULL, 0), NULL, 0);
	assert_int_equal(vu_conn_call(c, &call, &r), -EPROTO);
	assert_int_equal(vu_conn_next(c, 0, &r), -EPROTO);
	assert_int_equal(vu_conn_post(c, &call), -EPROTO);
	vu_conn_free(c);
	close(peer);
}

/* A reply to another command than was sent is none, also if the number is right. */
static void test_reply_of_other_command(void **state)
{
	struct vu_call call = { .command = VU_DEVICE_RESET };
	struct vu_message r;
	struct vu_conn *c;
	uint8_t buf[64];
	int peer;

	c = make_raw(&peer);
	send_raw(peer, buf, put_message(buf, 1, VU_REGION_READ, VU_TYPE_REPLY, NULL, 0), NULL, 0);
	assert_int_equal(vu_conn_call(c, &call, &r), -EPROTO);
	vu_conn_free(c);
	close(peer);
}

/* Each call that is given up keeps its number, until none is left. */
static void test_numbers_end(void **state)
{
	struct vu_call call = { .command = VU_DEVICE_RESET, .timeout_ns = 1 };
	struct vu_header h;
	struct vu_message r;
	struct vu_conn *c;
	int peer;

	c = make_raw(&peer);
	for (unsigned i = 0; i < 65536; i++) {
		assert_int_equal(vu_conn_error(c), 0);
		assert_int_equal(vu_conn_call(c, &call, &r), -ETIMEDOUT);
		recv_raw(peer, &h, sizeof(h));
	}
	assert_int_equal(vu_conn_call(c, &call, &r), -ETIMEDOUT);
	assert_int_equal(vu_conn_error(c), -ETIMEDOUT);
	vu_conn_free(c);
	close(peer);
}

/* ---- commands */

static void post_number(struct vu_conn *c, uint32_t v, size_t len)
{
	static uint8_t zeros[1u << 16];
	struct iovec iov[2] = { { &v, sizeof(v) }, { zeros, len } };
	struct vu_call call = { .command = VU_REGION_WRITE, .iov = iov, .iovcnt = 2 };

	assert_int_equal(vu_conn_post(c, &call), 0);
}

static void next_is(struct vu_conn *c, uint32_t v)
{
	struct vu_message m;

	assert_int_equal(vu_conn_next(c, 0, &m), 0);
	assert_true(m.header.flags & VU_FLAG_NO_REPLY);
	assert_memory_equal(m.data, &v, sizeof(v));
	assert_int_equal(vu_conn_reply(c, &m.header, -EIO, NULL, 0, NULL, 0), 0); /* none is sent */
	vu_message_fini(&m);
}

static void test_next(void **state)
{
	struct vu_message m;
	struct vu_conn *c[2];

	make_pair(c);
	assert_int_equal(vu_conn_next(c[0], 0, &m), -EAGAIN);
	assert_int_equal(vu_conn_next(c[0], 1000000, &m), -EAGAIN);
	for (uint32_t i = 0; i < 100; i++)
		post_number(c[1], i, i);
	for (uint32_t i = 0; i < 100; i++)
		next_is(c[0], i);
	assert_int_equal(vu_conn_next(c[0], 0, &m), -EAGAIN);
	/* nothing was answered */
	assert_int_equal(vu_conn_next(c[1], 0, &m), -EAGAIN);
	for (uint32_t i = 0; i < 100; i++)
		post_number(c[1], i, 400);
	vu_conn_free(c[1]);
	for (uint32_t i = 0; i < 100; i++)
		next_is(c[0], i);
	assert_int_equal(vu_conn_next(c[0], 0, &m), -ECONNRESET);
	vu_conn_free(c[0]);
}

/* Who waits for a reply keeps so many commands, and reads no more of them. */
static void test_queue_bound(void **state)
{
	struct vu_call call = { .command = VU_DEVICE_RESET, .timeout_ns = 1000000 };
	struct vu_message r;
	struct vu_conn *c[2];

	make_pair(c);
	for (uint32_t i = 0; i < 200; i++)
		post_number(c[1], i, 0);
	assert_int_equal(vu_conn_call(c[0], &call, &r), -ETIMEDOUT);
	assert_int_equal(vu_conn_call(c[0], &call, &r), -ETIMEDOUT);
	for (uint32_t i = 0; i < 200; i++)
		next_is(c[0], i);
	vu_conn_free(c[0]);
	vu_conn_free(c[1]);
}

static void *take_all(void *arg)
{
	for (uint32_t i = 0; i < 200; i++) {
		struct vu_message m;

		assert_int_equal(vu_conn_next(arg, UINT64_MAX, &m), 0);
		assert_memory_equal(m.data, &i, sizeof(i));
		vu_message_fini(&m);
	}
	return NULL;
}

/* A reply behind more commands than are kept comes when another thread takes them. */
static void test_reply_behind_commands(void **state)
{
	struct vu_call call = { .command = VU_DEVICE_RESET };
	struct vu_message r;
	struct vu_conn *c[2];
	pthread_t t;

	make_pair(c);
	for (uint32_t i = 0; i < 200; i++)
		post_number(c[1], i, 0);
	assert_int_equal(vu_conn_reply(c[1], &(struct vu_header){ .id = 1, .command = 13 }, 0, NULL,
				       0, NULL, 0),
			 0);
	assert_int_equal(pthread_create(&t, NULL, take_all, c[0]), 0);
	assert_int_equal(vu_conn_call(c[0], &call, &r), 0);
	vu_message_fini(&r);
	pthread_join(t, NULL);
	vu_conn_free(c[0]);
	vu_conn_free(c[1]);
}

/* ---- a full socket */

struct flood {
	struct vu_conn *c;
	unsigned n;
};

static void *send_flood(void *arg)
{
	struct flood *f = arg;

	for (uint32_t i = 0; i < f->n; i++)
		post_number(f->c, i, 1u << 16);
	return NULL;
}

static void *flood_and_take(void *arg)
{
	struct flood *f = arg;
	struct vu_message m;

	send_flood(f);
	for (uint32_t i = 0; i < f->n; i++) {
		assert_int_equal(vu_conn_next(f->c, UINT64_MAX, &m), 0);
		assert_memory_equal(m.data, &i, sizeof(i));
		vu_message_fini(&m);
	}
	return NULL;
}

/* Both send more than the sockets take, and neither reads: but for what sending itself reads. */
static void test_full_both_ways(void **state)
{
	struct flood f[2];
	struct vu_conn *c[2];
	pthread_t t;

	make_pair(c);
	for (unsigned i = 0; i < 2; i++)
		f[i] = (struct flood){ c[i], 48 };
	assert_int_equal(pthread_create(&t, NULL, flood_and_take, &f[0]), 0);
	flood_and_take(&f[1]);
	pthread_join(t, NULL);
	vu_conn_free(c[0]);
	vu_conn_free(c[1]);
}

/* The same while another thread has the reader's turn, and a third one calls. */
static void test_full_with_reader(void **state)
{
	struct server s[2] = { 0 };
	uint8_t *data = malloc(1u << 18);
	struct flood f[2];
	struct vu_conn *c[2];
	pthread_t t[2];

	make_pair(c);
	for (unsigned i = 0; i < 2; i++) {
		f[i] = (struct flood){ c[i], 48 };
		start(&s[i], c[i]);
	}
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&t[i], NULL, send_flood, &f[i]), 0);
	for (unsigned i = 0; i < 20; i++)
		call_of(c[i % 2], 1u << 18, data);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	vu_conn_kill(c[0], -ECONNRESET);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(s[i].thread, NULL);
	for (unsigned i = 0; i < 2; i++)
		vu_conn_free(c[i]);
	free(data);
}

/* A peer that takes nothing is dead after that time, also for those who wait for its replies. */
static void test_stalled(void **state)
{
	struct vu_conn_limits limits = test_limits;
	struct vu_call call = { .command = VU_REGION_WRITE };
	uint8_t *data = malloc(1u << 16);
	struct iovec iov = { data, 1u << 16 };
	struct vu_message r;
	struct vu_conn *c;
	int peer, rc;

	c = make_raw(&peer);
	limits.timeout_ns = 20000000;
	vu_conn_set_limits(c, &limits, 8);
	call.iov = &iov;
	call.iovcnt = 1;
	while (!(rc = vu_conn_post(c, &call)))
		;
	assert_int_equal(rc, -ETIMEDOUT);
	assert_int_equal(vu_conn_call(c, &call, &r), -ETIMEDOUT);
	assert_int_equal(vu_conn_error(c), -ETIMEDOUT);
	vu_conn_free(c);
	close(peer);
	free(data);
}

/* ---- threads */

struct caller {
	struct vu_conn *c;
	pthread_t thread;
	unsigned rounds, calls, length;
	atomic_bool failed;
};

static void *call_often(void *arg)
{
	struct caller *k = arg;
	uint8_t data[3000], byte = (uint8_t)(uintptr_t)k;
	struct vu_message r;

	for (unsigned i = 0; i < k->rounds; i++) {
		struct iovec iov = { data, (k->length + i * 7) % sizeof(data) };
		struct vu_call call = { .command = VU_REGION_READ,
					.iov = &iov,
					.iovcnt = 1,
					.timeout_ns = i % 2 ? 100 * SECOND : 0 };

		memset(data, byte + (uint8_t)i, sizeof(data));
		if (vu_conn_call(k->c, &call, &r)) {
			atomic_store(&k->failed, true);
			break;
		}
		if (r.len != iov.iov_len || (r.len && memcmp(r.data, data, r.len)))
			atomic_store(&k->failed, true);
		vu_message_fini(&r);
	}
	return NULL;
}

/* Threads call on both ends; on both, two threads serve, and call back meanwhile. */
static void test_threads(void **state)
{
	struct caller k[4] = { 0 };
	struct server s[4] = { 0 };
	struct vu_conn *c[2];

	make_pair(c);
	for (unsigned i = 0; i < 4; i++) {
		s[i].calls_back = i < 2 ? 2 : 0;
		start(&s[i], c[i / 2]);
	}
	for (unsigned i = 0; i < 4; i++) {
		k[i].c = c[i % 2];
		k[i].rounds = 500;
		k[i].length = i * 10;
		assert_int_equal(pthread_create(&k[i].thread, NULL, call_often, &k[i]), 0);
	}
	for (unsigned i = 0; i < 4; i++) {
		pthread_join(k[i].thread, NULL);
		assert_false(k[i].failed);
	}
	vu_conn_kill(c[1], -ECONNRESET);
	for (unsigned i = 0; i < 4; i++)
		pthread_join(s[i].thread, NULL);
	assert_int_equal(s[2].served + s[3].served, 1000 + 2 * 1000);
	assert_int_equal(s[0].served + s[1].served, 1000);
	vu_conn_free(c[0]);
	vu_conn_free(c[1]);
}

static void *call_for_ever(void *arg)
{
	struct vu_call call = { .command = VU_DEVICE_RESET };
	struct vu_message r;

	return (void *)(intptr_t)vu_conn_call(arg, &call, &r);
}

static void *next_for_ever(void *arg)
{
	struct vu_message m;

	return (void *)(intptr_t)vu_conn_next(arg, UINT64_MAX, &m);
}

/* All who wait hear of the end, whichever of them reads. */
static void test_kill(void **state)
{
	struct vu_header h;
	struct vu_conn *c;
	pthread_t t[4];
	void *rc;
	int peer;

	for (unsigned by_peer = 0; by_peer < 2; by_peer++) {
		c = make_raw(&peer);
		for (unsigned i = 0; i < 4; i++)
			assert_int_equal(pthread_create(&t[i], NULL,
							i < 2 ? call_for_ever : next_for_ever, c),
					 0);
		/* the calls have been sent, and wait now or will */
		recv_raw(peer, &h, sizeof(h));
		recv_raw(peer, &h, sizeof(h));
		if (by_peer)
			close(peer);
		else
			vu_conn_kill(c, -ESHUTDOWN);
		for (unsigned i = 0; i < 4; i++) {
			pthread_join(t[i], &rc);
			assert_int_equal((intptr_t)rc, by_peer ? -ECONNRESET : -ESHUTDOWN);
		}
		vu_conn_kill(c, -EIO);
		assert_int_equal(vu_conn_error(c), by_peer ? -ECONNRESET : -ESHUTDOWN);
		vu_conn_free(c);
		if (!by_peer)
			close(peer);
	}
}

/* ---- what is not sent */

static void test_too_much_to_send(void **state)
{
	struct iovec iov[VU_MAX_IOV + 1] = { { NULL, 0 } };
	struct vu_call call = { .command = VU_DMA_MAP, .iov = iov, .iovcnt = VU_MAX_IOV + 1 };
	struct vu_message m;
	struct vu_conn *c[2];
	int fds[9] = { 0 };

	make_pair(c);
	assert_int_equal(vu_conn_call(c[0], &call, &m), -EMSGSIZE);
	call.iovcnt = 1;
	call.fds = fds;
	call.num_fds = 9;
	assert_int_equal(vu_conn_call(c[0], &call, &m), -EMSGSIZE);
	assert_int_equal(vu_conn_post(c[0], &call), -EMSGSIZE);
	call.num_fds = 1;
	fds[0] = -1;
	assert_int_equal(vu_conn_call(c[0], &call, &m), -EBADF);
	assert_int_equal(vu_conn_post(c[0], &call), -EBADF);
	call.num_fds = 0;
	iov[0].iov_len = UINT32_MAX;
	assert_int_equal(vu_conn_call(c[0], &call, &m), -EMSGSIZE);
	assert_int_equal(vu_conn_reply(c[0], &(struct vu_header){ 0 }, 0, NULL, 0, fds, 9),
			 -EMSGSIZE);
	assert_int_equal(vu_conn_next(c[1], 0, &m), -EAGAIN);
	vu_conn_free(c[0]);
	vu_conn_free(c[1]);
}

/* While nobody takes commands, no more descriptors of theirs are kept than limits say. */
static void test_descriptors_wait(void **state)
{
	const struct vu_conn_limits limits = {
		.max_data = 4096, .max_fds = 2, .max_queued = 100, .timeout_ns = SECOND
	};
	const struct vu_call call = { .command = VU_DMA_READ, .timeout_ns = SECOND / 50 };
	unsigned before;
	struct vu_message m;
	uint8_t text[64];
	int peer, fds[2];
	struct vu_conn *c = make_raw(&peer);
	size_t n = put_message(text, 1, VU_DMA_MAP, VU_FLAG_NO_REPLY, "12345678", 8);

	vu_conn_set_limits(c, &limits, 2);
	fds[0] = fds[1] = eventfd(0, EFD_CLOEXEC);
	before = test_count_fds();
	for (unsigned i = 0; i < 20; i++)
		send_raw(peer, text, n, fds, 2);
	assert_int_equal(vu_conn_call(c, &call, &m), -ETIMEDOUT);
	/* in the queue, and of the message that has no room there */
	assert_int_equal(test_count_fds() - before, 4 * 2 + 2);
	for (unsigned i = 0; i < 20; i++) {
		assert_int_equal(vu_conn_next(c, SECOND, &m), 0);
		assert_int_equal(m.num_fds, 2);
		vu_message_fini(&m);
	}
	close(fds[0]);
	close(peer);
	vu_conn_free(c);
}

/* A peer that sends its own end is seen to go all the same, also in the middle of a message. */
static void test_own_end(void **state)
{
	struct vu_conn_limits limits = test_limits;
	uint8_t text[64];
	struct vu_header h;
	struct vu_message m;
	int peer, fds[2];
	size_t n;

	limits.no_sockets = true;
	for (size_t part = 1; part < 64; part += 7) {
		struct vu_conn *c = make_raw(&peer);

		vu_conn_set_limits(c, &limits, 8);
		fds[0] = eventfd(0, EFD_CLOEXEC);
		fds[1] = peer;
		n = put_message(text, 1, VU_DEVICE_SET_IRQS, VU_TYPE_COMMAND, NULL, 20);
		send_raw(peer, text, n, fds, 2);
		assert_int_equal(vu_conn_next(c, SECOND / 50, &m), -EAGAIN);
		recv_raw(peer, &h, sizeof(h));
		assert_int_equal(h.error, EINVAL);
		/* the first bytes of one */
		n = put_message(text, 2, VU_DEVICE_SET_IRQS, VU_TYPE_COMMAND, NULL, 48);
		send_raw(peer, text, part < n ? part : n - 1, fds, 2);
		assert_int_equal(vu_conn_next(c, SECOND / 50, &m), -EAGAIN);
		close(fds[0]);
		close(peer);
		assert_int_equal(vu_conn_next(c, SECOND, &m), -ECONNRESET);
		vu_conn_free(c);
	}
}

static void on_late(void *arg, uint16_t command)
{
	struct vu_conn *peer = arg;
	struct vu_message m;

	/* the one that was asked answers now */
	assert_int_equal(command, VU_DEVICE_RESET);
	assert_int_equal(vu_conn_next(peer, 0, &m), 0);
	assert_int_equal(vu_conn_reply(peer, &m.header, 0, NULL, 0, NULL, 0), 0);
	vu_message_fini(&m);
}

/* Who waits for long is told once, and gets the reply all the same. */
static void test_late(void **state)
{
	struct vu_message reply = { 0 };
	struct vu_conn *c[2];
	struct vu_call call = { .command = VU_DEVICE_RESET,
				.timeout_ns = 20 * SECOND,
				.late = on_late,
				.late_ns = 1000000 };

	make_pair(c);
	call.arg = c[1];
	assert_int_equal(vu_conn_call(c[0], &call, &reply), 0);
	vu_message_fini(&reply);
	vu_conn_free(c[0]);
	vu_conn_free(c[1]);
}

/* ---- calls that are stopped ---- */

struct stopped {
	struct vu_conn *c;
	pthread_t thread;
	uint64_t number;
	int rc;
};

static void *call_and_be_stopped(void *arg)
{
	struct stopped *s = arg;
	struct iovec iov = { &s->number, sizeof(s->number) };
	struct vu_call call = {
		.command = VU_DMA_READ, .iov = &iov, .iovcnt = 1, .can_stop = true
	};
	struct vu_message r;

	s->rc = vu_conn_call(s->c, &call, &r);
	vu_message_fini(&r);
	return NULL;
}

static bool is_odd(void *arg, const struct vu_call *call)
{
	return *(uint64_t *)call->iov->iov_base & 1;
}

/* Of several calls, of which one reads and the others sleep, some are stopped. */
static void test_stop(void **state)
{
	struct stopped s[4];
	struct vu_message m;
	struct vu_conn *c[2];
	uint64_t n;

	make_pair(c);
	assert_int_equal(vu_conn_can_stop(c[0]), 0);
	assert_int_equal(vu_conn_can_stop(c[0]), 0);
	for (unsigned round = 0; round < 20; round++) {
		struct vu_message of[2];

		for (unsigned i = 0; i < 4; i++) {
			s[i] = (struct stopped){ .c = c[0], .number = i };
			pthread_create(&s[i].thread, NULL, call_and_be_stopped, &s[i]);
		}
		for (unsigned i = 0, even = 0; i < 4; i++) {
			assert_int_equal(vu_conn_next(c[1], UINT64_MAX, &m), 0);
			memcpy(&n, m.data, sizeof(n));
			if (n & 1)
				vu_message_fini(&m);
			else
				vu_message_move(&of[even++], &m);
		}
		vu_conn_stop_begin(c[0], is_odd, NULL);
		for (unsigned i = 1; i < 4; i += 2) {
			pthread_join(s[i].thread, NULL);
			assert_int_equal(s[i].rc, -ECANCELED);
		}
		/* one that begins now */
		s[1].rc = 0;
		call_and_be_stopped(&s[1]);
		assert_int_equal(s[1].rc, -ECANCELED);
		vu_conn_stop_end(c[0]);
		for (unsigned i = 0; i < 2; i++) {
			assert_int_equal(vu_conn_reply(c[1], &of[i].header, 0, NULL, 0, NULL, 0),
					 0);
			vu_message_fini(&of[i]);
		}
		for (unsigned i = 0; i < 4; i += 2) {
			pthread_join(s[i].thread, NULL);
			assert_int_equal(s[i].rc, 0);
		}
	}
	vu_conn_free(c[0]);
	vu_conn_free(c[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_late),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_stop),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_error_numbers),
		cmocka_unit_test(test_late_reply),
		cmocka_unit_test(test_reply_of_other_command),
		cmocka_unit_test(test_numbers_end),
		cmocka_unit_test(test_next),
		cmocka_unit_test(test_queue_bound),
		cmocka_unit_test(test_reply_behind_commands),
		cmocka_unit_test(test_full_both_ways),
		cmocka_unit_test(test_full_with_reader),
		cmocka_unit_test(test_stalled),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_kill),
		cmocka_unit_test(test_too_much_to_send),
		cmocka_unit_test(test_descriptors_wait),
		cmocka_unit_test(test_own_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
