/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/irqfd.c: signalling and waiting for a client's eventfd.
 *
 * The kernel holds a reference on the eventfd itself and its eventfd_signal() cannot block. We hold
 * a descriptor of our own, and have write(2):
 *  - closing it while another thread writes would hit whatever gets the number next: signals run
 * under RCU, and a descriptor is closed after a grace period;
 *  - write(2) blocks when the counter is full, unless the description is O_NONBLOCK, which is the
 * client's to choose. Nearly all choose it (QEMU, DPDK); for the others poll(2) looks first. That
 * costs a system call more, and leaves a full counter alone as the kernel does.
 * A client that sent its eventfd is not trusted to leave it as it was then: aio_signal.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "base/client.h"
#include "base/heap.h"
#include "base/rcu.h"
#include "base/report.h"
#include "base/sys.h"
#include "vfio/aio_signal.h"
#include "vfio/irqfd.h"
#include "vfio/keeper.h"

/* in vfio_trigger.fd */
#define LOOK_FIRST (1 << 30) /* a blocking description */
#define KEPT	   (1 << 29) /* no descriptor, but a key of keeper.c */
#define FAR	   (1 << 28) /* another process's, whose readers are not seen */
#define BY_AIO	   (1 << 27) /* of one that may make it block at any time */
#define FLAGS	   (LOOK_FIRST | FAR | BY_AIO)

/* True if @fd is ready for @events. Does not wait, nor is it interrupted. */
static bool ready(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };
	struct timespec now = { 0 };

	return sys_call(SYS_ppoll, (long)&p, 1, (long)&now, 0, 0, 0) == 1 && (p.revents & events);
}

/*
 * Return 0 if @fd is an eventfd, or -EINVAL. Only the link in /proc tells. A thread may have a
 * table of its own (CLONE_FILES not set), hence thread-self.
 */
static int check_link(int fd)
{
	static const char *const dirs[] = { "/proc/thread-self/fd/", "/proc/self/fd/" };
	static const char expect[] = "anon_inode:[eventfd]";
	char path[SYS_FD_NAME], link[64];
	long n = -ENOENT;

	/* the way through /proc is half of what a server needs for a SET_IRQS */
	if (client_given.table)
		n = sys_call(SYS_readlinkat, client_given.table, (long)sys_fd_name_in(path, "", fd),
			     (long)link, sizeof(link), 0, 0);
	for (unsigned i = 0; i < 2 && n == -ENOENT; i++)
		n = sys_call(SYS_readlinkat, AT_FDCWD, (long)sys_fd_name_in(path, dirs[i], fd),
			     (long)link, sizeof(link), 0, 0);
	if (n < 0) {
		report_err(
			"proc-missing", "irqfd", (int)n,
			"%s: %m: without /proc an eventfd cannot be told from another descriptor",
			path);
		return -EINVAL;
	}
	return n == (long)sizeof(expect) - 1 && !memcmp(link, expect, sizeof(expect) - 1) ? 0
											  : -EINVAL;
}

int vfio_check_eventfd(int fd)
{
	fd = client_fd(fd);
	if (fd < 0 || sys_call(SYS_fcntl, fd, F_GETFD, 0, 0, 0, 0) < 0)
		return -EBADF;
	return check_link(fd);
}

/*
 * Return a private descriptor of the client's eventfd @fd, or -errno; -EMFILE: no number is left.
 * The check is made on that one, which nobody can exchange meanwhile.
 */
static int keep_eventfd(int fd)
{
	int own = client_keep_fd(fd), ret;

	if (own < 0)
		return own;
	ret = check_link(own);
	if (ret) {
		fd_close_private(own);
		return ret;
	}
	return own;
}

void vfio_trigger_init(struct vfio_trigger *t)
{
	atomic_init(&t->fd, -1);
	atomic_init(&t->signals, 0);
	atomic_init(&t->first, 0);
}

