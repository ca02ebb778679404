/* SPDX-License-Identifier: BSD-3-Clause */
/* base/fork.c: base/ around a fork. */
#include <pthread.h>
#include <stdatomic.h>

#include "base/fork.h"
#include "base/heap.h"
#include "base/rcu.h"
#include "base/sys.h"

static atomic_flag hooked = ATOMIC_FLAG_INIT;

void fork_before(void)
{
	rcu_before_fork();
	fd_room_lock();
}

void fork_after_in_parent(void)
{
	fd_room_unlock();
	rcu_after_fork_in_parent();
}

void fork_after_in_child(void)
{
	heap_abandon();
	fd_room_abandon();
	rcu_after_fork_in_child();
}

void fork_hooks_once(void)
{
	if (!atomic_flag_test_and_set(&hooked))
		pthread_atfork(fork_before, fork_after_in_parent, fork_after_in_child);
}

void fork_hooks_elsewhere(void)
{
	atomic_flag_test_and_set(&hooked);
}
