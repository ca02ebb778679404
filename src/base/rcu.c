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
#define SPINS	       200u
#define NAP_NS	       20000l
#define LONGEST_NAP_NS 1000000l /* for one who stays: who waits for another process */

/* ---- long sections: few, so that one counter does ---- */

static struct rcu_visits long_visits;
static __thread unsigned long_depth;
static pthread_mutex_t long_lock = PTHREAD_MUTEX_INITIALIZER; /* of those who wait for them */

static void wait_until_none(atomic_uint *in)
{
	struct timespec nap = { .tv_nsec = NAP_NS };

	for (unsigned n = 0; atomic_load(in); n++) {
		if (n < SPINS) {
			__builtin_ia32_pause();
			continue;
		}
		sys_call(SYS_nanosleep, (long)&nap, 0, 0, 0, 0, 0);
		if (n > 2 * SPINS && nap.tv_nsec < LONGEST_NAP_NS)
			nap.tv_nsec += NAP_NS;
	}
}

static void wait_for(unsigned side)
{
	for (unsigned i = 0; i < RCU_COUNTERS; i++)
		wait_until_none(&rcu_counters[i].in[side]);
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

unsigned rcu_visit_begin(struct rcu_visits *v)
{
	unsigned side = atomic_load(&v->current);

	atomic_fetch_add(&v->in[side], 1);
	return side;
}

void rcu_visit_end(struct rcu_visits *v, unsigned side)
{
	atomic_fetch_sub(&v->in[side], 1);
}

void rcu_visits_wait(struct rcu_visits *v)
{
	unsigned side = atomic_load(&v->current);

	wait_until_none(&v->in[!side]);
	atomic_store(&v->current, !side);
	wait_until_none(&v->in[side]);
}

unsigned rcu_long_begin(void)
{
	long_depth++;
	return rcu_visit_begin(&long_visits);
}

void rcu_long_end(unsigned side)
{
	long_depth--;
	rcu_visit_end(&long_visits, side);
}

void rcu_sync_all(void)
{
	rcu_sync(); /* from here on nobody begins a long one who has not seen what was written */
	if (long_depth)
		return;
	pthread_mutex_lock(&long_lock);
	rcu_visits_wait(&long_visits);
	pthread_mutex_unlock(&long_lock);
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
	pthread_mutex_init(&long_lock, NULL);
	atomic_store(&long_visits.in[0], 0);
	atomic_store(&long_visits.in[1], 0);
	long_depth = 0;
	for (unsigned i = 0; i < RCU_COUNTERS; i++)
		for (unsigned side = 0; side < 2; side++)
			atomic_store(&rcu_counters[i].in[side], 0);
}