int vfio_trigger_swap(struct vfio_trigger *t, int fd, int *old)
{
	int own = -1;
	long fl;

	if (fd >= 0) {
		own = keep_eventfd(fd);
		if (own == -EMFILE) {
			own = vfio_keeper_take(client_fd(fd));
			own = own < 0 ? own : own | KEPT;
		} else if (own >= 0) {
			fl = sys_call(SYS_fcntl, own, F_GETFL, 0, 0, 0, 0);
			if (fl < 0 || !(fl & O_NONBLOCK))
				own |= LOOK_FIRST;
			own |= client_now || client_given.num_fds ? FAR : 0;
			if (client_given.num_fds)
				own |= LOOK_FIRST | (aio_signal_ready() ? BY_AIO : 0);
		}
		if (own < 0)
			return own;
		/* a signal of the old one that is counted here makes one too many, which is safe */
		atomic_store(&t->signals, 0);
	}
	*old = atomic_exchange_explicit(&t->fd, own, memory_order_acq_rel);
	return 0;
}

void vfio_trigger_release(const int *old, unsigned n)
{
	bool waited = false;

	for (unsigned i = 0; i < n; i++) {
		if (old[i] < 0)
			continue;
		if (!waited)
			rcu_sync();
		waited = true;
		if (old[i] & KEPT)
			vfio_keeper_drop(old[i] & ~KEPT);
		else
			fd_close_private(old[i] & ~FLAGS);
	}
}

int vfio_trigger_set(struct vfio_trigger *t, int fd)
{
	int old, ret = vfio_trigger_swap(t, fd, &old);

	if (!ret)
		vfio_trigger_release(&old, 1);
	return ret;
}

bool vfio_trigger_is_set(const struct vfio_trigger *t)
{
	return atomic_load_explicit(&t->fd, memory_order_relaxed) >= 0;
}

uint64_t vfio_trigger_signal(struct vfio_trigger *t)
{
	const uint64_t one = 1;
	uint64_t n = 0;
	int fd;

	rcu_read_begin();
	fd = atomic_load_explicit(&t->fd, memory_order_acquire);
	if (fd >= 0 && fd & KEPT) {
		vfio_keeper_signal(fd & ~KEPT);
		n = 1;
	} else if (fd >= 0) {
		int own = fd & ~FLAGS;

		/* -EAGAIN is a full counter: the client has its wake-up already */
		if (!(fd & BY_AIO && aio_signal(own)) &&
		    (!(fd & LOOK_FIRST) || ready(own, POLLOUT)))
			sys_write(own, &one, sizeof(one));
		n = atomic_fetch_add_explicit(&t->signals, 1, memory_order_relaxed) + 1;
		if (n == 1)
			atomic_store_explicit(&t->first, now_ns(), memory_order_relaxed);
	}
	rcu_read_end();
	return n;
}

void vfio_trigger_request(struct vfio_trigger *t, const char *name, unsigned count)
{
	if (vfio_trigger_is_set(t)) {
		if (count % 10 == 0)
			report_info("device-request", name, 0,
				    "relaying device request to user (#%u)", count);
		vfio_trigger_signal(t);
	} else if (!count) {
		report_warn("device-request", name, 0,
			    "no device request channel registered, blocked until released by user");
	}
}

struct vfio_virqfd {
	struct loop_watch *watch;
	int fd;
	bool far; /* another process's, whose descriptors are not seen */
	void (*fn)(void *arg);
	void *arg;
};

/*
 * Take the counter, as the kernel's handler does. False: there was nothing to take, since the
 * client read it meanwhile. Its description may be a blocking one.
 */
static bool take_counter(int fd)
{
	uint64_t count;
	struct iovec iov = { .iov_base = &count, .iov_len = sizeof(count) };
	long n = sys_call(SYS_preadv2, fd, (long)&iov, 1, -1, -1, RWF_NOWAIT);

	/* eventfds know RWF_NOWAIT since Linux 5.8 */
	if (n == -EOPNOTSUPP || n == -ENOSYS)
		n = ready(fd, POLLIN) ? sys_read(fd, &count, sizeof(count)) : -EAGAIN;
	return n == sizeof(count);
}

static void on_readable(void *arg)
{
	struct vfio_virqfd *v = arg;

	if (take_counter(v->fd))
		v->fn(v->arg); /* may free v */
}

int vfio_virqfd_new(struct loop *l, int fd, void (*fn)(void *arg), void *arg,
		    struct vfio_virqfd **out)
{
	struct vfio_virqfd *v;
	int ret, own = keep_eventfd(fd);

