/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * base/rcu.h: RCU is liburcu's "bulletproof" flavour: a program's own threads touch devices, and nobody registers those.
 * Freeing waits (rcu_sync) instead of being queued: no thread of liburcu's in somebody else's program, nothing left over at a fork.
 */
#ifndef BASE_RCU_H
#define BASE_RCU_H
#define _LGPL_SOURCE 1
#include <urcu-bp.h>
#define rcu_read_begin()  urcu_bp_read_lock()
#define rcu_read_end()    urcu_bp_read_unlock()
#define rcu_sync()        urcu_bp_synchronize_rcu()
#define rcu_get(p)        rcu_dereference(p)
#define rcu_set(p, v)     rcu_assign_pointer(p, v)
#endif
