/* SPDX-License-Identifier: BSD-3-Clause */
/* base/run_socket.c: listening at, and connecting to, a socket in a directory. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/run_socket.h"
#include "base/sys.h"

/* Put "/proc/self/fd/DIR/NAME" into *@a: the descriptor of @dir, to be closed, or -errno. */
static int address_in(const char *dir, const char *name, struct sockaddr_un *a)
{
	int fd = sys_open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
	char of[SYS_FD_NAME];

	*a = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (fd >= 0)
		snprintf(a->sun_path, sizeof(a->sun_path), "%s/%s", sys_fd_name(of, fd), name);
	return fd;
}

int run_socket_listen(const char *dir, const char *name, int type)
{
	struct sockaddr_un a;
	int at = address_in(dir, name, &a), fd, rc;
	mode_t mask;

	if (at < 0)
		return at;
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	rc = fd < 0 ? -errno : 0;
	if (!rc) {
		/* nobody else may connect, at no moment */
		mask = umask(0177);
		rc = bind(fd, (struct sockaddr *)&a, sizeof(a)) ? -errno : 0;
		umask(mask);
		if (!rc && listen(fd, 64))
			rc = -errno;
		if (rc)
			close(fd);
	}
	sys_close(at);
	return rc ? rc : fd;
}

int run_socket_connect(const char *dir, const char *name, int type)
{
	int own = fd_own(fd_of_ours(SYS_socket, AF_UNIX, type | SOCK_CLOEXEC, 0, 0)), at;
	struct sockaddr_un a;
	long rc;

	if (own < 0)
		return own;
	at = address_in(dir, name, &a);
	rc = at < 0 ? at : sys_call(SYS_connect, own, (long)&a, sizeof(a), 0, 0, 0);
	if (at >= 0)
		sys_close(at);
	if (!rc)
		return own;
	fd_close_private(own);
	return (int)rc;
}
