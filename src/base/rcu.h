/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * base/rcu.h: RCU for threads that nobody knows of. A program's own threads touch devices, in a
 * signal handler that may come before the thread is ready for anything, so a reader has no record
 * that somebody makes for it: it adds itself to one of some counters, which all threads share, and
 * takes itself off again. That is two locked instructions, and no call. Freeing waits (rcu_sync)
 * instead of being queued: no thread of ours for that in somebody else's program, nothing left over
 * at a fork.
 *
 * A counter has two sides. Readers come in on the one that is current; a writer waits for the
 * other, makes it current, and waits for the first, so that it meets all readers that were there,
 * and newcomers never keep it waiting. (The kernel's sleepable RCU is built like that.)
 */
#ifndef BASE_RCU_H
#define BASE_RCU_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define RCU_COUNTERS 64u

struct rcu_counter {
	atomic_uint in[2];
} __attribute__((aligned(64)));

extern struct rcu_counter rcu_counters[RCU_COUNTERS];
extern atomic_uint rcu_current;
/*
 * This thread's sections: twice their depth, and the side of the outermost in the lowest bit; 0:
 * none. One word, as a handler may come between any two instructions, with sections of its own.
 */
extern __thread unsigned rcu_self;

/*
 * Return this thread's counter: threads are spread over them by where their variables are. Several
 * on one cost time, and nothing else.
 */
static inline struct rcu_counter *rcu_counter(void)
{
	return &rcu_counters[((uintptr_t)&rcu_self >> 6) * 0x9e3779b97f4a7c15ull >> 58 &
			     (RCU_COUNTERS - 1)];
}

/* Begin a section: what is read in it stays until rcu_read_end(). Sections nest. */
static inline void rcu_read_begin(void)
{
	unsigned self = rcu_self, side;

	if (!self) {
		side = atomic_load_explicit(&rcu_current, memory_order_relaxed);
		/*
		 * before all that is read in the section, to a writer that looks at it after it has
		 * written
		 */
		atomic_fetch_add(&rcu_counter()->in[side], 1);
		self = side;
	}
	rcu_self = self + 2;
	atomic_signal_fence(memory_order_seq_cst);
}

/* End the section that this thread began last. */
static inline void rcu_read_end(void)
{
	unsigned self = rcu_self - 2;

	atomic_signal_fence(memory_order_seq_cst);
	if (self > 1) {
		rcu_self = self;
		return;
	}
	rcu_self = 0;
	atomic_fetch_sub_explicit(&rcu_counter()->in[self], 1, memory_order_release);
}

/* Wait until all sections that have begun are over. Not within one. */
void rcu_sync(void);
/* True if this thread is in a section. */
static inline bool rcu_reading(void)
{
	return rcu_self;
}

/*
 * Who is in one thing now, and may be there for long: counted on two sides, as readers are. All
 * zeroes to begin with. rcu_visit_begin() returns what rcu_visit_end() wants.
 */
struct rcu_visits {
	atomic_uint in[2], current;
};
unsigned rcu_visit_begin(struct rcu_visits *v);
void rcu_visit_end(struct rcu_visits *v, unsigned side);
/* Wait until all are over that have begun. Newcomers keep only those waiting who wait at once. */
void rcu_visits_wait(struct rcu_visits *v);

/*
 * Long sections, of their own kind: a device is called in one, which may take locks and its time,
 * and must not keep those waiting that sync for memory alone. They nest; rcu_long_begin() returns
 * what rcu_long_end() wants.
 */
unsigned rcu_long_begin(void);
void rcu_long_end(unsigned side);
/*
 * Wait until all sections of both kinds that have begun are over, but for long ones of this thread,
 * which then has to wait for none. Not with a lock that a device, or its callback, may want.
 */
void rcu_sync_all(void);
/* To be called around a fork: the child has the thread that forked, in no section, and no other. */
void rcu_before_fork(void);
void rcu_after_fork_in_parent(void);
void rcu_after_fork_in_child(void);

#define rcu_get(p)     __atomic_load_n(&(p), __ATOMIC_ACQUIRE)
#define rcu_set(p, v)  __atomic_store_n(&(p), v, __ATOMIC_SEQ_CST)
#define rcu_swap(p, v) __atomic_exchange_n(&(p), v, __ATOMIC_SEQ_CST)
#endif