	if (own < 0)
		return own;
	v = heap_alloc(sizeof(*v));
	if (!v) {
		ret = -ENOMEM;
		goto close;
	}
	*v = (struct vfio_virqfd){ .fd = own, .far = client_now, .fn = fn, .arg = arg };
	*out = v; /* the handler may run, and look for it, before this function returns */
	v->watch = loop_watch(l, own, on_readable, v, &ret);
	if (v->watch)
		return 0;
	*out = NULL;
	heap_free(v);
close:
	fd_close_private(own);
	return ret;
}

/* Read /proc/self/fdinfo of @fd to @text: false, it cannot be read. */
static bool read_fdinfo(int fd, char *text, size_t size)
{
	char path[48];
	ssize_t n;
	int info;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	info = sys_open(path, O_RDONLY | O_CLOEXEC, 0);
	if (info < 0)
		return false;
	n = sys_read(info, text, size - 1);
	sys_close(info);
	text[n > 0 ? n : 0] = 0;
	return n > 0;
}

/* Return the number that the kernel gave the eventfd @fd (fdinfo, since Linux 5.2), or -1. */
static long eventfd_id(int fd)
{
	static const char key[] = "eventfd-id:";
	char text[512];
	const char *at = read_fdinfo(fd, text, sizeof(text)) ? strstr(text, key) : NULL;

	return at ? strtol(at + sizeof(key) - 1, NULL, 10) : -1;
}

/* Call @fn for each descriptor of the program's until it returns true. -1: they are not known. */
static int each_descriptor(bool (*fn)(int fd, void *arg), void *arg)
{
	/* man 2 getdents: ino, off, reclen, type, name */
	enum { RECLEN = 16, NAME = 19 };
	int dir = sys_open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0), found = 0;
	char buf[2048] __attribute__((aligned(8)));
	long n = -1;

	while (dir >= 0 && !found &&
	       (n = sys_call(SYS_getdents64, dir, (long)buf, sizeof(buf), 0, 0, 0)) > 0) {
		for (long at = 0; at < n && !found; at += *(const uint16_t *)(buf + at + RECLEN)) {
			const char *name = buf + at + NAME;
			int fd;

			if (*name < '0' || *name > '9')
				continue;
			fd = atoi(name);
			found = fd != dir && !fd_is_private(fd) && fn(fd, arg);
		}
	}
	if (dir >= 0)
		sys_close(dir);
	return n < 0 ? -1 : found;
}

static bool is_same_eventfd(int fd, void *id)
{
	return eventfd_id(fd) == *(const long *)id;
}

bool vfio_virqfd_orphaned(const struct vfio_virqfd *v)
{
	long id = eventfd_id(v->fd);

	return !v->far && id >= 0 && !each_descriptor(is_same_eventfd, &id);
}

/* True if an eventfd may be heard through @fd by who does not read it. */
static bool hears(int fd, void *unused)
{
	static const char kvm[] = "anon_inode:kvm-vm", ring[] = "anon_inode:[io_uring]",
			  epoll[] = "anon_inode:[eventpoll]";
	char path[SYS_FD_NAME], text[4096];
	const char *at;
	long n;

	n = sys_call(SYS_readlinkat, AT_FDCWD, (long)sys_fd_name_in(path, "/proc/self/fd/", fd),
		     (long)text, sizeof(text) - 1, 0, 0);
	text[n > 0 ? n : 0] = 0;
	if (!strcmp(text, kvm) || !strcmp(text, ring))
		return true;
	if (strcmp(text, epoll))
		return false;
	if (!read_fdinfo(fd, text, sizeof(text)) || strlen(text) == sizeof(text) - 1)
		return true;
	for (at = text; (at = strstr(at, " events:")); at++)
		if (strtoul(at + 8, NULL, 16) & EPOLLET)
			return true;
	return false;
}

bool vfio_trigger_unread(const struct vfio_trigger *t)
{
	static const char key[] = "eventfd-count:";
	uint64_t signals = atomic_load(&t->signals);
	int fd = atomic_load(&t->fd);
	char text[512];
	const char *at;

	if (!signals || fd < 0 || fd & (KEPT | FAR) ||
	    !read_fdinfo(fd & ~FLAGS, text, sizeof(text)))
		return false;
	at = strstr(text, key);
	return at && strtoull(at + sizeof(key) - 1, NULL, 16) == signals &&
	       !each_descriptor(hears, NULL);
}

void vfio_virqfd_free(struct vfio_virqfd *v)
{
	if (!v)
		return;
	loop_unwatch(v->watch);
	fd_close_private(v->fd);
	heap_free(v);
}
