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

struct loop *loop_new(void);	/* NULL: no memory. No thread and no descriptor yet. */
void loop_free(struct loop *l); /* stops the thread; no watch or timer may be left */
/* In a forked child, where the thread does not exist: drop the loop without waiting for anybody. */
void loop_abandon(struct loop *l);

/*
 * Call @fn(arg) on the service thread whenever @fd (not owned) is readable. NULL with *@err =
 * -errno.
 */
struct loop_watch *loop_watch(struct loop *l, int fd, void (*fn)(void *arg), void *arg, int *err);
/*
 * When it returns @fn is not running and will not run (unless called from @fn itself: then it does
 * not run again).
 */
void loop_unwatch(struct loop_watch *w);

struct loop_timer *loop_timer_new(struct loop *l, void (*fn)(void *arg), void *arg);
void loop_timer_set(struct loop_timer *t, uint64_t ns_from_now); /* UINT64_MAX: off. Any thread. */
void loop_timer_free(struct loop_timer *t);			 /* as loop_unwatch */
#endif
