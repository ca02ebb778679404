/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/stack.c: an access of a BAR on a stack that is large enough. A program may have its handlers on an alternate stack, which then is ours, too, and as small as its handler needs it (the least is one signal
 * frame). Carrying out the access takes decoder and model, some of which do I/O. The interrupted stack is no way out: that it is too small is why there are alternate ones (coroutines, Go). So from an
 * alternate stack we go to one of ours for as long as the access takes.
 *
 * Meanwhile the thread has no alternate stack: a fault in the middle (a guarded copy) would otherwise find that it is not on it, and start at its top again, over the frame that we came from.
 */
#include "shim/shim.h"

#include <sys/mman.h>
#include <sys/syscall.h>

#define NUM_STACKS 64u
#define STACK_SIZE (256u << 10)
#define ENOUGH	   (64u << 10) /* an alternate stack with so much room is as good */

static _Atomic(char *) stacks; /* NUM_STACKS, each with a page below that nobody can use */
static _Atomic uint64_t taken;

struct call {
	long (*fn)(void *arg);
	void *arg;
};

/* fn(arg) with the stack pointer at @top, a multiple of 16 */
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

/* Made at the first use; in a signal handler, so without malloc. NULL: no memory. */
static char *all_stacks(void)
{
	char *s = atomic_load(&stacks), *other = NULL;
	size_t each = STACK_SIZE + PAGE_SIZE_4K, size = NUM_STACKS * each;
	long p;

	if (s)
		return s;
	p = sys_call(SYS_mmap, 0, (long)size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
	if (p < 0 && p >= -4095)
		return NULL;
	s = (char *)p;
	for (unsigned i = 0; i < NUM_STACKS; i++)
		sys_call(SYS_mprotect, (long)(s + i * each), PAGE_SIZE_4K, PROT_NONE, 0, 0, 0);
	if (!atomic_compare_exchange_strong(&stacks, &other, s)) {
		sys_call(SYS_munmap, (long)s, (long)size, 0, 0, 0, 0);
		s = other;
	}
	return s;
}

static int take(void)
{
	uint64_t was = atomic_load(&taken);

	for (;;) {
		while (~was) {
			int i = __builtin_ctzll(~was);

			if (atomic_compare_exchange_weak(&taken, &was, was | 1ull << i))
				return i;
		}
		/* all of them run: an access is over soon */
		sys_call(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
		was = atomic_load(&taken);
	}
}

static long without_alternate(void *arg)
{
	const stack_t none = { .ss_flags = SS_DISABLE };
	struct call *c = arg;
	stack_t was;
	bool off = !sys_call(SYS_sigaltstack, (long)&none, (long)&was, 0, 0, 0, 0);
	long ret = c->fn(c->arg);

	if (off && !(was.ss_flags & SS_DISABLE))
		sys_call(SYS_sigaltstack, (long)&was, 0, 0, 0, 0, 0);
	return ret;
}

long shim_on_large_stack(const ucontext_t *uc, long (*fn)(void *arg), void *arg)
{
	const stack_t *alt = &uc->uc_stack;
	uintptr_t room = (uintptr_t)__builtin_frame_address(0) - (uintptr_t)alt->ss_sp;
	struct call c = { fn, arg };
	char *s;
	long ret;
	int i;

	if (alt->ss_flags & SS_DISABLE || room >= alt->ss_size || room >= ENOUGH)
		return fn(arg);
	s = all_stacks();
	if (!s)
		return fn(arg);
	i = take();
	ret = shim_call_on_stack(s + (size_t)(i + 1) * (STACK_SIZE + PAGE_SIZE_4K), without_alternate, &c);
	atomic_fetch_and(&taken, ~(1ull << i));
	return ret;
}

void shim_stacks_abandon(void)
{
	atomic_store(&taken, 0);
}
