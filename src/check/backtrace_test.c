/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check/backtrace_test.c: stacks of functions of all kinds: as compilers make them, without frame
 * pointers, with an alignment that needs another register, without unwind tables, through a signal
 * handler; and stacks that are broken.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/guard.h"
#include "base/test_signals.h"
#include "check/backtrace.h"
#include "check/cfi.h"

#define NOINLINE __attribute__((noinline))
#ifdef __clang__
#define NO_FRAME_POINTER /* it has no such attribute */
#else
#define NO_FRAME_POINTER __attribute__((optimize("omit-frame-pointer")))
#endif

static struct backtrace got;
static volatile int kept; /* so that no call is a tail call */

/* As a wrapper of the shim does it. */
NOINLINE static void take(void)
{
	struct call_site site = CALL_SITE();

	backtrace_take(&got, &site, BACKTRACE_MAX);
	kept++;
}

/* True if frame @i is in the code of @fn, which is less than @size bytes. */
static bool is_in(unsigned i, const void *fn, size_t size)
{
	return i < got.n && backtrace_at(&got, i) - (uintptr_t)fn < size;
}

#define CODE 4096u /* no function here is larger; others may be in it, so they are told by order */

NOINLINE static int plain(int n)
{
	char room[64];

	snprintf(room, sizeof(room), "%d", n);
	take();
	return kept + room[0];
}

NOINLINE NO_FRAME_POINTER static int without_pointer(int n)
{
	int rc = plain(n + 1);

	return kept + rc;
}

/* The caller's stack pointer is in a register, and on the stack: an expression finds it. */
NOINLINE static int aligned(int n)
{
	char room[200] __attribute__((aligned(64)));

	memset(room, n, sizeof(room));
	__asm__ volatile("" ::"r"(room) : "memory");
	n = without_pointer(room[n & 63]);
	return kept + n;
}

NOINLINE static int dynamic(int n)
{
	char *room = __builtin_alloca((size_t)(n + 100));

	memset(room, n, (size_t)n + 100);
	n = aligned(room[5]);
	return kept + n;
}

static void test_chain(void **state)
{
	dynamic(3);
	assert_true(got.n >= 6);
	assert_true(is_in(0, plain, CODE));
	assert_true(is_in(1, without_pointer, CODE));
	assert_true(is_in(2, aligned, CODE));
	assert_true(is_in(3, dynamic, CODE));
	assert_true(is_in(4, test_chain, CODE));
	assert_int_equal(got.exact, 0);
	/* cmocka's, and main */
	assert_true(got.n > 6);
}

static void test_at_most(void **state)
{
	struct call_site site;
	unsigned n;

	dynamic(3);
	n = got.n;
	site = (struct call_site){ (void *)(uintptr_t)got.pc[0], NULL, NULL, false };
	/* without a stack pointer there is the place alone */
	backtrace_take(&got, &site, BACKTRACE_MAX);
	assert_int_equal(got.n, 1);
	site.ip = NULL;
	backtrace_take(&got, &site, BACKTRACE_MAX);
	assert_int_equal(got.n, 0);
	site = CALL_SITE();
	backtrace_take(&got, &site, 2);
	assert_int_equal(got.n, 2);
	assert_true(n > 2);
}

/* ---- through a handler ---- */

NOINLINE static void handler(int sig)
{
	plain(sig);
	kept++;
}

NOINLINE static void interrupted(void)
{
	/* an instruction that is known to be here */
	__asm__ volatile("ud2");
	kept++;
}

static void on_ill(int sig, siginfo_t *info, void *uc)
{
	handler(sig);
	((ucontext_t *)uc)->uc_mcontext.gregs[REG_RIP] += 2;
}

static void through_handler(int flags)
{
	struct sigaction sa = { .sa_flags = SA_SIGINFO | flags }, old;
	unsigned i;

	sa.sa_sigaction = on_ill;
	assert_int_equal(sigaction(SIGILL, &sa, &old), 0);
	interrupted();
	sigaction(SIGILL, &old, NULL);
	assert_true(is_in(0, plain, CODE));
	assert_true(is_in(1, handler, CODE));
	assert_true(is_in(2, on_ill, CODE));
	for (i = 3; i < got.n && !(got.exact >> i & 1); i++)
		;
	assert_true(is_in(i, interrupted, 64));
	assert_true(is_in(i + 1, through_handler, CODE));
}

static void test_handler(void **state)
{
	through_handler(0);
}

static void test_handler_elsewhere(void **state)
{
	stack_t stack = { .ss_size = 1u << 16 }, old;

	stack.ss_sp = malloc(stack.ss_size);
	assert_int_equal(sigaltstack(&stack, &old), 0);
	through_handler(SA_ONSTACK);
	sigaltstack(&old, NULL);
	free(stack.ss_sp);
}

/* ---- without tables ---- */

/*
 * Code in a page of its own, as a compiler at run time makes it:
 *	push %rbp; mov %rsp, %rbp; call *%rdi; pop %rbp; ret
 */
static const uint8_t made[] = { 0x55, 0x48, 0x89, 0xe5, 0xff, 0xd7, 0x5d, 0xc3 };

static void test_frame_pointers(void **state)
{
	uint8_t *code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(code, MAP_FAILED);
	memcpy(code, made, sizeof(made));
	((void (*)(void (*)(void)))(uintptr_t)code)(take);
	kept++;
	assert_int_equal(got.pc[0], (uintptr_t)code + 6);
	assert_true(is_in(1, test_frame_pointers, CODE));
	assert_true(got.n > 3);
	munmap(code, 4096);
}

/* ---- what is broken ---- */

static void test_broken_stack(void **state)
{
	uint64_t *stack =
		mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct call_site site = { (char *)(uintptr_t)plain + 8, stack, stack, false };

	/* anything: it ends, and stays in its bounds */
	for (unsigned seed = 1; seed <= 200; seed++) {
		uint64_t x = seed;

		for (unsigned i = 0; i < 1024; i++) {
			x = x * 6364136223846793005ull + 1442695040888963407ull;
			stack[i] = i % 3 ? (uintptr_t)stack + (x >> 52) * 8 : x;
		}
		site.ip = (char *)(uintptr_t)plain + seed;
		backtrace_take(&got, &site, BACKTRACE_MAX);
		assert_true(got.n >= 1 && got.n <= BACKTRACE_MAX);
	}
	/* a frame that is its own caller's */
	for (unsigned i = 0; i < 1024; i++)
		stack[i] = i & 1 ? (uintptr_t)made : (uintptr_t)&stack[i];
	site = (struct call_site){ made, stack, stack, false };
	backtrace_take(&got, &site, BACKTRACE_MAX);
	assert_true(got.n <= 2);
	/* no stack at all, and one that ends */
	munmap(stack, 8192);
	site.ip = (char *)(uintptr_t)plain + 8;
	backtrace_take(&got, &site, BACKTRACE_MAX);
	assert_int_equal(got.n, 1);
	site = (struct call_site){ (void *)-1, (void *)-8, (void *)-16, true };
	backtrace_take(&got, &site, BACKTRACE_MAX);
	assert_int_equal(got.n, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chain),	       cmocka_unit_test(test_at_most),
		cmocka_unit_test(test_handler),	       cmocka_unit_test(test_handler_elsewhere),
		cmocka_unit_test(test_frame_pointers), cmocka_unit_test(test_broken_stack),
	};

	if (guard_install())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
