/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * base/sys_test.c: raw calls return what the kernel returns; private descriptors are where programs
 * do not look and are known.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/sys.h"

static void test_raw(void **state)
{
	char buf[8] = "";
	int fd, n = -1;
	void *p;

	errno = 77;
	assert_int_equal(sys_call(SYS_getpid, 0, 0, 0, 0, 0, 0), getpid());
	assert_int_equal(sys_open("/nonexistent/x", O_RDONLY, 0), -ENOENT);
	assert_int_equal(sys_close(-1), -EBADF);
	/* all six arguments arrive */
	p = (void *)sys_call(SYS_mmap, 0, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true((long)p > 0);
	assert_int_equal(sys_call(SYS_munmap, (long)p, 8192, 0, 0, 0, 0), 0);
	fd = memfd_create("sys_test", 0);
	assert_int_equal(sys_pwrite(fd, "abcdef", 6, 2), 6);
	assert_int_equal(sys_pread(fd, buf, 4, 3), 4);
	assert_memory_equal(buf, "bcde", 4);
	p = (void *)sys_call(SYS_mmap, 0, 4096, PROT_READ, MAP_SHARED, fd, 4096);
	assert_true((long)p > 0);
	munmap(p, 4096);
	assert_int_equal(sys_write(fd, "xy", 2), 2);
	assert_int_equal(sys_read(fd, buf, 2), 2);
	assert_memory_equal(buf, "ab", 2);
	assert_int_equal(sys_ioctl(fd, TIOCGWINSZ, &n), -ENOTTY);
	assert_int_equal(sys_close(fd), 0);
	assert_int_equal(errno, 77); /* errno is the program's */
}

static void test_names(void **state)
{
	char name[SYS_FD_NAME], text[32];
	int fd = memfd_create("sys_test", 0);

	assert_string_equal(sys_fd_name(name, 0), "/proc/self/fd/0");
	assert_string_equal(sys_fd_name(name, 1048575), "/proc/self/fd/1048575");
	/* a number that is none is no file either */
	assert_string_equal(sys_fd_name(name, -1), "/proc/self/fd/4294967295");
	assert_int_equal(sys_readlink_fd(fd, text, sizeof(text)), 25);
	assert_string_equal(text, "/memfd:sys_test (deleted)");
	assert_int_equal(sys_readlink_fd(fd, text, 8), 7);
	assert_string_equal(text, "/memfd:");
	sys_close(fd);
	assert_int_equal(sys_readlink_fd(fd, text, sizeof(text)), -ENOENT);
	assert_false(sys_failed(0));
	assert_false(sys_failed(-4096));
	assert_true(sys_failed(-4095));
	assert_true(sys_failed(-1));
}

static void count(int fd, void *arg)
{
	int *c = arg;

	c[0]++;
	c[1] = fd;
}

static void test_private(void **state)
{
	int fd = open("/dev/null", O_RDONLY), p, q, c[2] = { 0 };
	struct rlimit rl;

	getrlimit(RLIMIT_NOFILE, &rl);
	assert_false(fd_is_private(fd));
	assert_false(fd_is_private(-1));
	assert_false(fd_is_private(INT32_MAX));
	p = fd_dup_private(fd);
	assert_true(p > 128 && (rlim_t)p < rl.rlim_cur && p < 4096);
	assert_true(fd_is_private(p));
	assert_int_equal(fcntl(p, F_GETFD), FD_CLOEXEC);
	q = fd_make_private(fd);
	assert_true(q > p && fd_is_private(q));
	assert_int_equal(fcntl(fd, F_GETFD), -1); /* moved */
	fd_for_each_private(count, c)
		;
	assert_int_equal(c[0], 2);
	assert_int_equal(c[1], q);
	fd_close_private(p);
	assert_false(fd_is_private(p));
	assert_int_equal(fcntl(p, F_GETFD), -1);
	/* not ours: not touched */
	fd_close_private(1);
	assert_int_not_equal(fcntl(1, F_GETFD), -1);
	fd_close_private(q);
	assert_int_equal(fd_dup_private(fd), -EBADF);
	assert_int_equal(fd_make_private(-1), -EBADF);
}

/* root could raise the hard limit */
static void drop_capability(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &head, data))
		_exit(101);
	data[CAP_TO_INDEX(CAP_SYS_RESOURCE)].effective &= ~CAP_TO_MASK(CAP_SYS_RESOURCE);
	if (syscall(SYS_capset, &head, data))
		_exit(102);
}

/* A program with a small limit, and one that has used it up. */
static void small_limit(void)
{
	struct rlimit rl = { 64, 64 };
	int p, fd;

	drop_capability();
	if (setrlimit(RLIMIT_NOFILE, &rl))
		_exit(1);
	p = fd_dup_private(0);
	if (p < 3 || p >= 64 || !fd_is_private(p))
		_exit(2);
	while ((fd = dup(0)) >= 0)
		;
	if (fd_dup_private(0) != -EMFILE)
		_exit(3);
	/* one free number, below where private ones start */
	close(4);
	if (fd_dup_private(0) != 4)
		_exit(4);
	_exit(0);
}

/*
 * Above its soft limit there is room, which is not the program's: it has all its numbers for
 * itself.
 */
static void beyond_limit(void)
{
	struct rlimit rl, now;
	int p, q, fd, n = 0, open = 0;

	drop_capability();
	if (getrlimit(RLIMIT_NOFILE, &rl) || rl.rlim_max < 128)
		_exit(1);
	for (fd = 0; fd < 64; fd++)
		open += fcntl(fd, F_GETFD) >= 0;
	rl.rlim_cur = 64;
	if (setrlimit(RLIMIT_NOFILE, &rl))
		_exit(2);
	p = fd_dup_private(0);
	if (p < 64 || !fd_is_private(p))
		_exit(3);
	while (dup(0) >= 0)
		n++;
	if (n + open != 64)
		_exit(4);
	q = fd_make_private((int)fd_of_ours(SYS_memfd_create, (long)"sys_test", MFD_CLOEXEC, 0, 0));
	if (q <= p)
		_exit(5);
	fd = sys_open("/dev/null", O_RDONLY | O_CLOEXEC, 0);
	if (fd < 64 || sys_open("/nonexistent/x", O_RDONLY, 0) != -ENOENT)
		_exit(6);
	if (getrlimit(RLIMIT_NOFILE, &now) || now.rlim_cur != rl.rlim_cur ||
	    now.rlim_max != rl.rlim_max || dup(0) >= 0)
		_exit(7);
	_exit(0);
}

static void run_child(void (*fn)(void))
{
	pid_t pid = fork();
	int st;

	if (!pid)
		fn();
	assert_int_equal(waitpid(pid, &st, 0), pid);
	assert_int_equal(st, 0);
}

static void test_small_limit(void **state)
{
	run_child(small_limit);
	run_child(beyond_limit);
}

static void test_clock(void **state)
{
	uint64_t a = now_ns(), b = now_ns();

	assert_true(a && b >= a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_raw),	cmocka_unit_test(test_names),
		cmocka_unit_test(test_private), cmocka_unit_test(test_small_limit),
		cmocka_unit_test(test_clock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
