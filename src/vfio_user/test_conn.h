/* SPDX-License-Identifier: BSD-3-Clause */
/* vfio_user/test_conn.h: connections for unit tests, and a peer that is bytes on a socket. */
#ifndef VFIO_USER_TEST_CONN_H
#define VFIO_USER_TEST_CONN_H
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/sys.h"
#include "base/util.h"
#include "vfio_user/internal.h"

#define SECOND 1000000000ull

static const struct vu_conn_limits test_limits = {
	.max_data = 1u << 20, .max_fds = 8, .max_queued = 64, .timeout_ns = 10 * SECOND
};

static inline void make_sockets(int fd[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
}

static inline struct vu_conn *make_conn(int fd)
{
	struct vu_conn *c;

	assert_int_equal(vu_conn_new(fd, "test", &test_limits, &c), 0);
	vu_conn_set_limits(c, &test_limits, 8);
	return c;
}

/* One end as a connection, the other one as a socket. */
static inline struct vu_conn *make_raw(int *peer)
{
	int fd[2];

	make_sockets(fd);
	*peer = fd[1];
	return make_conn(fd[0]);
}

static inline void make_pair(struct vu_conn *c[2])
{
	int fd[2];

	make_sockets(fd);
	c[0] = make_conn(fd[0]);
	c[1] = make_conn(fd[1]);
}

/* Put a message at @p; return its length. @data is NULL: what is there already. */
static inline size_t put_message(uint8_t *p, uint16_t id, uint16_t command, uint32_t flags,
				 const void *data, size_t len)
{
	struct vu_header h = {
		.id = id, .command = command, .flags = flags, .size = (uint32_t)(sizeof(h) + len)
	};

	memcpy(p, &h, sizeof(h));
	if (data)
		memcpy(p + sizeof(h), data, len);
	return sizeof(h) + len;
}

/* Send bytes, with descriptors. */
static inline void send_raw(int fd, const void *p, size_t n, const int *fds, unsigned num_fds)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(VU_MAX_FDS * sizeof(int))] = { 0 };
	struct iovec iov = { (void *)p, n };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *cm = (struct cmsghdr *)control;

	if (num_fds) {
		cm->cmsg_level = SOL_SOCKET;
		cm->cmsg_type = SCM_RIGHTS;
		cm->cmsg_len = CMSG_LEN(num_fds * sizeof(int));
		memcpy(CMSG_DATA(cm), fds, num_fds * sizeof(int));
		mh.msg_control = control;
		mh.msg_controllen = cm->cmsg_len;
	}
	assert_int_equal(sendmsg(fd, &mh, MSG_NOSIGNAL), n);
}

/* Receive exactly @n bytes. */
static inline void recv_raw(int fd, void *p, size_t n)
{
	assert_int_equal(recv(fd, p, n, MSG_WAITALL), n);
}
#endif
