/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/stack.c: our work on stacks of ours. A system call takes nothing of the caller's stack, and
 * an access of a BAR neither, so programs make them from stacks that have no room for a device:
 * threads of PTHREAD_STACK_MIN, coroutines of a few KiB, alternate stacks of signal handlers, of
 * which the least is one signal frame. A device may do I/O, and a model may be anybody's.
 *
 * A thread takes the stack that it had the last time, if it is free: it is in the processor's
 * cache, and no two threads write to one line.
 */
#include <dlfcn.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "shim/scope.h"
#include "shim/shim.h"

#define NUM_STACKS 64u
#define STACK_SIZE (256u << 10)
#define EACH	   (STACK_SIZE + PAGE_SIZE_4K) /* each has a page below that cannot be used */

static _Atomic(char *) stacks; /* NUM_STACKS of them */
enum { FREE, TAKEN, TAKEN_OPEN };
static struct {
	atomic_uint taken;
} __attribute__((aligned(64))) state[NUM_STACKS];
static __thread unsigned last __attribute__((tls_model("initial-exec")));

/* Call fn(arg) with the stack pointer at @top, a multiple of 16. */
long shim_call_on_stack(char *top, long (*fn)(void *), void *arg);
__asm__(".text\n"
	".globl shim_call_on_stack\n"
	".hidden shim_call_on_stack\n"
	".type shim_call_on_stack, @function\n"
	"shim_call_on_stack:\n"
	"	.cfi_startproc\n"
	"	pushq %rbp\n"
	"	.cfi_def_cfa_offset 16\n"
	"	.cfi_offset %rbp, -16\n"
	"	movq %rsp, %rbp\n"
	"	.cfi_def_cfa_register %rbp\n"
	"	movq %rdi, %rsp\n"
	"	movq %rdx, %rdi\n"
	"	call *%rsi\n"
	"	leave\n"
	"	.cfi_def_cfa %rsp, 8\n"
	"	ret\n"
	"	.cfi_endproc\n"
	".size shim_call_on_stack, . - shim_call_on_stack\n");

/*
 * ThreadSanitizer, in the program, sees the memset of a library that runs on such a stack, but not
 * that one thread gave the stack back before another took it. NULL: it is not there.
 */
static void (*tsan_acquire)(void *), (*tsan_release)(void *);

__attribute__((constructor(101))) static void resolve(void)
{
	tsan_acquire = (void (*)(void *))(uintptr_t)dlsym(RTLD_DEFAULT, "__tsan_acquire");
	tsan_release = (void (*)(void *))(uintptr_t)dlsym(RTLD_DEFAULT, "__tsan_release");
}

/* Call fn(arg) on the stack that begins at @s, which is this call's alone until it returns. */
static long use(char *s, long (*fn)(void *arg), void *arg)
{
	long ret;

	if (tsan_acquire)
		tsan_acquire(s);
	ret = shim_call_on_stack(s + EACH, fn, arg);
	if (tsan_release)
		tsan_release(s);
	return ret;
}

/* Make @n stacks, each above a page that cannot be used; NULL: no memory. */
static char *make(unsigned n)
{
	long p = sys_call(SYS_mmap, 0, (long)n * EACH, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);

	if (sys_failed(p))
		return NULL;
	for (unsigned i = 0; i < n; i++)
		sys_call(SYS_mprotect, p + (long)i * EACH, PAGE_SIZE_4K, PROT_NONE, 0, 0, 0);
	return (char *)p;
}

/*
 * Return the stacks, which are made at the first use; maybe in a signal handler, so without malloc.
 * NULL: no memory.
 */
static char *all_stacks(void)
{
	char *s = atomic_load_explicit(&stacks, memory_order_acquire), *other = NULL;

	if (s)
		return s;
	s = make(NUM_STACKS);
	if (s && !atomic_compare_exchange_strong(&stacks, &other, s)) {
		sys_call(SYS_munmap, (long)s, (long)NUM_STACKS * EACH, 0, 0, 0, 0);
		s = other;
	}
	return s;
}

int shim_stack_take(bool open)
{
	if (!all_stacks())
		return -1;
	for (unsigned i = 0; i < NUM_STACKS; i++) {
		unsigned n = (last + i) % NUM_STACKS, was = FREE;

		if (!atomic_load_explicit(&state[n].taken, memory_order_relaxed) &&
		    atomic_compare_exchange_strong(&state[n].taken, &was,
						   open ? TAKEN_OPEN : TAKEN)) {
			last = n;
			return (int)n;
		}
	}
	return -1;
}

void shim_stack_give(int i)
{
	atomic_store_explicit(&state[i].taken, FREE, memory_order_release);
}

long shim_stack_use(int i, long (*fn)(void *arg), void *arg)
{
	return use(stacks + (size_t)i * EACH, fn, arg);
}

bool shim_stack_close(void)
{
	char *s = atomic_load_explicit(&stacks, memory_order_relaxed);
	size_t at = (size_t)((char *)__builtin_frame_address(0) - s);
	unsigned was = TAKEN_OPEN;

	return s && at < (size_t)NUM_STACKS * EACH &&
	       atomic_compare_exchange_strong(&state[at / EACH].taken, &was, TAKEN);
}

void shim_stacks_wait_open(void)
{
	for (unsigned i = 0; i < NUM_STACKS; i++)
		while (atomic_load(&state[i].taken) == TAKEN_OPEN)
			sys_call(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
}

static bool on_own_stack(void)
{
	char *s = atomic_load_explicit(&stacks, memory_order_relaxed);

	return s &&
	       (uintptr_t)__builtin_frame_address(0) - (uintptr_t)s < (size_t)NUM_STACKS * EACH;
}

long shim_on_stack(long (*fn)(void *arg), void *arg)
{
	char *own;
	long ret;
	int i;

	if (on_own_stack())
		return fn(arg);
	i = shim_stack_take(false);
	if (i >= 0) {
		ret = shim_stack_use(i, fn, arg);
		shim_stack_give(i);
		return ret;
	}
	/* more threads than stacks are in calls, which may last: one for this call alone */
	own = make(1);
	if (!own)
		return fn(arg);
	ret = use(own, fn, arg);
	sys_call(SYS_munmap, (long)own, EACH, 0, 0, 0, 0);
	return ret;
}

long shim_without_alternate(long (*fn)(void *arg), void *arg)
{
	const stack_t none = { .ss_flags = SS_DISABLE };
	stack_t was;
	bool off = !sys_call(SYS_sigaltstack, (long)&none, (long)&was, 0, 0, 0, 0);
	long ret = fn(arg);

	if (off && !(was.ss_flags & SS_DISABLE))
		sys_call(SYS_sigaltstack, (long)&was, 0, 0, 0, 0, 0);
	return ret;
}

void shim_stacks_abandon(void)
{
	for (unsigned i = 0; i < NUM_STACKS; i++)
		atomic_store(&state[i].taken, FREE);
}
