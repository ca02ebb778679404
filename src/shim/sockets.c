/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/sockets.c: send and receive are libc's and the kernel's. They are here for EFAULT, which a
 * program does not expect that sends from a mapped BAR or receives into one: a line in the log says
 * why; and for handles that come with a message.
 */
#include <sys/socket.h>

#include "base/guard.h"
#include "shim/bars.h"
#include "shim/calls.h"
#include "shim/handles.h"
#include "shim/scope.h"

/* Return @rc of @call; a report says why it is EFAULT, if a mapped BAR is the cause. */
static ssize_t explained(ssize_t rc, const char *call, const void *buf, size_t n)
{
	const struct iovec v = { (void *)(uintptr_t)buf, n };

	if (rc == -1 && errno == EFAULT)
		shim_efault_iov(call, &v, 1);
	return rc;
}

/* Numbers that came with a message may be handles'. */
static void mark_received(const struct msghdr *msg)
{
	struct msghdr m;
	struct cmsghdr h;
	int fd;

	if (!shim.on || guard_copy(&m, msg, sizeof(m)) || m.msg_controllen < sizeof(h))
		return;
	for (size_t at = 0; at + sizeof(h) <= m.msg_controllen; at += CMSG_ALIGN(h.cmsg_len)) {
		if (guard_copy(&h, (char *)m.msg_control + at, sizeof(h)) || h.cmsg_len < sizeof(h))
			return;
		for (size_t i = sizeof(h);
		     h.cmsg_level == SOL_SOCKET && h.cmsg_type == SCM_RIGHTS &&
		     i + sizeof(fd) <= h.cmsg_len;
		     i += sizeof(fd))
			if (!guard_copy(&fd, (char *)m.msg_control + at + i, sizeof(fd)))
				shim_fd_mark(fd, true);
	}
}

struct efault_msg {
	const char *call;
	const struct msghdr *msg;
};

static long run_efault_msg(void *arg)
{
	struct efault_msg *e = arg;
	struct msghdr m;

	if (!guard_copy(&m, e->msg, sizeof(m)))
		shim_efault_iov(e->call, m.msg_iov, m.msg_iovlen);
	return 0;
}

static ssize_t done_msg(ssize_t rc, const char *call, const struct msghdr *msg)
{
	struct efault_msg e = { call, msg };

	if (rc == -1 && errno == EFAULT && shim_bar_any()) {
		shim_run(run_efault_msg, &e);
		errno = EFAULT;
	}
	return rc;
}

EXPORT ssize_t send(int fd, const void *buf, size_t n, int flags)
{
	NEXT(send);
	return explained(real(fd, buf, n, flags), "send", buf, n);
}

EXPORT ssize_t sendto(int fd, const void *buf, size_t n, int flags, const struct sockaddr *to,
		      socklen_t len)
{
	NEXT(sendto);
	return explained(real(fd, buf, n, flags, to, len), "sendto", buf, n);
}

EXPORT ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
	NEXT(sendmsg);
	return done_msg(real(fd, msg, flags), "sendmsg", msg);
}

EXPORT ssize_t recv(int fd, void *buf, size_t n, int flags)
{
	NEXT(recv);
	return explained(real(fd, buf, n, flags), "recv", buf, n);
}

EXPORT ssize_t recvfrom(int fd, void *restrict buf, size_t n, int flags,
			struct sockaddr *restrict from, socklen_t *restrict len)
{
	long room = shim_uevents_room(fd, len);
	ssize_t got;

	NEXT(recvfrom);
	got = explained(real(fd, buf, n, flags, from, len), "recvfrom", buf, n);
	if (room >= 0 && got >= 0)
		shim_uevents_from(from, (socklen_t)room, len);
	return got;
}

EXPORT ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
	long room = shim_uevents_room(fd, &msg->msg_namelen);
	ssize_t n;

	NEXT(recvmsg);
	n = done_msg(real(fd, msg, flags), "recvmsg", msg);
	if (n >= 0) {
		mark_received(msg);
		if (room >= 0)
			shim_uevents_msg(msg, (socklen_t)room);
	}
	return n;
}

/* Programs that were compiled with _FORTIFY_SOURCE call these. */
EXPORT ssize_t __recv_chk(int fd, void *buf, size_t n, size_t room, int flags);
EXPORT ssize_t __recvfrom_chk(int fd, void *restrict buf, size_t n, size_t room, int flags,
			      struct sockaddr *restrict from, socklen_t *restrict len);

EXPORT ssize_t __recv_chk(int fd, void *buf, size_t n, size_t room, int flags)
{
	if (n > room)
		__chk_fail();
	return recv(fd, buf, n, flags);
}

EXPORT ssize_t __recvfrom_chk(int fd, void *restrict buf, size_t n, size_t room, int flags,
			      struct sockaddr *restrict from, socklen_t *restrict len)
{
	if (n > room)
		__chk_fail();
	return recvfrom(fd, buf, n, flags, from, len);
}
