/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/sockets.c: send and receive are libc's and the kernel's. They are here for EFAULT, which a program does not expect that sends from a mapped BAR or receives into
 * one: a line in the log says why; and for handles that come with a message.
 */
#include "shim/shim.h"

#include <dlfcn.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include "base/guard.h"

#define DECLARE(name) static __typeof__(name) *real_##name
DECLARE(send);
DECLARE(sendto);
DECLARE(sendmsg);
DECLARE(recv);
DECLARE(recvfrom);
DECLARE(recvmsg);

__attribute__((constructor(101))) static void resolve(void)
{
#define RESOLVE(name) real_##name = (__typeof__(name) *)(uintptr_t)dlsym(RTLD_NEXT, #name)
	RESOLVE(send);
	RESOLVE(sendto);
	RESOLVE(sendmsg);
	RESOLVE(recv);
	RESOLVE(recvfrom);
	RESOLVE(recvmsg);
}

/* libc's function, since these are cancellation points; before our constructor the system call */
#define REAL(name, args, nr, a, b, c, d, e, f) \
	(real_##name ? real_##name args : shim_ret(sys_call(nr, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))))

static ssize_t done(ssize_t rc, const char *call, const void *buf, size_t n)
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
		for (size_t i = sizeof(h); h.cmsg_level == SOL_SOCKET && h.cmsg_type == SCM_RIGHTS && i + sizeof(fd) <= h.cmsg_len; i += sizeof(fd))
			if (!guard_copy(&fd, (char *)m.msg_control + at + i, sizeof(fd)))
				shim_fd_mark(fd, true);
	}
}

static ssize_t done_msg(ssize_t rc, const char *call, const struct msghdr *msg)
{
	struct msghdr m;

	if (rc != -1 || errno != EFAULT)
		return rc;
	if (!guard_copy(&m, msg, sizeof(m)))
		shim_efault_iov(call, m.msg_iov, m.msg_iovlen);
	errno = EFAULT;
	return rc;
}

EXPORT ssize_t send(int fd, const void *buf, size_t n, int flags)
{
	return done(REAL(send, (fd, buf, n, flags), SYS_sendto, fd, buf, n, flags, 0, 0), "send", buf, n);
}

EXPORT ssize_t sendto(int fd, const void *buf, size_t n, int flags, const struct sockaddr *to, socklen_t len)
{
	return done(REAL(sendto, (fd, buf, n, flags, to, len), SYS_sendto, fd, buf, n, flags, to, len), "sendto", buf, n);
}

EXPORT ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
	return done_msg(REAL(sendmsg, (fd, msg, flags), SYS_sendmsg, fd, msg, flags, 0, 0, 0), "sendmsg", msg);
}

EXPORT ssize_t recv(int fd, void *buf, size_t n, int flags)
{
	return done(REAL(recv, (fd, buf, n, flags), SYS_recvfrom, fd, buf, n, flags, 0, 0), "recv", buf, n);
}

EXPORT ssize_t recvfrom(int fd, void *restrict buf, size_t n, int flags, struct sockaddr *restrict from, socklen_t *restrict len)
{
	return done(REAL(recvfrom, (fd, buf, n, flags, from, len), SYS_recvfrom, fd, buf, n, flags, from, len), "recvfrom", buf, n);
}

EXPORT ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
	ssize_t n = done_msg(REAL(recvmsg, (fd, msg, flags), SYS_recvmsg, fd, msg, flags, 0, 0, 0), "recvmsg", msg);

	if (n >= 0)
		mark_received(msg);
	return n;
}

/* What a program calls that was compiled with _FORTIFY_SOURCE. */
void __chk_fail(void) __attribute__((noreturn));
EXPORT ssize_t __recv_chk(int fd, void *buf, size_t n, size_t room, int flags);
EXPORT ssize_t __recvfrom_chk(int fd, void *restrict buf, size_t n, size_t room, int flags, struct sockaddr *restrict from, socklen_t *restrict len);

EXPORT ssize_t __recv_chk(int fd, void *buf, size_t n, size_t room, int flags)
{
	if (n > room)
		__chk_fail();
	return recv(fd, buf, n, flags);
}

EXPORT ssize_t __recvfrom_chk(int fd, void *restrict buf, size_t n, size_t room, int flags, struct sockaddr *restrict from, socklen_t *restrict len)
{
	if (n > room)
		__chk_fail();
	return recvfrom(fd, buf, n, flags, from, len);
}
