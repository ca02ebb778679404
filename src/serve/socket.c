/* SPDX-License-Identifier: BSD-3-Clause */
/* serve/socket.c: listening sockets with a file of their own. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/sys.h"
#include "serve/socket.h"

#define BACKLOG 16

static int make_socket(int flags)
{
	return fd_own(fd_of_ours(SYS_socket, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0, 0));
}

/* Remove a socket that nobody listens at any more. 0, -EADDRINUSE, -EEXIST or -errno. */
static int remove_stale(const struct sockaddr_un *at)
{
	struct stat st;
	int fd, ret;

	if (lstat(at->sun_path, &st))
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	fd = make_socket(SOCK_NONBLOCK);
	if (fd < 0)
		return fd;
	ret = connect(fd, (const struct sockaddr *)at, sizeof(*at)) ? -errno : 0;
	fd_close_private(fd);
	if (ret != -ECONNREFUSED)
		return -EADDRINUSE;
	return unlink(at->sun_path) && errno != ENOENT ? -errno : 0;
}

int serve_socket_new(const char *path, unsigned mode, struct serve_socket *out)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	size_t len = strlen(path);
	struct stat st;
	int fd, ret;

	if (!len)
		return -ENOENT;
	if (len >= sizeof(at.sun_path))
		return -ENAMETOOLONG;
	memcpy(at.sun_path, path, len);
	ret = remove_stale(&at);
	if (ret)
		return ret;
	*out = (struct serve_socket){ .path = strdup(path) };
	if (!out->path)
		return -ENOMEM;
	ret = fd = make_socket(0);
	if (fd < 0)
		goto free;
	if (bind(fd, (struct sockaddr *)&at, sizeof(at))) {
		ret = -errno;
		goto close;
	}
	/* nobody can connect before it listens */
	if (chmod(path, mode) || lstat(path, &st) || listen(fd, BACKLOG)) {
		ret = -errno;
		unlink(path);
		goto close;
	}
	out->dev = st.st_dev;
	out->ino = st.st_ino;
	return fd;
close:
	fd_close_private(fd);
free:
	free(out->path);
	out->path = NULL;
	return ret;
}

void serve_socket_unlink(const struct serve_socket *s)
{
	struct stat st;

	if (s->path && !lstat(s->path, &st) && st.st_dev == s->dev && st.st_ino == s->ino)
		unlink(s->path);
}

void serve_socket_remove(struct serve_socket *s)
{
	serve_socket_unlink(s);
	free(s->path);
	s->path = NULL;
}
