/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/pagemap.c: /proc/self/pagemap in a run without an IOMMU. There a program finds the physical
 * addresses of its memory, which it gives to its devices. The file is the kernel's, and so is what
 * it says of each page; but the number of the page frame becomes the one that the machine's devices
 * know (vfio/physical.h), for who may see it.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/guard.h"
#include "shim/calls.h"
#include "shim/handles.h"
#include "shim/pagemap.h"
#include "shim/scope.h"

/* Documentation/admin-guide/mm/pagemap.rst */
#define PRESENT (1ull << 63)
#define FRAME	((1ull << 55) - 1)

static atomic_bool any; /* one was opened */

/* True if @text, a link of /proc/self/fd, is the pagemap of this process, or of a thread of it. */
static bool is_own(const char *text)
{
	unsigned pid, tid;
	int end = 0;

	if (sscanf(text, "/proc/%u/pagemap%n", &pid, &end) != 1 || !end)
		if (sscanf(text, "/proc/%u/task/%u/pagemap%n", &pid, &tid, &end) != 2 || !end)
			return false;
	return !text[end] && pid == (unsigned)sys_call(SYS_getpid, 0, 0, 0, 0, 0, 0);
}

static long run_is_own(void *arg)
{
	char text[64];
	long n = sys_readlink_fd(*(int *)arg, text, sizeof(text));

	return n > 0 && is_own(text);
}

bool shim_pagemap_path(const char *path)
{
	static const char name[] = "/pagemap";
	size_t n = shim.noiommu && path ? strlen(path) : 0;

	return n >= sizeof(name) && !strcmp(path + n - (sizeof(name) - 1), name);
}

void shim_pagemap_opened(int fd)
{
	if (!shim_run(run_is_own, &fd))
		return;
	shim_fd_mark(fd, false);
	atomic_store(&any, true);
}

struct read_args {
	int fd;
	const struct iovec *iov;
	size_t n, len;
	int64_t pos; /* of what was read; -1: the file's own was, and is behind it */
};

/* Put frames of the machine's into the entries at @buf, which begin with that of @page. */
static void put_frames(struct machine *m, char *buf, size_t n, uint64_t page)
{
	uint64_t e;

	for (size_t at = 0; at + sizeof(e) <= n; at += sizeof(e), page++) {
		if (guard_copy(&e, buf + at, sizeof(e)))
			return;
		e &= ~FRAME;
		if (m && e & PRESENT)
			e |= machine_physical_of(m, page * PAGE_SIZE_4K) / PAGE_SIZE_4K;
		if (guard_copy(buf + at, &e, sizeof(e)))
			return;
	}
}

static long run_read(void *arg)
{
	struct read_args *a = arg;
	struct machine *m;
	struct iovec v;
	int err;

	if (!run_is_own(&a->fd))
		return 0;
	if (a->pos < 0)
		a->pos = sys_call(SYS_lseek, a->fd, 0, SEEK_CUR, 0, 0, 0) - (int64_t)a->len;
	m = shim_machine(&err);
	/* an entry that lies in two pieces is of nobody: the kernel reads whole ones */
	for (size_t i = 0; i < a->n && a->len; i++) {
		if (guard_copy(&v, &a->iov[i], sizeof(v)))
			break;
		if (v.iov_len > a->len)
			v.iov_len = a->len;
		put_frames(m, v.iov_base, v.iov_len, (uint64_t)a->pos / sizeof(uint64_t));
		a->pos += (int64_t)v.iov_len;
		a->len -= v.iov_len;
	}
	return 0;
}

void shim_pagemap_read(int fd, const struct iovec *iov, size_t n, size_t len, int64_t pos)
{
	struct read_args a = { fd, iov, n, len, pos };
	int saved = errno;

	if (atomic_load_explicit(&any, memory_order_relaxed) && shim_fd_maybe_view(fd))
		shim_run(run_read, &a);
	errno = saved;
}

/* ---- streams: what libc reads inside of them does not come here ---- */

static ssize_t stream_read(void *cookie, char *buf, size_t n)
{
	return read((int)(intptr_t)cookie, buf, n);
}

static int stream_seek(void *cookie, off64_t *pos, int whence)
{
	off64_t at = lseek64((int)(intptr_t)cookie, *pos, whence);

	if (at >= 0)
		*pos = at;
	return at < 0 ? -1 : 0;
}

static int stream_close(void *cookie)
{
	return close((int)(intptr_t)cookie);
}

FILE *shim_pagemap_stream(int fd, const char *mode)
{
	static const cookie_io_functions_t calls = { .read = stream_read,
						     .seek = stream_seek,
						     .close = stream_close };

	return fopencookie((void *)(intptr_t)fd, mode, calls);
}
