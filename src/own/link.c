/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * own/link.c: one link of a process: a thread that takes a call, makes it by uapi/ as that process
 * (base/client.h), and answers. A call may wait, as in the kernel; the process has other links for
 * its other threads.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/call.h"
#include "base/sys.h"
#include "base/thread.h"
#include "own/internal.h"

/* No argument has more: vectors of MSI-X, twice. */
#define MAX_FDS 4096u

/* The link whose call this thread makes. */
static __thread struct own_link *current;

/* ---- packets ---- */

static void drop_fds(struct own_link *l)
{
	for (unsigned i = 0; i < l->num_fds; i++)
		fd_close_private(l->fds[i]);
	l->num_fds = 0;
}

static bool room_for(struct own_link *l, unsigned n)
{
	unsigned cap = l->num_fds + n;
	int *p;

	if (cap <= l->cap)
		return true;
	p = realloc(l->fds, cap * sizeof(int));
	if (!p)
		return false;
	l->fds = p;
	p = realloc(l->numbers, cap * sizeof(int));
	if (!p)
		return false;
	l->numbers = p;
	l->cap = cap;
	return true;
}

/* Keep the descriptors of a packet, by their numbers. 0 or -errno; none is left open. */
static int keep_fds(struct own_link *l, const struct far_request *r, const int32_t *numbers,
		    const int *fds, unsigned n)
{
	bool good = n == r->num_fds && n <= FAR_FDS && l->num_fds + n <= MAX_FDS && room_for(l, n);

	for (unsigned i = 0; i < n; i++) {
		int own = good ? fd_make_private(fds[i]) : -1;

		if (own < 0) {
			sys_close(fds[i]);
			good = false;
			continue;
		}
		l->fds[l->num_fds] = own;
		l->numbers[l->num_fds++] = numbers[i];
	}
	return good ? 0 : -EPROTO;
}

/* Receive a packet: 0; -ECONNRESET: it was the last; or -errno: the peer is none of ours. */
static int receive(struct own_link *l, struct far_request *r)
{
	union {
		char buf[CMSG_SPACE(FAR_FDS * sizeof(int))];
		struct cmsghdr align;
	} control;
	int32_t numbers[FAR_FDS];
	struct iovec iov[] = { { r, sizeof(*r) }, { numbers, sizeof(numbers) } };
	struct msghdr m = { .msg_iov = iov,
			    .msg_iovlen = 2,
			    .msg_control = control.buf,
			    .msg_controllen = sizeof(control.buf) };
	unsigned n = 0;
	int fds[FAR_FDS];
	ssize_t len;

	memset(r, 0, sizeof(*r));
	do
		len = recvmsg(l->fd, &m, MSG_CMSG_CLOEXEC);
	while (len < 0 && errno == EINTR);
	for (struct cmsghdr *c = len < 0 ? NULL : CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(fds, CMSG_DATA(c), n * sizeof(int));
	}
	if (len <= 0)
		return -ECONNRESET;
	if (keep_fds(l, r, numbers, fds, n))
		return -EPROTO;
	return (size_t)len < sizeof(*r) + n * sizeof(int32_t) ||
			       m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)
		       ? -EPROTO
		       : 0;
}

