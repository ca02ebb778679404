/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cli/sweep.c: a process beside a server in its sandbox, which may not remove its sockets. It holds
 * one end of a pipe and nothing else, and sees by its end that the server is gone.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/sweep.h"

struct left {
	const char *path;
	dev_t dev;
	ino_t ino;
};

static int pipe_end = -1;
static pid_t sweeper;

static void sweep(int fd, const struct left *left, unsigned n)
{
	struct stat st;
	char c;

	/* not whoever else reads what the server writes, or connects to its sockets */
	dup2(fd, STDIN_FILENO);
	close_range(STDIN_FILENO + 1, ~0u, 0);
	/* a terminal's signals are the server's */
	setsid();
	while (read(STDIN_FILENO, &c, 1) < 0 && errno == EINTR)
		;
	for (unsigned i = 0; i < n; i++)
		if (left[i].path && !lstat(left[i].path, &st) && st.st_dev == left[i].dev &&
		    st.st_ino == left[i].ino)
			unlink(left[i].path);
}

int sweep_start(const char *const *paths, unsigned n)
{
	struct left *left = calloc(n ? n : 1, sizeof(*left));
	int ends[2], rc = 0;
	struct stat st;

	if (!left)
		return -ENOMEM;
	if (pipe2(ends, O_CLOEXEC)) {
		rc = -errno;
		goto out;
	}
	for (unsigned i = 0; i < n; i++)
		if (paths[i] && !lstat(paths[i], &st))
			left[i] = (struct left){ paths[i], st.st_dev, st.st_ino };
	/* no handlers of fork(): the child makes system calls, and nothing else */
	sweeper = _Fork();
	if (!sweeper) {
		sweep(ends[0], left, n);
		_exit(0);
	}
	rc = sweeper < 0 ? -errno : 0;
	close(ends[0]);
	if (rc)
		close(ends[1]);
	else
		pipe_end = ends[1];
out:
	free(left);
	return rc;
}

void sweep_end(void)
{
	if (pipe_end < 0)
		return;
	close(pipe_end);
	pipe_end = -1;
	while (waitpid(sweeper, NULL, 0) < 0 && errno == EINTR)
		;
}
