/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/pollable_test.c: poll and its kin say of a stream's descriptor what was set; the kernel
 * reads and writes nothing of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cmocka.h>

#include "shim/handles.h"

#define NAME "memfd:uvfio:0.-.1:anon_inode:[a-stream]"

static short polled(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLOUT };

	assert_in_range(poll(&p, 1, 0), 0, 1);
	return p.revents;
}

static void test_poll(void **state)
{
	int signal = -1, fd = shim_pollable_open(NAME, 0, &signal), ep = epoll_create1(0);
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET };
	struct timeval none = { 0 };
	fd_set in;

	assert_true(fd >= 0 && signal >= 0);
	assert_true(fd_is_private(signal));
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(polled(fd), POLLOUT);
	assert_int_equal(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev), 0);
	assert_int_equal(epoll_wait(ep, &ev, 1, 0), 0);

	shim_pollable_set(signal, true);
	assert_int_equal(polled(fd), POLLIN | POLLOUT);
	assert_int_equal(epoll_wait(ep, &ev, 1, 0), 1);
	assert_int_equal(epoll_wait(ep, &ev, 1, 0), 0);
	FD_ZERO(&in);
	FD_SET(fd, &in);
	assert_int_equal(select(fd + 1, &in, NULL, NULL, &none), 1);

	shim_pollable_set(signal, false);
	assert_int_equal(polled(fd), POLLOUT);
	shim_pollable_set(signal, true);
	assert_int_equal(epoll_wait(ep, &ev, 1, 0), 1);
	close(ep);
	close(fd);
	fd_close_private(signal);
}

static void test_nothing_passes(void **state)
{
	int signal = -1, fd = shim_pollable_open(NAME, O_NONBLOCK, &signal);
	char c = 0, text[128] = "", path[32];

	assert_true(fd >= 0);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	shim_pollable_set(signal, true);
	assert_int_equal(read(fd, &c, 1), -1);
	assert_int_equal(errno, EBADF);
	assert_int_equal(write(fd, &c, 1), -1);
	assert_int_equal(errno, EINVAL);
	assert_ptr_equal(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0), MAP_FAILED);
	assert_int_equal(polled(fd), POLLIN | POLLOUT);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	assert_true(readlink(path, text, sizeof(text) - 1) > 0);
	assert_string_equal(text, "/" NAME " (deleted)");
	close(fd);
	fd_close_private(signal);
}

/* A process that was killed in the middle left the name. */
static void test_name_left(void **state)
{
	const int make = O_RDWR | O_CREAT | O_EXCL;
	int left = (int)sys_call(SYS_mq_open, (long)NAME, make, 0600, 0, 0, 0);
	int signal = -1, fd = shim_pollable_open(NAME, 0, &signal), other = -1, fd2;

	assert_true(left >= 0 && fd >= 0);
	close(left);
	fd2 = shim_pollable_open(NAME, 0, &other);
	assert_true(fd2 >= 0);
	shim_pollable_set(signal, true);
	assert_int_equal(polled(fd), POLLIN | POLLOUT);
	assert_int_equal(polled(fd2), POLLOUT); /* each is its own queue */
	close(fd);
	close(fd2);
	fd_close_private(signal);
	fd_close_private(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_poll),
		cmocka_unit_test(test_nothing_passes),
		cmocka_unit_test(test_name_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
