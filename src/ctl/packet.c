/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ctl/packet.c: a process of the program connects to the server: to be asked, as an agent, or to
 * have all agents asked something.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include "base/run_socket.h"
#include "base/sys.h"
#include "ctl/ctl.h"
#include "ctl/packet.h"

int ctl_packet_connect(const char *run_dir)
{
	return run_socket_connect(run_dir, CTL_AGENTS, SOCK_SEQPACKET);
}

static int ask(int fd, const struct ctl_packet *q, struct ctl_packet *answer)
{
	/* the server answers in time, whoever does not answer it */
	static const struct timeval wait = { .tv_sec = 20 };
	long n;

	n = sys_call(SYS_setsockopt, fd, SOL_SOCKET, SO_RCVTIMEO, (long)&wait, sizeof(wait), 0);
	if (!n)
		n = sys_call(SYS_sendto, fd, (long)q, sizeof(*q), MSG_NOSIGNAL, 0, 0);
	/* before it knew that this is no agent, it may have asked */
	do {
		if (n >= 0)
			n = sys_call(SYS_recvfrom, fd, (long)answer, sizeof(*answer), 0, 0, 0);
	} while (n == -EINTR ||
		 (n == sizeof(*answer) && (answer->op != CTL_DONE || answer->seq != q->seq)));
	return n < 0 ? (int)n : n == sizeof(*answer) ? 0 : -EPIPE;
}

/* Have all agents asked @what: the value that the server tells, or -errno. */
static int relay(const char *run_dir, enum ctl_op what, const char *addr, unsigned count,
		 unsigned *silent)
{
	struct ctl_packet q = { .op = CTL_RELAY, .seq = 1, .a = what, .b = count }, p;
	int fd = ctl_packet_connect(run_dir), rc;

	*silent = 0;
	if (fd < 0)
		return fd;
	snprintf(q.addr, sizeof(q.addr), "%s", addr);
	rc = ask(fd, &q, &p);
	fd_close_private(fd);
	if (rc)
		return rc;
	*silent = p.a;
	return p.value;
}

int ctl_ask_reset(const char *run_dir, const char *addr, unsigned *silent)
{
	return relay(run_dir, CTL_ASK_RESET, addr, 0, silent);
}

int ctl_ask_back(const char *run_dir, const char *addr, unsigned count)
{
	unsigned silent;

	return relay(run_dir, CTL_ASK_BACK, addr, count, &silent);
}
