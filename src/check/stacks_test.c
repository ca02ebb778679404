/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check/stacks_test.c: a stack that was taken before is found again, and never another one's.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/guard.h"
#include "check/internal.h"

#define NOINLINE __attribute__((noinline))

static __thread struct backtrace kept, plain;
static __thread struct backtrace_words words;
static atomic_int done; /* so that no call is a tail call */

/* As a wrapper of the shim does it. */
NOINLINE static void take(void)
{
	struct call_site site = CALL_SITE();

	check_stack_take(&kept, &site, CHECK_PAST_FRAMES);
	backtrace_take_noting(&plain, &site, CHECK_PAST_FRAMES, &words);
	done++;
}

static void is_same(void)
{
	assert_true(plain.n > 2);
	assert_int_equal(kept.n, plain.n);
	assert_int_equal(kept.exact, plain.exact);
	assert_memory_equal(kept.pc, plain.pc, plain.n * sizeof(plain.pc[0]));
}

/* Both are called with the same registers, from one place in middle(). */
NOINLINE static void one(void)
{
	take();
	done++;
}

NOINLINE static void middle(void (*fn)(void))
{
	fn();
	done++;
}

NOINLINE static void first_way(void)
{
	middle(one);
	done++;
}

NOINLINE static void second_way(void)
{
	middle(one);
	done++;
}

static void test_other_callers(void **state)
{
	uint64_t pc[2][BACKTRACE_MAX];

	assert_int_equal(check_stacks_start(), 0);
	for (unsigned i = 0; i < 100; i++) {
		(i & 1 ? second_way : first_way)();
		is_same();
		memcpy(pc[i & 1], kept.pc, sizeof(kept.pc));
		if (i)
			assert_memory_not_equal(pc[0], pc[1], 4 * sizeof(pc[0][0]));
	}
	check_stacks_stop();
}

/*
 * What a driver's loop counts is in registers that functions save on the stack; it decides about
 * nothing, and is not looked at.
 */
static void test_what_counts(void **state)
{
	static struct backtrace_words before;

	assert_int_equal(check_stacks_start(), 0);
	for (uint64_t i = 1; i < 1000; i *= 3) {
		register uint64_t counts __asm__("rbx") = i;

		__asm__ volatile("" : "+r"(counts));
		first_way();
		__asm__ volatile("" : "+r"(counts));
		is_same();
		assert_false(words.not_all);
		if (i > 1)
			assert_memory_equal(&before.word, &words.word,
					    words.n * sizeof(words.word[0]));
		before = words;
	}
	check_stacks_stop();
}

static void *take_many(void *arg)
{
	for (unsigned i = 0; i < 2000; i++) {
		(i % 3 ? second_way : first_way)();
		assert_int_equal(kept.n, plain.n);
		assert_memory_equal(kept.pc, plain.pc, plain.n * sizeof(plain.pc[0]));
	}
	return NULL;
}

static void test_threads(void **state)
{
	pthread_t thread[4];

	assert_int_equal(check_stacks_start(), 0);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, take_many, NULL), 0);
	for (unsigned i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	check_stacks_forked();
	first_way();
	is_same();
	check_stacks_stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_other_callers),
		cmocka_unit_test(test_what_counts),
		cmocka_unit_test(test_threads),
	};

	guard_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
