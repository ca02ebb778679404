/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * base/fork.h: what base/ has to do around a fork, in the order of its locks.
 *
 * A thread that was in a read section of RCU when another one forked is not in the child: it must
 * not be counted as a reader, or the child would wait for it for ever. And locks that another
 * thread held are nobody's there.
 */
#ifndef BASE_FORK_H
#define BASE_FORK_H

void fork_before(void);
void fork_after_in_parent(void);
/* Also in a child that came without the other two (clone). */
void fork_after_in_child(void);

/* Have these called at each fork() of the process from now on, once; for libuvfio. */
void fork_hooks_once(void);
/* The caller has hooks of its own, which call these: fork_hooks_once() does nothing. */
void fork_hooks_elsewhere(void);
#endif
