/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * base/call.h: which call of the program a thread is in. The fronts link a frame of their own stack
 * into a variable of the thread when a call arrives, and take it out when they return; a report
 * (base/report.h) carries it, so that a line can say which call brought it about.
 *
 * Two stores to enter, one to leave, no lock: a signal handler may enter and leave at any time,
 * since a frame is whole before it is linked. A frame must not outlive its function. A call of the
 * shim cannot be left by longjmp or cancellation (shim/scope.c); a front whose calls can be enters
 * by call_enter_stack(). A child of fork() has the frames of the thread that forked, which are on
 * its own copy of the stack.
 */
#ifndef BASE_CALL_H
#define BASE_CALL_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A place in the program: where a call returns to, or an instruction (@exact). */
struct call_site {
	const void *ip;
	const void *sp; /* the stack pointer there; NULL: not known, and @fp neither */
	const void *fp; /* what is in RBP there */
	bool exact;
};

struct call_frame {
	const char *name;		/* "ioctl"; lives as long as the process */
	struct call_site from;		/* in the program */
	const struct call_frame *outer; /* a call in whose middle this one came, or NULL */
};

/* The innermost call that this thread is in, or NULL: none of the program's. */
extern __thread const struct call_frame *call_current;

/*
 * Where the function that this stands in was called from. Ours have frame pointers: RBP points at
 * the caller's, and above that is the address to return to.
 */
#define CALL_SITE()                                                                                \
	((struct call_site){ __builtin_return_address(0), (char *)__builtin_frame_address(0) + 16, \
			     *(void *const *)__builtin_frame_address(0), false })

/* Link @c: from now on this thread is in the call @name that returns to @from. */
static inline const struct call_frame *call_enter(struct call_frame *c, const char *name,
						  struct call_site from)
{
	*c = (struct call_frame){ name, from, call_current };
	atomic_signal_fence(memory_order_release);
	call_current = c;
	return c;
}

/* Take out @c, the innermost one. */
static inline void call_leave(const struct call_frame *c)
{
	call_current = c->outer;
	atomic_signal_fence(memory_order_release);
}

/*
 * call_enter() for calls that the program can leave by longjmp: a frame deeper in the stack than
 * @c, a frame of the caller's, is of a call that was left so, and is forgotten. For fronts that run
 * on the program's stack only.
 */
static inline const struct call_frame *call_enter_stack(struct call_frame *c, const char *name,
							struct call_site from)
{
	if (call_current && (uintptr_t)call_current < (uintptr_t)c)
		call_current = NULL;
	return call_enter(c, name, from);
}

/*
 * Among the declarations of a block: it is done within the call @name, with a frame in its own.
 * CALL_FRAME_STACK() is the same by call_enter_stack().
 */
#define CALL_FRAME(name, from)	     CALL_FRAME_BY(call_enter, name, from)
#define CALL_FRAME_STACK(name, from) CALL_FRAME_BY(call_enter_stack, name, from)
#define CALL_FRAME_BY(enter, name, from)                                                          \
	__attribute__((cleanup(call_leave_block), unused)) const struct call_frame *call_frame_ = \
		enter(&(struct call_frame){ 0 }, name, from)
static inline void call_leave_block(const struct call_frame *const *c)
{
	call_leave(*c);
}
#endif
