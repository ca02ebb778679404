/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * base/loop.h: one service thread: descriptors to watch and timers. Started at the first use, all
 * signals blocked but SIGSEGV, SIGBUS, SIGSYS. Order of locks: loop's own lock is a leaf; it is not
 * held while a callback runs.
 */
#ifndef BASE_LOOP_H
#define BASE_LOOP_H
#include <stdbool.h>
#include <stdint.h>

struct loop;
struct loop_watch;
struct loop_timer;

/* Make a loop, without thread and descriptors so far. NULL: no memory. */
struct loop *loop_new(void);
/* Stop the thread and free @l, in which no watch or timer may be left. */
void loop_free(struct loop *l);
/* Drop the loop without waiting for anybody: in a forked child, which does not have the thread. */
void loop_abandon(struct loop *l);

/*
 * Call @fn(arg) on the service thread whenever @fd (not owned) is readable. NULL: *@err is the
 * -errno.
 */
struct loop_watch *loop_watch(struct loop *l, int fd, void (*fn)(void *arg), void *arg, int *err);
/*
 * End a watch. When this returns, its callback is not running and will not run (called by the
 * callback itself: it does not run again).
 */
void loop_unwatch(struct loop_watch *w);

/* Make a timer, which calls @fn(arg) on the service thread. NULL: no memory. */
struct loop_timer *loop_timer_new(struct loop *l, void (*fn)(void *arg), void *arg);
/*
 * Have @late(arg) called, with the loop's lock held, if the timer's callback has not returned for
 * five seconds when somebody sets a timer, which cannot fire before: once for each time.
 */
void loop_timer_set_late(struct loop_timer *t, void (*late)(void *arg));
/* Let it fire once, so many nanoseconds from now; UINT64_MAX: not. Any thread. */
void loop_timer_set(struct loop_timer *t, uint64_t ns_from_now);
/* Free a timer; as loop_unwatch(). */
void loop_timer_free(struct loop_timer *t);
#endif
