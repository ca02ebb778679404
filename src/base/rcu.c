/* SPDX-License-Identifier: BSD-3-Clause */
/* base/rcu.c: a thread's registration, and what rcu.h's words for ThreadSanitizer hang on. */
#include "base/rcu.h"

__thread bool rcu_registering;

/* Threads that are registered already come here in builds that cannot see it inline. */
void rcu_register(void)
{
	bool was = rcu_registering;

	rcu_registering = true;
	urcu_bp_register_thread();
	rcu_registering = was;
}

#ifdef SANITIZED_THREAD
char rcu_tsan_order;
#endif
