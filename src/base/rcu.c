/* SPDX-License-Identifier: BSD-3-Clause */
/* base/rcu.c: the writer's side. */
#include <pthread.h>
#include <sys/syscall.h>
#include <time.h>

#include "base/rcu.h"
#include "base/sys.h"

struct rcu_counter rcu_counters[RCU_COUNTERS];
atomic_uint rcu_current;
__thread unsigned rcu_self;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of writers; nothing is taken under it */

/* looks before a nap: a section is short, but its thread may be kept from running */
#define SPINS 200u
static const struct timespec nap = { .tv_nsec = 20000 };

static void wait_for(unsigned side)
{
	for (unsigned i = 0; i < RCU_COUNTERS; i++)
		for (unsigned n = 0; atomic_load(&rcu_counters[i].in[side]); n++) {
			if (n < SPINS)
				__builtin_ia32_pause();
			else
				sys_call(SYS_nanosleep, (long)&nap, 0, 0, 0, 0, 0);
		}
}

void rcu_sync(void)
{
	unsigned side;

	/* what was written comes before the look at the counters */
	atomic_thread_fence(memory_order_seq_cst);
	pthread_mutex_lock(&lock);
	side = atomic_load(&rcu_current);
	wait_for(!side);
	atomic_store(&rcu_current, !side);
	wait_for(side);
	pthread_mutex_unlock(&lock);
}

void rcu_before_fork(void)
{
	pthread_mutex_lock(&lock);
}

void rcu_after_fork_in_parent(void)
{
	pthread_mutex_unlock(&lock);
}

void rcu_after_fork_in_child(void)
{
	pthread_mutex_init(&lock, NULL);
	for (unsigned i = 0; i < RCU_COUNTERS; i++)
		for (unsigned side = 0; side < 2; side++)
			atomic_store(&rcu_counters[i].in[side], 0);
}
