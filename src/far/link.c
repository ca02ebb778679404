/* SPDX-License-Identifier: BSD-3-Clause */
/* far/link.c: links, and a call on one of them. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "base/call.h"
#include "base/heap.h"
#include "base/report.h"
#include "base/run_socket.h"
#include "base/sys.h"
#include "base/util.h"
#include "far/link.h"

#define WHO "process=own"
/* as many stay connected as there are likely to be calls at the same time */
#define KEPT 16u

struct far_links {
	const char *run_dir;
	void (*on_hello)(void *arg);
	void *arg;
	void (*find_place)(struct client_place *out); /* or NULL; with stop */
	void (*stop)(void);
	pthread_mutex_t lock; /* a leaf; guards what follows */
	uint64_t self;	      /* the number of HELLO; 0: not said yet */
	int idle[KEPT];
	unsigned num_idle;
};

struct far_links *far_links_new(const char *run_dir)
{
	struct far_links *l = heap_alloc(sizeof(*l));

	if (!l)
		return NULL;
	l->run_dir = run_dir;
	pthread_mutex_init(&l->lock, NULL);
	return l;
}

void far_links_abandon(struct far_links *l)
{
	pthread_mutex_init(&l->lock, NULL);
	l->num_idle = 0;
	l->self = 0;
}

void far_links_on_hello(struct far_links *l, void (*fn)(void *arg), void *arg)
{
	l->on_hello = fn;
	l->arg = arg;
}

void far_links_set_place(struct far_links *l, void (*fn)(struct client_place *out),
			 void (*stop)(void))
{
	l->find_place = fn;
	l->stop = stop;
}

/* ---- packets ---- */

/* Send @r with @n descriptors: 0 or -errno. */
static int send_request(int link, struct far_request *r, const int *fds, size_t n)
{
	union {
		char buf[CMSG_SPACE(FAR_FDS * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov[] = { { r, sizeof(*r) }, { (void *)(uintptr_t)fds, n * sizeof(int32_t) } };
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = n ? 2 : 1 };
	struct cmsghdr *c;
	long rc;

	r->num_fds = (uint32_t)n;
	if (n) {
		m.msg_control = control.buf;
		m.msg_controllen = CMSG_SPACE(n * sizeof(int));
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(c), fds, n * sizeof(int));
	}
	do
		rc = sys_call(SYS_sendmsg, link, (long)&m, MSG_NOSIGNAL, 0, 0, 0);
	while (rc == -EINTR);
	return rc < 0 ? (int)rc : 0;
}

static int receive(int link, struct far_reply *out)
{
	long n;

	do
		n = sys_call(SYS_recvfrom, link, (long)out, sizeof(*out), 0, 0, 0);
	while (n == -EINTR);
	return n < 0 ? (int)n : n == sizeof(*out) ? 0 : -ECONNRESET;
}

/* ---- links ---- */

/* Say which process this is, and hand its memory over. 0 or -errno. */
static int hello(int link, uint64_t self)
{
	struct far_request r = { .op = FAR_HELLO, .a = self };
	struct far_reply reply;
	int mem = sys_open("/proc/self/mem", O_RDWR | O_CLOEXEC, 0), rc;

	if (mem < 0)
		return mem;
	rc = send_request(link, &r, &mem, 1);
	sys_close(mem);
	if (!rc)
		rc = receive(link, &reply);
	return rc ? rc : (int)reply.value;
}

/* Return a link of its own for the process @self: a private descriptor, or -errno. */
static int connect_new(struct far_links *l, uint64_t self)
{
	int own = run_socket_connect(l->run_dir, FAR_SOCKET, SOCK_SEQPACKET), rc;

	if (own < 0)
		return own;
	rc = hello(own, self);
	if (!rc)
		return own;
	fd_close_private(own);
	return rc;
}

/* Take a link that nobody uses, or make one: its descriptor, or -errno. */
static int take(struct far_links *l)
{
	bool first = false;
	uint64_t self;
	int link = -1;

	pthread_mutex_lock(&l->lock);
	if (!l->self) {
		if (sys_call(SYS_getrandom, (long)&l->self, sizeof(l->self), 0, 0, 0, 0) < 0)
			l->self = now_ns();
		l->self |= 1;
		first = true;
	}
	self = l->self;
	if (l->num_idle)
		link = l->idle[--l->num_idle];
	pthread_mutex_unlock(&l->lock);
	if (link < 0)
		link = connect_new(l, self);
	if (link >= 0 && first && l->on_hello)
		l->on_hello(l->arg);
	return link;
}

static void give_back(struct far_links *l, int link)
{
	pthread_mutex_lock(&l->lock);
	if (l->num_idle < KEPT) {
		l->idle[l->num_idle++] = link;
		link = -1;
	}
	pthread_mutex_unlock(&l->lock);
	fd_close_private(link);
}

/* ---- calls ---- */

/* Make a descriptor of the file that the call made, and send it. 0 or -errno. */
static int install_file(int link, const struct far_reply *asked, far_install_fn *install, void *arg)
{
	int fd = install ? install(arg, &asked->info, (int)asked->value) : -EINVAL;
	struct far_request r = { .op = FAR_INSTALLED, .a = (uint64_t)(int64_t)fd };

	return send_request(link, &r, &fd, fd >= 0);
}

static int make_call(int link, struct far_request *r, const int *fds, size_t num_fds,
		     far_install_fn *install, void *arg, struct far_reply *reply)
{
	struct far_request more = { .op = FAR_MORE };
	int rc = 0;

	for (; num_fds > FAR_FDS && !rc; fds += FAR_FDS, num_fds -= FAR_FDS)
		rc = send_request(link, &more, fds, FAR_FDS);
	if (!rc)
		rc = send_request(link, r, fds, num_fds);
	while (!rc) {
		rc = receive(link, reply);
		if (rc || reply->answer == FAR_DONE)
			break;
		rc = install_file(link, reply, install, arg);
	}
	return rc;
}

long far_call(struct far_links *l, struct far_request *r, const int *fds, size_t num_fds,
	      far_install_fn *install, void *arg, struct far_reply *out)
{
	struct far_reply reply = { 0 };
	int link = take(l), rc;

	r->place.ip = call_current ? (uintptr_t)call_current->from.ip : 0;
	if (l->find_place)
		l->find_place(&r->place);
	rc = link < 0 ? link : make_call(link, r, fds, num_fds, install, arg, &reply);
	if (rc) {
		fd_close_private(link);
		return report_err(REPORT_LIMITED("own-process-gone"), WHO, -ENODEV,
				  "the process that has the run's devices does not answer: %s",
				  strerror(-rc));
	}
	give_back(l, link);
	if (reply.stop && l->stop)
		l->stop();
	if (out)
		*out = reply;
	return reply.value;
}
