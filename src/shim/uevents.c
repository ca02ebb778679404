/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/uevents.c: a program that listens to the kernel's events of devices
 * (NETLINK_KOBJECT_UEVENT), as DPDK and SPDK do for hot plug, hears of the run's devices. When it
 * binds such a socket to the kernel's group, its descriptor becomes that of a datagram socket in
 * the run directory, to which whoever changes the view sends (machine/run/uevent.c); `uvfio run`
 * passes on what the host's kernel says. All that a program does with a descriptor works on it;
 * what tells the two apart, the sender's address and credentials, is made what the kernel's are.
 * It is known by its address, so that copies and children have it, too.
 */
#include <fcntl.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "base/guard.h"
#include "machine/run/run.h"
#include "shim/calls.h"
#include "shim/scope.h"
#include "shim/shim.h"

#define KERNEL_GROUP 1u /* what the kernel sends to; udev has another */

#define NAME "/uevent." /* and process, and number */

static atomic_bool any; /* this process, or one that it was forked from, has one */
static atomic_uint number;

struct bind_args {
	int fd;
	const struct sockaddr *addr;
	socklen_t len;
};

static long option(int fd, int name, int *value)
{
	socklen_t len = sizeof(*value);

	return sys_call(SYS_getsockopt, fd, SOL_SOCKET, name, (long)value, (long)&len, 0);
}

/* True if the program binds a socket of these events to the kernel's group. */
static bool is_listener(const struct bind_args *a)
{
	struct sockaddr_nl nl;
	int domain, protocol;

	return a->len >= sizeof(nl) && !guard_copy(&nl, a->addr, sizeof(nl)) &&
	       nl.nl_family == AF_NETLINK && nl.nl_groups & KERNEL_GROUP &&
	       !option(a->fd, SO_DOMAIN, &domain) && domain == AF_NETLINK &&
	       !option(a->fd, SO_PROTOCOL, &protocol) && protocol == NETLINK_KOBJECT_UEVENT;
}

/* Bind @fd in the run directory, by a descriptor of that. 0 or -errno. */
static long bind_here(int fd)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	char name[SYS_FD_NAME], dir[PATH_MAX + 16];
	long rc;
	int d;

	snprintf(dir, sizeof(dir), "%s/" RUN_UEVENTS, shim.run_dir);
	rc = sys_call(SYS_mkdirat, AT_FDCWD, (long)dir, 0700, 0, 0, 0);
	if (rc < 0 && rc != -EEXIST)
		return rc;
	d = sys_open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
	if (d < 0)
		return d;
	snprintf(a.sun_path, sizeof(a.sun_path), "%s" NAME "%d.%u", sys_fd_name(name, d),
		 (int)shim.pid, atomic_fetch_add(&number, 1));
	rc = sys_call(SYS_bind, fd, (long)&a, sizeof(a), 0, 0, 0);
	sys_close(d);
	return rc;
}

static long run_bind(void *arg)
{
	const struct bind_args *a = arg;
	long fd, flags, cloexec, rc;
	int value;
	SHIM_CALL("bind");

	if (!is_listener(a))
		return 1;
	flags = sys_call(SYS_fcntl, a->fd, F_GETFL, 0, 0, 0, 0);
	cloexec = sys_call(SYS_fcntl, a->fd, F_GETFD, 0, 0, 0, 0);
	fd = fd_of_ours(SYS_socket, AF_UNIX,
			SOCK_DGRAM | SOCK_CLOEXEC | (flags & O_NONBLOCK ? SOCK_NONBLOCK : 0), 0, 0);
	if (fd < 0)
		return fd;
	if (!option(a->fd, SO_PASSCRED, &value) && value)
		sys_call(SYS_setsockopt, fd, SOL_SOCKET, SO_PASSCRED, (long)&value, sizeof(value),
			 0);
	rc = bind_here((int)fd);
	if (!rc) {
		atomic_store(&any, true);
		rc = sys_call(SYS_dup3, fd, a->fd, cloexec & FD_CLOEXEC ? O_CLOEXEC : 0, 0, 0, 0);
		rc = rc < 0 ? rc : 0;
	} else {
		/* a program that gave up its user: it hears of the host's devices */
		report_warn("uevents", SHIM_WHO, (int)rc,
			    "this process will not hear of the run's devices that come and go: %m");
		rc = 1;
	}
	sys_close((int)fd);
	return rc;
}

