/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sweep_test.c: files are removed when the process ends that had it so, and those that took their
 * places are not. A server that is killed is often started again at once, and its new socket may
 * have the number of the old one's inode, where the filesystem gives numbers again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "cli/sweep.h"

/* in the build's folder: on a real filesystem numbers come again, on a tmpfs they do not */
static char path[64];

static int socket_at(const char *at)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(un.sun_path, at);
	if (fd < 0 || bind(fd, (struct sockaddr *)&un, sizeof(un)) || listen(fd, 1))
		_exit(2);
	return fd;
}

/* Have a child do it, and wait for its end and for the sweeper's. */
static void in_a_child(void (*fn)(void))
{
	int status, n = 0;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		fn();
		_exit(0);
	}
	while (wait(&status) > 0) {
		assert_int_equal(status, 0);
		n++;
	}
	assert_int_equal(n, 2);
}

static void sweep_path(void)
{
	const char *const paths[] = { path, NULL };

	if (sweep_start(paths, 2))
		_exit(3);
}

static void ends(void)
{
	socket_at(path);
	sweep_path();
}

static void is_swept(void **state)
{
	struct stat st;

	in_a_child(ends);
	assert_int_equal(lstat(path, &st), -1);
}

static void is_replaced(void)
{
	int fd = socket_at(path);

	sweep_path();
	close(fd);
	unlink(path);
	socket_at(path);
}

static void another_stays(void **state)
{
	struct stat st;

	for (unsigned i = 0; i < 3; i++) {
		in_a_child(is_replaced);
		assert_int_equal(lstat(path, &st), 0);
		assert_true(S_ISSOCK(st.st_mode));
		assert_int_equal(unlink(path), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_swept),
		cmocka_unit_test(another_stays),
	};

	snprintf(path, sizeof(path), "sweep_test.%d", getpid());
	/* the sweeper of a child that ended is ours to wait for */
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