static int reply(struct own_link *l, const struct far_reply *r)
{
	ssize_t n;

	do
		n = send(l->fd, r, sizeof(*r), MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

/* ---- what a call asks of us (struct uapi_fds) ---- */

struct uapi_file *own_fget(void *arg, int fd, int *err)
{
	struct own *o = arg;
	int ours = client_fd(fd);
	struct stat st;

	*err = ours < 0 ? -EBADF : 0;
	if (ours < 0 || fstat(ours, &st))
		return NULL;
	return own_files_get(&o->files, st.st_dev, st.st_ino);
}

static void describe(struct uapi_file *f, struct far_info *out)
{
	struct pci_address a;

	memset(out, 0, sizeof(*out));
	out->kind = uapi_file_kind(f);
	out->group = (int32_t)uapi_file_group(f);
	snprintf(out->link, sizeof(out->link), "%s", uapi_file_link(f));
	if (uapi_file_address(f, &a))
		pci_address_print(&a, out->device);
}

int own_install(void *arg, struct uapi_file *file, int flags)
{
	struct own_link *l = current;
	struct far_reply ask = { .answer = FAR_INSTALL, .value = flags };
	struct far_request r;
	unsigned before = l->num_fds;
	int rc, number;

	/* files that are waited for, or whose state is a stream, are not served to others */
	if (uapi_file_can(file) & UAPI_IS_STREAM ||
	    (uapi_file_kind(file) != VFIO_FILE_CONTAINER &&
	     uapi_file_kind(file) != VFIO_FILE_GROUP && uapi_file_kind(file) != VFIO_FILE_DEVICE))
		return report_warn("own-file", WHO, -EOPNOTSUPP,
				   "%s: such a file cannot be had from devices with process=own",
				   uapi_file_link(file));
	describe(file, &ask.info);
	rc = reply(l, &ask);
	if (!rc)
		rc = receive(l, &r);
	if (rc)
		return rc;
	number = (int)(int64_t)r.a;
	if (r.op != FAR_INSTALLED || (number >= 0) != (l->num_fds == before + 1))
		return -EPROTO;
	if (number < 0)
		return number;
	rc = own_files_add(&l->own->files, l->fds[before], file);
	/* what is left of the call must not keep it from its last close */
	fd_close_private(l->fds[before]);
	l->num_fds = before;
	return rc ? rc : number;
}

/* ---- calls ---- */

static int say_hello(struct own_link *l, const struct far_request *r)
{
	int mem = l->num_fds == 1 ? l->fds[0] : -1;

	if (l->process || mem < 0)
		return -EPROTO;
	l->num_fds = 0;
	l->process = own_process_join(l->own, r->a, mem);
	return l->process ? 0 : -ENOMEM;
}

void own_links_reap(struct own *o)
{
	struct own_link *l;
	bool found = true;

	pthread_mutex_lock(&o->lock);
	while (found) {
		found = false;
		cds_list_for_each_entry(l, &o->links, node) {
			struct pollfd p = { .fd = l->fd, .events = POLLRDHUP };

			if (l != current && poll(&p, 1, 0) > 0)
				found = true;
		}
		if (found)
			pthread_cond_wait(&o->gone, &o->lock);
	}
	pthread_mutex_unlock(&o->lock);
}

static long open_node(struct own_link *l, const char *path, int flags)
{
	const struct vfio_node *node;
	struct machine *m = l->own->m;
	struct uapi_file *f;
	unsigned id;
	int rc;

	node = vfio_node_find(path, &id, NULL);
	if (node && node->kind != VFIO_FILE_CONTAINER && node->kind != VFIO_FILE_GROUP)
		return report_warn("own-node", WHO, -ENODEV,
				   "%s cannot be had from devices with process=own, whose users "
				   "come by their group's file",
				   path);
	own_links_reap(l->own);
	own_files_drain(&l->own->files);
	do {
		rc = machine_sync(m);
		if (!rc)
			rc = uapi_open(machine_system(m), &l->own->fds, path, flags, &f);
	} while (rc == -EAGAIN);
	if (rc)
		return rc;
	/* fs/open.c, do_dentry_open(): asked of a file that is open already */
	rc = flags & O_DIRECT ? -EINVAL : own_install(l->own, f, flags);
	if (rc < 0)
		uapi_file_put(f);
	return rc;
}

static bool may_access(uint64_t size)
{
	return size >= 1 && size <= 8;
}

/* Make a call on a file. */
static long on_file(struct own_link *l, const struct far_request *r, struct uapi_file *f,
		    struct far_reply *out)
{
	uint64_t value = r->c;
	long rc;

	switch (r->op) {
	case FAR_ASK:
		describe(f, &out->info);
		return 0;
	case FAR_IOCTL:
		rc = uapi_ioctl(f, (unsigned)r->a, r->b);
		return rc;
	case FAR_READ:
		return uapi_pread(f, (void *)r->a, r->b, r->c);
	case FAR_WRITE:
		return uapi_pwrite(f, (void *)r->a, r->b, r->c);
	case FAR_READ_ON:
		return uapi_read(f, (void *)r->a, r->b);
	case FAR_WRITE_ON:
		return uapi_write(f, (void *)r->a, r->b);
	case FAR_SEEK:
		return uapi_lseek(f, (int64_t)r->a, (int)r->b);
	case FAR_MMAP:
		rc = uapi_mmap_check(f, r->a, (int)r->b, (int)r->c, r->d);
		return rc ? rc : own_process_hold(l->own, l->process, r->dev, r->ino);
	case FAR_HOLD:
		return own_process_hold(l->own, l->process, r->dev, r->ino);
	case FAR_LOAD:
	case FAR_STORE:
		if (!may_access(r->b) || !uapi_file_device(f))
			return -EPROTO;
		if (uapi_mmap_check(f, r->b, 0, MAP_SHARED, r->a & ~(PAGE_SIZE_4K - 1)))
			return -EIO;
		rc = uapi_mmio(f, r->a, (unsigned)r->b, &value, r->op == FAR_STORE);
		out->data = value;
		return rc;
	}
	return -EPROTO;
}

/* Make the call @r: its value. -EPROTO: it is none. */
static long make_call(struct own_link *l, const struct far_request *r, struct far_reply *out)
{
	struct uapi_file *f;
	long rc;

	if (r->op == FAR_HELLO)
		return say_hello(l, r);
	if (!l->process)
		return -EPROTO;
	/* what was closed before the call is closed for it */
	own_files_drain(&l->own->files);
	if (r->op == FAR_OPEN)
		return open_node(l, r->path, (int)r->a);
	if (r->op == FAR_DROP) {
		own_process_drop(l->own, l->process, r->dev, r->ino);
		own_files_drain(&l->own->files);
		return 0;
	}
	f = own_files_get(&l->own->files, r->dev, r->ino);
	if (!f)
		return -ENODEV;
	rc = on_file(l, r, f, out);
	uapi_file_put(f);
	return rc;
}

/* Serve one call, of which @r is the packet that says it. 0 or -errno: the link is over. */
static int serve(struct own_link *l, const struct far_request *r)
{
	/* as the program calls them, for lines of the log */
	static const char *const call_names[] = {
		[0] = "call",
		[FAR_HELLO] = "hello",
		[FAR_OPEN] = "open",
		[FAR_ASK] = "fstat",
		[FAR_MORE] = "call",
		[FAR_IOCTL] = "ioctl",
		[FAR_READ] = "pread",
		[FAR_WRITE] = "pwrite",
		[FAR_READ_ON] = "read",
		[FAR_WRITE_ON] = "write",
		[FAR_SEEK] = "lseek",
		[FAR_MMAP] = "mmap",
		[FAR_HOLD] = "fork",
		[FAR_DROP] = "munmap",
		[FAR_LOAD] = "memory access",
		[FAR_STORE] = "memory access",
		[FAR_INSTALLED] = "call",
	};
	struct far_reply out = { .answer = FAR_DONE };
	struct call_frame frame;
	struct client c = { 0 };
	bool stop = false;

	if (l->process) {
		c.mem = l->process->mem;
		c.target = l->process->memory;
		c.fds = l->fds;
		c.numbers = l->numbers;
		c.num_fds = l->num_fds;
		c.place = &r->place;
		c.stop = &stop;
		client_now = &c;
	}
	call_enter(&frame, call_names[r->op < ARRAY_SIZE(call_names) ? r->op : 0],
		   (struct call_site){ .ip = (const void *)(uintptr_t)r->place.ip });
	out.value = make_call(l, r, &out);
	call_leave(&frame);
	client_now = NULL;
	out.stop = stop;
	drop_fds(l);
	return out.value == -EPROTO ? -EPROTO : reply(l, &out);
}

static void *run(void *arg)
{
	struct own_link *l = arg;
	struct own *o = l->own;
	struct far_request r;
	int rc;

	current = l;
	do {
		rc = receive(l, &r);
		r.path[FAR_PATH - 1] = '\0';
		r.place.thread[sizeof(r.place.thread) - 1] = '\0';
		if (r.place.n > CLIENT_FRAMES)
			r.place.n = 0;
		if (!rc && r.op != FAR_MORE)
			rc = serve(l, &r);
	} while (!rc);
	if (rc == -EPROTO)
		report_err("own-protocol", WHO, rc, "a process sends what is no call: cut off");
	drop_fds(l);
	if (l->process)
		own_process_leave(o, l->process);
	if (!o->late)
		own_files_drain(&o->files);
	free(l->fds);
	free(l->numbers);
	pthread_mutex_lock(&o->lock);
	cds_list_del(&l->node);
	fd_close_private(l->fd);
	pthread_cond_broadcast(&o->gone);
	pthread_mutex_unlock(&o->lock);
	free(l);
	return NULL;
}

int own_link_start(struct own *o, int fd)
{
	struct own_link *l = calloc(1, sizeof(*l));
	int rc = -ENOMEM;

	if (!l)
		goto fail;
	l->own = o;
	l->fd = fd_make_private(fd);
	rc = l->fd;
	if (rc < 0)
		goto fail;
	fd = -1;
	pthread_mutex_lock(&o->lock);
	cds_list_add(&l->node, &o->links);
	rc = thread_start(&l->thread, run, l, "uvfio-link");
	if (rc)
		cds_list_del(&l->node);
	else
		pthread_detach(l->thread);
	pthread_mutex_unlock(&o->lock);
	if (!rc)
		return 0;
	fd_close_private(l->fd);
fail:
	free(l);
	if (fd >= 0)
		sys_close(fd);
	return report_err("own-link", WHO, rc, "a process cannot be served");
}
