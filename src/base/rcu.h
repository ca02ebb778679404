/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * base/rcu.h: RCU is liburcu's "bulletproof" flavour: a program's own threads touch devices, and nobody registers those.
 * Freeing waits (rcu_sync) instead of being queued: no thread of liburcu's in somebody else's program, nothing left over at a fork.
 */
#ifndef BASE_RCU_H
#define BASE_RCU_H
/*
 * The read side inline, except where UndefinedBehaviorSanitizer (together with AddressSanitizer, which can be asked for) would stumble over the library's per-thread
 * records: liburcu 0.13 puts them at other addresses than the alignment that it declares for them.
 */
#include "base/sanitize.h"
#if defined(SANITIZED_ADDRESS) || defined(SANITIZED_UNDEFINED)
#define BASE_RCU_CALLS 1
#endif
#ifndef BASE_RCU_CALLS
#define _LGPL_SOURCE 1
#endif
#include <stdbool.h>
#include <urcu-bp.h>
/*
 * A thread's first read section: liburcu makes a record of the thread, with a lock held and signals blocked, and mmap, mremap and munmap of the memory for its records come to the shim, which
 * must not look into a table under RCU then.
 */
extern __thread bool rcu_registering;
void rcu_register(void);
#ifndef BASE_RCU_CALLS
static inline void rcu_read_begin_here(void)
{
	if (__builtin_expect(!URCU_TLS(urcu_bp_reader), 0))
		rcu_register();
	urcu_bp_read_lock();
}
#else
#define rcu_read_begin_here() (rcu_register(), urcu_bp_read_lock())
#endif
#ifdef SANITIZED_THREAD
/* ThreadSanitizer does not see the order that a grace period makes (membarrier(2) inside of a library): told here. */
extern char rcu_tsan_order;
void __tsan_acquire(void *addr);
void __tsan_release(void *addr);
#define rcu_read_begin()  rcu_read_begin_here()
#define rcu_read_end()    (__tsan_release(&rcu_tsan_order), urcu_bp_read_unlock())
#define rcu_sync()        (urcu_bp_synchronize_rcu(), __tsan_acquire(&rcu_tsan_order))
#else
#define rcu_read_begin()  rcu_read_begin_here()
#define rcu_read_end()    urcu_bp_read_unlock()
#define rcu_sync()        urcu_bp_synchronize_rcu()
#endif
#define rcu_get(p)        rcu_dereference(p)
#define rcu_set(p, v)     rcu_assign_pointer(p, v)
#endif
