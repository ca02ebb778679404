/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * base/reach_test.c: every kind of memory under every protection, in pieces that begin and end in
 * its pages or behind them.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/guard.h"
#include "base/reach.h"
#include "base/test_signals.h"

#define K4   4096u
#define SIZE (4 * K4)

static char *private_memory(void)
{
	return mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static char *shared_memory(void)
{
	return mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

static char *of_file(int flags)
{
	int fd = memfd_create("reach", 0);
	char *p;

	assert_int_equal(ftruncate(fd, SIZE), 0);
	p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, flags, fd, 0);
	close(fd);
	return p;
}

static char *shared_file(void)
{
	return of_file(MAP_SHARED);
}

static char *private_file(void)
{
	return of_file(MAP_PRIVATE);
}

static char *segment(void)
{
	int id = shmget(IPC_PRIVATE, SIZE, IPC_CREAT | 0600);
	char *p = shmat(id, NULL, 0);

	shmctl(id, IPC_RMID, NULL);
	return p;
}

/*
 * All lengths that take another path, from an odd place; the program sees the writes, and nothing
 * beside them.
 */
static void check(char *p, int prot)
{
	static const size_t lens[] = { 1, 2, 3, 7, 8, 64, 319, 320, 5000, 2 * K4 };
	static char in[SIZE], out[SIZE];

	for (unsigned i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		size_t n = lens[i], at = K4 - 3;

		memset(p, 0x11, SIZE);
		for (size_t k = 0; k < n; k++)
			in[k] = (char)(k * 7 + i);
		assert_int_equal(mprotect(p, SIZE, prot), 0);
		assert_int_equal(reach_write(p + at, in, n), n);
		assert_int_equal(reach_read(out, p + at, n), n);
		assert_memory_equal(out, in, n);
		assert_int_equal(mprotect(p, SIZE, PROT_READ | PROT_WRITE), 0);
		assert_memory_equal(p + at, in, n);
		assert_int_equal(p[at - 1], 0x11);
		assert_int_equal(p[at + n], 0x11);
	}
}

static void test_kinds(void **state)
{
	static char *(*const kinds[])(void) = { private_memory, shared_memory, shared_file,
						private_file, segment };
	static const int prots[] = { PROT_NONE, PROT_READ, PROT_READ | PROT_EXEC,
				     PROT_READ | PROT_WRITE };

	for (unsigned k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		char *p = kinds[k]();

		assert_ptr_not_equal(p, MAP_FAILED);
		for (unsigned i = 0; i < sizeof(prots) / sizeof(prots[0]); i++)
			check(p, prots[i]);
		munmap(p, SIZE);
	}
}

/* Two kinds next to each other, then nothing. */
static void test_ends(void **state)
{
	char *p = private_memory(), buf[SIZE];

	assert_ptr_equal(mmap(p + K4, K4, PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
			 p + K4);
	memset(p, 5, 2 * K4);
	memset(buf, 6, sizeof(buf));
	assert_int_equal(mprotect(p, 2 * K4, PROT_NONE), 0);
	assert_int_equal(munmap(p + 2 * K4, 2 * K4), 0);
	assert_int_equal(reach_write(p + 100, buf, 3 * K4), 2 * K4 - 100);
	assert_int_equal(reach_write(p + 2 * K4, buf, 1), 0);
	assert_int_equal(reach_read(buf, p + 2 * K4, 1), 0);
	assert_int_equal(reach_read(buf, p, SIZE), 2 * K4);
	assert_int_equal(buf[0], 5);
	assert_int_equal(buf[100], 6);
	assert_int_equal(mprotect(p, 2 * K4, PROT_READ), 0);
	assert_int_equal(p[99], 5);
	assert_int_equal(p[2 * K4 - 1], 6);
	munmap(p, 2 * K4);
}

/* A file that cannot be written is not: the second view is refused, too. */
static void test_readonly_file(void **state)
{
	int fd = open("/proc/self/exe", O_RDONLY);
	char *p = mmap(NULL, K4, PROT_READ, MAP_SHARED, fd, 0), buf[4] = "abc";

	assert_ptr_not_equal(p, MAP_FAILED);
	assert_int_equal(reach_write(p, buf, 4), 0);
	assert_int_equal(mprotect(p, K4, PROT_NONE), 0);
	assert_int_equal(reach_read(buf, p, 4), 4);
	assert_memory_equal(buf, "\177ELF", 4);
	munmap(p, K4);
	close(fd);
}

/* A key that this thread may not use; on a processor without keys there is none to be had. */
static void test_key(void **state)
{
	char *p = private_memory(), *s = shared_memory(), buf[4] = "abc";
	int key = pkey_alloc(0, PKEY_DISABLE_ACCESS);

	if (key >= 0) {
		assert_int_equal(pkey_mprotect(p, SIZE, PROT_READ | PROT_WRITE, key), 0);
		assert_int_equal(pkey_mprotect(s, SIZE, PROT_READ, key), 0);
		assert_int_equal(guard_copy(p, buf, 4), -EFAULT);
		assert_int_equal(reach_write(p, buf, 4), 4);
		assert_int_equal(reach_write(s, buf, 4), 4);
		pkey_set(key, 0);
		assert_string_equal(p, "abc");
		assert_string_equal(s, "abc");
		pkey_free(key);
	}
	munmap(p, SIZE);
	munmap(s, SIZE);
}

/* The descriptor that a child inherits is its parent's memory: the child's own is what it gets. */
static void test_fork(void **state)
{
	char *p = private_memory(), buf[4] = "abc";
	int status;
	pid_t pid;

	memset(p, 0, K4);
	assert_int_equal(mprotect(p, SIZE, PROT_READ), 0);
	pid = fork();
	if (!pid)
		_exit(reach_write(p, buf, 4) != 4 || strcmp(p, "abc"));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(p[0], 0);
	munmap(p, SIZE);
}

static int setup(void **state)
{
	reach_init();
	reach_init();
	return guard_install();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),	      cmocka_unit_test(test_ends),
		cmocka_unit_test(test_readonly_file), cmocka_unit_test(test_key),
		cmocka_unit_test(test_fork),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
