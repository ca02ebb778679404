/* SPDX-License-Identifier: BSD-3-Clause */
/* base/client.c: arguments of a call, from this process or from another one. */
#include <errno.h>
#include <string.h>

#include "base/client.h"
#include "base/guard.h"
#include "base/sys.h"
#include "base/util.h"

__thread const struct client *client_now;
__thread struct client_given client_given;

/* Read or write the memory of the other process; returns how many bytes there were. */
static size_t far_copy(const struct client *c, void *buf, uintptr_t addr, size_t n, bool write)
{
	size_t done = 0;
	ssize_t rc;

	/* a position is signed: the upper half is no program's */
	while (done < n && addr + done <= INT64_MAX) {
		rc = write ? sys_pwrite(c->mem, (const char *)buf + done, n - done,
					(off_t)(addr + done))
			   : sys_pread(c->mem, (char *)buf + done, n - done, (off_t)(addr + done));
		if (rc == -EINTR)
			continue;
		if (rc <= 0) /* EIO; 0: the process has gone */
			break;
		done += (size_t)rc;
	}
	return done;
}

size_t client_get_part(void *dst, uintptr_t addr, size_t n)
{
	return client_now ? far_copy(client_now, dst, addr, n, false)
			  : guard_copy_part(dst, (const void *)addr, n);
}

int client_get(void *dst, uintptr_t addr, size_t n)
{
	if (!client_now)
		return guard_copy(dst, (const void *)addr, n);
	return far_copy(client_now, dst, addr, n, false) == n ? 0 : -EFAULT;
}

int client_put(uintptr_t addr, const void *src, size_t n)
{
	if (!client_now)
		return guard_copy((void *)addr, src, n);
	return far_copy(client_now, (void *)(uintptr_t)src, addr, n, true) == n ? 0 : -EFAULT;
}

long client_get_string(char *dst, uintptr_t addr, size_t max)
{
	size_t at = 0, n, got;
	char *end;

	if (!client_now)
		return guard_strncpy(dst, (const char *)addr, max);
	while (at < max) {
		/* what lies behind the string's page may not be there */
		n = PAGE_SIZE_4K - (addr + at) % PAGE_SIZE_4K;
		if (n > max - at)
			n = max - at;
		got = far_copy(client_now, dst + at, addr + at, n, false);
		end = memchr(dst + at, 0, got);
		if (end)
			return end - dst;
		if (got < n)
			return -EFAULT;
		at += n;
	}
	return -ENAMETOOLONG;
}

int client_fd(int fd)
{
	const struct client *c = client_now;

	if (!c)
		return fd < 0 || fd_is_private(fd) ? -EBADF : fd;
	for (unsigned i = 0; i < c->num_fds; i++)
		if (c->numbers[i] == fd)
			return c->fds[i];
	return -EBADF;
}

int client_keep_fd(int fd)
{
	int own;

	fd = client_fd(fd);
	if (fd < 0)
		return fd;
	for (unsigned i = 0; i < client_given.num_fds; i++) {
		if (client_given.fds[i] != fd)
			continue;
		own = fd_adopt(fd);
		if (own >= 0)
			client_given.fds[i] = -1;
		return own;
	}
	return fd_dup_private(fd);
}
