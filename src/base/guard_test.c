/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * base/guard_test.c: copies that end at, start in, and straddle into memory that is not there, for
 * every length that takes another path.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/guard.h"
#include "base/sanitize.h"
#include "base/test_signals.h"

#define PAGE 4096u
#define MAX  1500u

/* two pages, of which the second is not there */
static unsigned char *half;

static int setup(void **state)
{
	half = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return half == MAP_FAILED || mprotect(half + PAGE, PAGE, PROT_NONE) || guard_install();
}

static int teardown(void **state)
{
	return munmap(half, 2 * PAGE);
}

static void fill(unsigned char *p, size_t n, unsigned seed)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (unsigned char)(i * 7 + seed);
}

static void test_every_length(void **state)
{
	unsigned char src[MAX + 8], dst[MAX + 16];

	for (size_t n = 0; n < MAX; n += n < 600 ? 1 : 37) {
		for (unsigned skew = 0; skew < 8; skew += 3) {
			fill(src, sizeof(src), (unsigned)n);
			memset(dst, 0xee, sizeof(dst));
			assert_int_equal(guard_copy(dst + skew, src + 1, n), 0);
			assert_memory_equal(dst + skew, src + 1, n);
			assert_int_equal(dst[skew + n], 0xee);
			if (skew)
				assert_int_equal(dst[skew - 1], 0xee);
		}
	}
}

/* The source ends @left bytes before what is asked for: exactly those come over. */
static void test_source_ends(void **state)
{
	static const size_t lens[] = { 1,  2,  3,  4,  5,   7,	 8,   9,   12,
				       15, 16, 31, 64, 319, 320, 321, 1400 };
	unsigned char dst[MAX];

	fill(half, PAGE, 3);
	for (unsigned k = 0; k < sizeof(lens) / sizeof(lens[0]); k++) {
		for (size_t have = 0; have <= lens[k]; have += have < 40 ? 1 : 13) {
			unsigned char *src = half + PAGE - have;

			memset(dst, 0xee, sizeof(dst));
			assert_int_equal(guard_copy_part(dst, src, lens[k]), have);
			assert_memory_equal(dst, src, have);
			for (size_t i = have; i < lens[k]; i++)
				assert_int_equal(dst[i], 0xee);
			assert_int_equal(guard_copy(dst, src, lens[k]),
					 have == lens[k] ? 0 : -EFAULT);
		}
	}
}

static void test_destination_ends(void **state)
{
	static const size_t lens[] = { 1,  2,  3,  4,  5,   7,	 8,   9,   12,
				       15, 16, 31, 64, 319, 320, 321, 1400 };
	unsigned char src[MAX];

	fill(src, sizeof(src), 9);
	for (unsigned k = 0; k < sizeof(lens) / sizeof(lens[0]); k++) {
		for (size_t have = 0; have <= lens[k]; have += have < 40 ? 1 : 13) {
			memset(half, 0, PAGE);
			assert_int_equal(guard_copy_part(half + PAGE - have, src, lens[k]), have);
			assert_memory_equal(half + PAGE - have, src, have);
		}
	}
}

static void test_nowhere(void **state)
{
	char buf[64] = "x";

	assert_int_equal(guard_copy(buf, NULL, 8), -EFAULT);
	assert_int_equal(guard_copy(NULL, buf, 64), -EFAULT);
	assert_int_equal(guard_copy(NULL, NULL, 0), 0);
	/* not canonical: a general protection fault, which Linux reports without an address */
	assert_int_equal(guard_copy(buf, (void *)0xdead000000000000ull, 8), -EFAULT);
	assert_int_equal(guard_copy(buf, (void *)UINTPTR_MAX, 2), -EFAULT);
	assert_int_equal(guard_copy_part(buf, (void *)(UINTPTR_MAX - 600), 1024), 0);
}

/* A file that is shorter than its mapping: SIGBUS. */
static void test_bus_error(void **state)
{
	int fd = memfd_create("guard_test", 0);
	char buf[PAGE + 16], *p;

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, PAGE), 0);
	p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(p, MAP_FAILED);
	assert_int_equal(guard_copy_part(buf, p + 8, PAGE), PAGE - 8);
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(guard_copy(buf, p, 4), -EFAULT);
	munmap(p, 2 * PAGE);
	close(fd);
}

