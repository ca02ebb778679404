/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/scope.h: how a call of ours is made in the program's thread: its stack, its
 * signals, its cancellation.
 */
#ifndef SHIM_SCOPE_H
#define SHIM_SCOPE_H
#include "shim/shim.h"

/* ---- scope.c: a call of ours in the program's thread ---- */
/*
 * fn(arg) as a system call is made: on a stack of ours, with no handler of the program in its
 * middle, and no cancellation. Every entry that looks at a table, takes a lock or calls what lies
 * below shim/ goes through it, before it does so; within another one it costs nothing. For any
 * thread, in a handler, too; nothing is allocated. Not around what must remain a cancellation
 * point, or what runs code of the program's.
 */
long shim_run(long (*fn)(void *arg), void *arg);
/*
 * Within shim_run(), among a function's declarations: it does the program's call @name, and reports
 * say so (base/call.h). Where in the program the call came from has been noted at its entry.
 */
#define SHIM_CALL(name)	 CALL_FRAME(name, shim_take_from())
#define SHIM_NOTE_FROM() (shim_from = CALL_SITE())
extern __thread struct call_site shim_from; /* NULL: not noted */
static inline struct call_site shim_take_from(void)
{
	const struct call_site from = shim_from;

	shim_from.ip = shim_from.sp = NULL;
	return from;
}
/* The program's place that a handler of ours interrupted; @exact: an instruction, not a call. */
static inline struct call_site shim_site(const ucontext_t *uc, bool exact)
{
	const greg_t *r = uc->uc_mcontext.gregs;

	return (struct call_site){ (void *)r[REG_RIP], (void *)r[REG_RSP], (void *)r[REG_RBP],
				   exact };
}
/* shim_run() in the handler of a fault, which has signals blocked. */
long shim_run_fault(const ucontext_t *uc, long (*fn)(void *arg), void *arg);
bool shim_inside(void); /* this thread is in one of them */
/*
 * To be called before the program's first handler is put in place: when it returns, no call is
 * under way that counts on there being none.
 */
void shim_will_have_handlers(void);
/* Note that a thread was seen that has some of our three blocked. Does not wait. */
void shim_have_masks(void);

/* ---- stack.c ---- */
/*
 * Call fn(arg) on a stack of ours, unless this is one already or there is no memory. Only within
 * shim_run(): a longjmp out of it would leave the stack taken.
 */
long shim_on_stack(long (*fn)(void *arg), void *arg);
/* For scope.c. A stack's number or -1; @open: by a call that has signals open. */
int shim_stack_take(bool open);
void shim_stack_give(int i);
long shim_stack_use(int i, long (*fn)(void *arg), void *arg);
/* The call that runs has signals blocked from now on. False: it always had. */
bool shim_stack_close(void);
void shim_stacks_wait_open(void); /* until those that were taken by such a call are given back */
/* fn(arg), and the thread has no alternate signal stack meanwhile. */
long shim_without_alternate(long (*fn)(void *arg), void *arg);
void shim_stacks_abandon(void); /* in a forked child */

/* ---- signals.c ---- */
void shim_signals_init(void);
/* The thread's alternate stack, as libc's sigaltstack set it. */
const stack_t *shim_alternate(void);
/*
 * In a thread's first call: it may begin with all signals blocked by who started it, and libc's own
 * mask calls do not come to us.
 */
void shim_thread(void);
/* the kernel's struct sigaction */
struct shim_ksigaction {
	void *handler;
	unsigned long flags;
	void *restorer;
	uint64_t mask;
};
long shim_sigaction(int sig, const struct shim_ksigaction *act, struct shim_ksigaction *old);
long shim_sigmask(int how, const uint64_t *set, uint64_t *old);
/*
 * The call that runs will wait for what another process or thread does, maybe long: until it
 * returns no signal ends it, and who sets a handler does not wait for it.
 */
void shim_begin_wait(void);
/* Block everything but our three; for the time that one of our locks is held. */
void shim_block_signals(uint64_t *saved);
/* In the handler of a fault: our three are open, where @mask is what was interrupted. */
void shim_open_own(uint64_t mask);
/* Let the program have what was sent to it in the middle of a call of ours. */
void shim_settle(void);
/*
 * Around an exec (@self), or what makes a child with another image: the kernel's mask is what the
 * program believes.
 */
struct shim_exec_mask {
	uint64_t mask;
	bool changed;
};
void shim_mask_for_exec(struct shim_exec_mask *m, bool self);
void shim_mask_after_exec(const struct shim_exec_mask *m);
/* in a forked child, which has nothing that was sent to its parent */
void shim_signals_abandon(void);
/*
 * The program read @n bytes of a file: if that was a signal, what the kernel blocks for its sake is
 * open again.
 */
void shim_signal_was_read(long n);
void shim_restore_signals(const uint64_t *saved);
#endif
