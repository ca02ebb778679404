/* SPDX-License-Identifier: BSD-3-Clause */
/* vfio_user/conn_test.c: calls, commands and replies between two ends, by several threads. */
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
