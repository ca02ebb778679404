/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/scope.c: how a call of ours sits in the program's thread. A system call cannot be left in
 * the middle, and nothing of the program's runs in its middle: no handler, no cancellation. Ours
 * takes locks and reads tables under RCU, so it must be the same: a handler that makes a call of
 * its own would wait for a lock that the interrupted call holds, or keep a third thread waiting for
 * a reader that never ends; one that leaves by longjmp, and a cancelled thread, would leave both
 * behind for good.
 *
 * So signals are blocked, all but our three (signals.c) and the one that libc's setuid() waits for;
 * and the thread cannot be cancelled, since models call what may be a cancellation point.
 *
 * Blocking costs two system calls, as much as the rest of a short call. While the program has no
 * handler they are saved; the call that sets the first one waits until no thread is in a call that
 * counts on there being none. That is known by the stack that such a call is on.
 *
 * One call waits for other processes: a write to sysfs that takes a device away, as the kernel's,
 * which no signal ends; it has them blocked then, with or without handlers (shim_begin_wait()). One
 * that will (for the server of a device) must be let go when a signal is there that the program has
 * open: it waits in poll(2), with no lock that another call needs, on its answer together with a
 * private signalfd of all signals but those in the mask that shim_run() saved, and does not read
 * from that. If it is readable, the call is withdrawn and ends with -EINTR, and the handler runs
 * when shim_run() puts the mask back, as after a system call of the kernel's. A load or store
 * cannot end so: if its message has not left yet, the instruction is begun anew after the handler,
 * else it waits for the answer. Without handlers nothing is blocked, and a Ctrl-C ends the program
 * at once.
 */
#include <dlfcn.h>
#include <string.h>

#include "shim/scope.h"
#include "shim/signals.h"

/* libc's own: a sanitizer's functions of these names must not be called in a fault's handler */
static int (*set_state)(int, int *), (*set_type)(int, int *);

static atomic_bool handlers;
/* A thread has some of our three blocked: calls must see to its mask, but none is waited for. */
static atomic_bool masks;
static __thread unsigned depth __attribute__((tls_model("initial-exec")));

__attribute__((constructor(101))) static void resolve(void)
{
	void *libc = dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);

	if (!libc)
		return;
	set_state = (int (*)(int, int *))(uintptr_t)dlsym(libc, "pthread_setcancelstate");
	set_type = (int (*)(int, int *))(uintptr_t)dlsym(libc, "pthread_setcanceltype");
}

/* The mask from before shim_begin_wait(). */
static __thread uint64_t wait_mask __attribute__((tls_model("initial-exec")));
static __thread bool waiting __attribute__((tls_model("initial-exec")));

void shim_begin_wait(void)
{
	uint64_t mask;

	if (waiting)
		return;
	shim_block_signals(&mask);
	waiting = shim_stack_close();
	if (waiting)
		wait_mask = mask;
	else
		shim_raw_sigmask(SIG_SETMASK, &mask, NULL);
}

bool shim_inside(void)
{
	return depth;
}

void shim_have_masks(void)
{
	atomic_store(&masks, true);
}

static bool all_open(void)
{
	return !atomic_load(&handlers) && !atomic_load(&masks);
}

void shim_will_have_handlers(void)
{
	if (atomic_exchange(&handlers, true) || depth)
		return;
	shim_stacks_wait_open();
}

/* The way in which the thread can be cancelled when it is not in a call. */
struct cancel {
	int type, state;
};

/*
 * Make the thread one that cannot be cancelled. Both settings are changed: libc's handler of a
 * cancellation that was on its way when the state changed looks at the type alone (glibc 2.36).
 */
static void enter(struct cancel *c)
{
	*c = (struct cancel){ PTHREAD_CANCEL_DEFERRED, PTHREAD_CANCEL_DISABLE };
	if (depth++ || !set_state || !set_type)
		return;
	set_type(PTHREAD_CANCEL_DEFERRED, &c->type);
	set_state(PTHREAD_CANCEL_DISABLE, &c->state);
}

/*
 * Take back the state, before signals are as they were: a handler that comes then may leave by
 * longjmp, and the thread must be one that can be cancelled.
 */
static void leave(const struct cancel *c)
{
	if (c->state != PTHREAD_CANCEL_DISABLE)
		set_state(c->state, NULL);
	depth--;
}

/*
 * Take back the type, when signals are as they were: a thread that can be cancelled at any time may
 * be by this, and its cleanup handlers shall find them so.
 */
static void left(const struct cancel *c)
{
	if (c->type != PTHREAD_CANCEL_DEFERRED)
		set_type(c->type, NULL);
}

struct call {
	const stack_t *alt;
	long (*fn)(void *arg);
	void *arg;
};

static long without_alternate(void *arg)
{
	struct call *c = arg;

	return shim_without_alternate(c->fn, c->arg);
}

/* Call fn(arg) on stack @i, which was taken, or on any if that is -1. */
static long on_stack(int i, const stack_t *alt, long (*fn)(void *arg), void *arg)
{
	struct call c = { alt, fn, arg };

	/*
	 * From an alternate stack: the thread has none meanwhile. A fault in the middle (a guarded
	 * copy) would find that it is not on it, and start at its top again, over the frame we came
	 * from.
	 */
	if (!(alt->ss_flags & SS_DISABLE) &&
	    (uintptr_t)__builtin_frame_address(0) - (uintptr_t)alt->ss_sp < alt->ss_size) {
		fn = without_alternate;
		arg = &c;
	}
	return i < 0 ? shim_on_stack(fn, arg) : shim_stack_use(i, fn, arg);
}

long shim_run(long (*fn)(void *arg), void *arg)
{
	struct cancel c;
	uint64_t mask;
	long ret;
	int open = -1;

	if (depth)
		return shim_on_stack(fn, arg);
	shim_check_fork();
	shim_thread();
	if (all_open())
		open = shim_stack_take(true);
	if (open >= 0 && !all_open()) {
		shim_stack_give(open);
		open = -1;
	}
	if (open < 0)
		shim_block_signals(&mask);
	enter(&c);
	ret = on_stack(open, shim_alternate(), fn, arg);
	if (open >= 0)
		shim_stack_give(open);
	leave(&c);
	if (waiting && !depth) {
		mask = wait_mask;
		waiting = false;
		open = -1;
	}
	if (open < 0)
		shim_restore_signals(&mask);
	else
		shim_settle();
	left(&c);
	return ret;
}

__thread struct call_site shim_from;

long shim_run_fault(const ucontext_t *uc, long (*fn)(void *arg), void *arg)
{
	struct cancel c;
	uint64_t mask;
	long ret;

	shim_check_fork();
	/* a guarded copy may need what the program has blocked */
	memcpy(&mask, &uc->uc_sigmask, sizeof(mask));
	/* first: what comes as soon as they are open comes in the middle of a call */
	enter(&c);
	shim_open_own(mask);
	ret = on_stack(-1, &uc->uc_stack, fn, arg);
	leave(&c);
	if (c.type != PTHREAD_CANCEL_DEFERRED || shim_any_held())
		shim_restore_signals(&mask);
	left(&c);
	return ret;
}
