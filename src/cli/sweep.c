/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cli/sweep.c: a process beside a server in its sandbox, which may not remove its sockets. It holds
 * one end of a pipe and nothing else, and sees by its end that the server is gone.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/sweep.h"

/* @fd holds the inode, which no other file is given then when this one is gone. */
struct left {
	const char *path;
	int fd;
	dev_t dev;
	ino_t ino;
};

static int pipe_end = -1;
static pid_t sweeper;

/*
 * Remove the file, but no other: the next server may have replaced it, or be about to. So what is
 * taken away is looked at again, and put back if it is not the one.
 */
static void sweep_one(const struct left *left)
{
	char aside[PATH_MAX];
	struct stat st;

	if (lstat(left->path, &st) || st.st_dev != left->dev || st.st_ino != left->ino)
		return;
	if (snprintf(aside, sizeof(aside), "%s.%d", left->path, getpid()) >= (int)sizeof(aside))
		return;
	if (renameat2(AT_FDCWD, left->path, AT_FDCWD, aside, RENAME_NOREPLACE)) {
		/* a filesystem that cannot: there is no better way then */
		if (errno == EINVAL)
			unlink(left->path);
		return;
	}
	if (!lstat(aside, &st) && (st.st_dev != left->dev || st.st_ino != left->ino) &&
	    !renameat2(AT_FDCWD, aside, AT_FDCWD, left->path, RENAME_NOREPLACE))
		return;
	unlink(aside);
}

static int by_fd(const void *a, const void *b)
{
	return ((const struct left *)a)->fd - ((const struct left *)b)->fd;
}

/* @left is in the order of its descriptors. */
static void sweep(int fd, const struct left *left, unsigned n)
{
	int from = STDIN_FILENO + 1;
	char c;

	/* not whoever else reads what the server writes, or connects to its sockets */
	dup2(fd, STDIN_FILENO);
	for (unsigned i = 0; i < n; i++) {
		if (left[i].fd > from)
			close_range(from, left[i].fd - 1, 0);
		from = left[i].fd + 1;
	}
	close_range(from, ~0u, 0);
	/* a terminal's signals are the server's */
	setsid();
	while (read(STDIN_FILENO, &c, 1) < 0 && errno == EINTR)
		;
	for (unsigned i = 0; i < n; i++)
		sweep_one(&left[i]);
}

int sweep_start(const char *const *paths, unsigned n)
{
	struct left *left = calloc(n ? n : 1, sizeof(*left)), *to = left;
	int ends[2], rc = 0;
	struct stat st;

	if (!left)
		return -ENOMEM;
	if (pipe2(ends, O_CLOEXEC)) {
		rc = -errno;
		goto out;
	}
	for (unsigned i = 0; i < n; i++) {
		int fd = paths[i] ? open(paths[i], O_PATH | O_NOFOLLOW | O_CLOEXEC) : -1;

		if (fd < 0 && paths[i] && errno != ENOENT)
			rc = rc ? rc : -errno;
		if (fd >= 0 && !fstat(fd, &st))
			*to++ = (struct left){ paths[i], fd, st.st_dev, st.st_ino };
	}
	n = (unsigned)(to - left);
	qsort(left, n, sizeof(*left), by_fd);
	/* no handlers of fork(): the child makes system calls, and nothing else */
	sweeper = rc ? -1 : _Fork();
	if (!sweeper) {
		sweep(ends[0], left, n);
		_exit(0);
	}
	if (!rc && sweeper < 0)
		rc = -errno;
	for (unsigned i = 0; i < n; i++)
		close(left[i].fd);
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