/* True if @fd is such a socket. */
static bool is_ours(int fd)
{
	struct sockaddr_un a;
	socklen_t len = sizeof(a);

	if (!atomic_load_explicit(&any, memory_order_relaxed) ||
	    sys_call(SYS_getsockname, fd, (long)&a, (long)&len, 0, 0, 0) ||
	    a.sun_family != AF_UNIX || len <= offsetof(struct sockaddr_un, sun_path))
		return false;
	((char *)&a)[len < sizeof(a) ? len : sizeof(a) - 1] = '\0';
	return !strncmp(a.sun_path, "/proc/self/fd/", 14) && strstr(a.sun_path, NAME);
}

static const struct sockaddr_nl kernel = { .nl_family = AF_NETLINK, .nl_groups = KERNEL_GROUP };

/* Give the program an address, as the kernel does: cut to the room that it has. */
static int put_address(const struct sockaddr_nl *nl, void *addr, socklen_t room, socklen_t *len)
{
	socklen_t size = sizeof(*nl);

	if (guard_copy(addr, nl, room < size ? room : size) || guard_copy(len, &size, sizeof(size)))
		return -1;
	return 0;
}

long shim_uevents_room(int fd, const socklen_t *len)
{
	socklen_t room = 0;

	if (!is_ours(fd) || (len && guard_copy(&room, len, sizeof(room))))
		return -1;
	return room;
}

void shim_uevents_from(void *from, socklen_t room, socklen_t *len)
{
	if (from && len)
		put_address(&kernel, from, room, len);
}

void shim_uevents_msg(struct msghdr *msg, socklen_t room)
{
	struct ucred root = { 0 };
	struct cmsghdr h;
	struct msghdr m;

	if (guard_copy(&m, msg, sizeof(m)))
		return;
	if (m.msg_name)
		put_address(&kernel, m.msg_name, room, &msg->msg_namelen);
	for (size_t at = 0; at + sizeof(h) <= m.msg_controllen; at += CMSG_ALIGN(h.cmsg_len)) {
		if (guard_copy(&h, (char *)m.msg_control + at, sizeof(h)) || h.cmsg_len < sizeof(h))
			return;
		if (h.cmsg_level == SOL_SOCKET && h.cmsg_type == SCM_CREDENTIALS &&
		    h.cmsg_len >= CMSG_LEN(sizeof(root)))
			guard_copy((char *)m.msg_control + at + CMSG_LEN(0), &root, sizeof(root));
	}
}

EXPORT int bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	struct bind_args a = { fd, addr, len };
	sa_family_t family;
	long rc;

	NEXT(bind);
	if (!shim.on || len < sizeof(struct sockaddr_nl) ||
	    guard_copy(&family, addr, sizeof(family)) || family != AF_NETLINK)
		return real(fd, addr, len);
	rc = shim_run(run_bind, &a);
	return rc == 1 ? real(fd, addr, len) : (int)shim_ret(rc);
}

EXPORT int getsockname(int fd, struct sockaddr *restrict addr, socklen_t *restrict len)
{
	struct sockaddr_nl own = kernel;
	long room = shim_uevents_room(fd, len);

	NEXT(getsockname);
	if (room < 0)
		return real(fd, addr, len);
	own.nl_pid = (uint32_t)shim.pid;
	if (put_address(&own, addr, (socklen_t)room, len)) {
		errno = EFAULT;
		return -1;
	}
	return 0;
}
