/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_user/conn_fault_test.c: each allocation and each system call of a connection fails in turn.
 * An error is said, or the message refused; what comes behind it is as ever.
 */
#include "base/test_fault.h"
/* behind it */
#include "vfio_user/test_conn.h"

static uint8_t bytes[10000];

static void test_new(void **state)
{
	fault_about = "new";
	FAULT_LOOP(l, FAULT_MEMORY | FAULT_CALLS) {
		unsigned before = fault_fds();
		struct vu_conn *c = NULL;
		int fd[2], rc;

		make_sockets(fd);
		fault_begin(&l);
		rc = vu_conn_new(fd[0], "test", &test_limits, &c);
		fault_end(&l, rc);
		if (rc)
			assert_int_equal(recv(fd[1], bytes, 1, 0), 0); /* it was closed */
		vu_conn_free(c);
		assert_int_equal(fault_fds(), before);
		close(fd[1]);
	}
}

/* A command with descriptors and long data is refused if there is no room for either. */
static void test_command(void **state)
{
	unsigned refused = 0;

	fault_about = "command";
	FAULT_LOOP(l, FAULT_MEMORY | FAULT_CALLS) {
		unsigned before = fault_fds();
		struct vu_message m;
		struct vu_header h;
		struct vu_conn *c;
		int peer, rc;

		c = make_raw(&peer);
		send_raw(peer, bytes, put_message(bytes, 1, VU_DEVICE_SET_IRQS, 0, NULL, 5000),
			 (int[]){ peer, peer }, 2);
		send_raw(peer, bytes, put_message(bytes, 2, VU_DEVICE_RESET, 0, NULL, 0), NULL, 0);
		fault_begin(&l);
		rc = vu_conn_next(c, 0, &m);
		fault_end(&l, rc);
		assert_int_equal(rc, 0);
		if (m.header.id == 2) {
			refused++;
			assert_false(l.done);
			recv_raw(peer, &h, sizeof(h));
			assert_int_equal(h.id, 1);
			assert_int_equal(h.flags, VU_TYPE_REPLY | VU_FLAG_ERROR);
			assert_true(h.error == ENOMEM || h.error == EMFILE);
		} else {
			assert_int_equal(m.num_fds, 2);
			assert_int_equal(m.len, 5000);
			vu_message_fini(&m);
			assert_int_equal(vu_conn_next(c, 0, &m), 0);
			assert_int_equal(m.header.id, 2);
		}
		vu_message_fini(&m);
		vu_conn_free(c);
		close(peer);
		assert_int_equal(fault_fds(), before);
	}
	assert_true(refused >= 4); /* a list, two numbers, the data */
}

/* Of a reply: the call fails, and the next one does not. */
static void test_reply(void **state)
{
	struct vu_call call = { .command = VU_DEVICE_GET_REGION_INFO };

	fault_about = "reply";
	FAULT_LOOP(l, FAULT_MEMORY | FAULT_CALLS) {
		unsigned before = fault_fds();
		struct vu_message r;
		struct vu_conn *c;
		int peer, rc;

		c = make_raw(&peer);
		send_raw(
			peer, bytes,
			put_message(bytes, 1, VU_DEVICE_GET_REGION_INFO, VU_TYPE_REPLY, NULL, 5000),
			&peer, 1);
		send_raw(peer, bytes,
			 put_message(bytes, 2, VU_DEVICE_GET_REGION_INFO, VU_TYPE_REPLY, NULL, 0),
			 NULL, 0);
		fault_begin(&l);
		rc = vu_conn_call(c, &call, &r);
		fault_end(&l, rc);
		if (rc)
			assert_null(r.data);
		vu_message_fini(&r);
		assert_int_equal(vu_conn_call(c, &call, &r), 0);
		vu_message_fini(&r);
		vu_conn_free(c);
		close(peer);
		assert_int_equal(fault_fds(), before);
	}
}

/* A command comes while a call waits, and cannot be kept: the call fails, the command is there. */
static void test_keep(void **state)
{
	struct vu_call call = { .command = VU_DEVICE_RESET };

	fault_about = "keep";
	FAULT_LOOP(l, FAULT_MEMORY) {
		struct vu_message m;
		struct vu_conn *c;
		int peer, rc;

		c = make_raw(&peer);
		send_raw(peer, bytes, put_message(bytes, 9, VU_DMA_READ, 0, NULL, 0), NULL, 0);
		send_raw(peer, bytes,
			 put_message(bytes, 1, VU_DEVICE_RESET, VU_TYPE_REPLY, NULL, 0), NULL, 0);
		fault_begin(&l);
		rc = vu_conn_call(c, &call, &m);
		fault_end(&l, rc);
		vu_message_fini(&m);
		/* the late reply is passed over on the way */
		assert_int_equal(vu_conn_next(c, 0, &m), 0);
		assert_int_equal(m.header.id, 9);
		vu_message_fini(&m);
		assert_int_equal(vu_conn_next(c, 0, &m), -EAGAIN);
		vu_conn_free(c);
		close(peer);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_new),
		cmocka_unit_test(test_command),
		cmocka_unit_test(test_reply),
		cmocka_unit_test(test_keep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