static void test_strings(void **state)
{
	char buf[32];

	assert_int_equal(guard_strncpy(buf, "hello", sizeof(buf)), 5);
	assert_string_equal(buf, "hello");
	assert_int_equal(guard_strncpy(buf, "hello", 6), 5);
	assert_int_equal(guard_strncpy(buf, "hello", 5), -ENAMETOOLONG);
	assert_int_equal(guard_strncpy(buf, "", 1), 0);
	assert_int_equal(guard_strncpy(buf, "", 0), -ENAMETOOLONG);
	assert_int_equal(guard_strncpy(buf, NULL, 8), -EFAULT);
	memcpy(half + PAGE - 3, "abc", 3);
	assert_int_equal(guard_strncpy(buf, (char *)half + PAGE - 3, sizeof(buf)), -EFAULT);
	half[PAGE - 1] = 0;
	assert_int_equal(guard_strncpy(buf, (char *)half + PAGE - 3, sizeof(buf)), 2);
}

/* In a child: @fn must not return; what its wait status must be is the caller's to say. */
static int status_of(void (*fn)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		close(2); /* a sanitizer's report of the fault that we ask for */
		fn();
		_exit(99);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static sigjmp_buf back;
static volatile sig_atomic_t chained;

static void old_handler(int sig)
{
	chained = sig;
	siglongjmp(back, 1);
}

static void crash(void)
{
	*(volatile char *)(half + PAGE) = 1;
}

static void raise_segv(void)
{
	kill(getpid(), SIGSEGV);
	pause();
}

/* A fault that is not ours kills as it would have, if nobody has a handler. */
static void test_other_faults_are_fatal(void **state)
{
#if !defined(SANITIZED_ADDRESS) && !defined(SANITIZED_THREAD)
	int st = status_of(crash);

	assert_true(WIFSIGNALED(st));
	assert_int_equal(WTERMSIG(st), SIGSEGV);
	st = status_of(raise_segv);
	assert_true(WIFSIGNALED(st));
	assert_int_equal(WTERMSIG(st), SIGSEGV);
#else
	assert_int_not_equal(status_of(crash), 0);
	assert_int_not_equal(status_of(raise_segv), 0);
#endif
}

/*
 * main() sets old_handler before guard_install(): it gets the faults that are not ours, and copies
 * go on after it.
 */
static void test_chain(void **state)
{
	char c;

	chained = 0;
	if (!sigsetjmp(back, 1))
		crash();
	assert_int_equal(chained, SIGSEGV);
	assert_int_equal(guard_copy(&c, half + PAGE, 1), -EFAULT);
	assert_int_equal(guard_install(), 0); /* again: nothing happens */
	assert_int_equal(guard_copy(&c, half + PAGE, 1), -EFAULT);
}

int main(void)
{
	const struct CMUnitTest plain[] = {
		cmocka_unit_test(test_every_length),	 cmocka_unit_test(test_source_ends),
		cmocka_unit_test(test_destination_ends), cmocka_unit_test(test_nowhere),
		cmocka_unit_test(test_bus_error),	 cmocka_unit_test(test_strings),
	};
	const struct CMUnitTest chain_to_handler[] = { cmocka_unit_test(test_chain) };
	const struct CMUnitTest chain_to_default[] = { cmocka_unit_test(
		test_other_faults_are_fatal) };
	int status, failed;
	pid_t pid;

	/* two processes, as a handler can be installed once only in each */
	fflush(NULL);
	pid = fork();
	if (!pid) {
		struct sigaction sa = { .sa_handler = old_handler };

		sigaction(SIGSEGV, &sa, NULL);
		if (setup(NULL))
			exit(1);
		exit(cmocka_run_group_tests(chain_to_handler, NULL, NULL));
	}
	failed = waitpid(pid, &status, 0) != pid || status;
	failed += cmocka_run_group_tests(plain, setup, teardown);
	failed += cmocka_run_group_tests(chain_to_default, setup, teardown);
	return failed;
}
