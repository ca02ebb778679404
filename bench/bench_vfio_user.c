/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "vfio_user/conn.h"

#define REQUEST (sizeof(struct vu_header) + sizeof(struct vu_region_access))
#define REPLY	(REQUEST + 4)

static const struct vu_conn_limits limits = {
	.max_data = 1u << 20, .max_fds = 8, .max_queued = 64, .timeout_ns = 0
};

static void bare_server(int fd)
{
	uint8_t buf[64] = { 0 };

	while (recv(fd, buf, REQUEST, 0) == REQUEST)
		if (send(fd, buf, REPLY, 0) != REPLY)
			break;
	_exit(0);
}

static void bare(void *arg, uint64_t n)
{
	int fd = *(int *)arg;
	uint8_t buf[64] = { 0 };

	for (uint64_t i = 0; i < n; i++)
		if (send(fd, buf, REQUEST, 0) != REQUEST || recv(fd, buf, REPLY, 0) != REPLY)
			bench_die("the bare socket", errno);
}

static void conn_server(int fd)
{
	struct vu_message m;
	struct vu_conn *c;

	vu_conn_new(fd, "server", &limits, &c);
	while (!vu_conn_next(c, UINT64_MAX, &m)) {
		uint32_t v = 1;
		struct iovec iov[2] = { { m.data, m.len }, { &v, 4 } };

		vu_conn_reply(c, &m.header, 0, iov, 2, NULL, 0);
		vu_message_fini(&m);
	}
	_exit(0);
}

static void call(void *arg, uint64_t n)
{
	struct vu_region_access a = { 0, 0, 4 };
	struct iovec iov = { &a, sizeof(a) };
	struct vu_call k = { .command = VU_REGION_READ, .iov = &iov, .iovcnt = 1, .timeout_ns = 0 };
	struct vu_message r;

	for (uint64_t i = 0; i < n; i++) {
		if (vu_conn_call(arg, &k, &r))
			bench_die("a call", EIO);
		vu_message_fini(&r);
	}
}

static int serve(void (*fn)(int))
{
	int fd[2];

	socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd);
	if (!fork()) {
		close(fd[0]);
		fn(fd[1]);
	}
	close(fd[1]);
	return fd[0];
}

int main(int argc, char **argv)
{
	struct bench b = { .n = 0 };
	int bare_fd = serve(bare_server), f;
	int conn_fd = serve(conn_server);
	struct vu_conn *c;

	vu_conn_new(conn_fd, "client", &limits, &c);
	f = bench_floor(&b, "bare", bare, &bare_fd, 100);
	bench_add(&b, "call", call, c, 100, f, 1.1, 0);
	bench_run(&b);
	return 0;
}
