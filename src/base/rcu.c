/* SPDX-License-Identifier: BSD-3-Clause */
/* base/rcu.c: what rcu.h's words for ThreadSanitizer hang on. */
#include "base/rcu.h"

#ifdef BASE_RCU_TSAN
char rcu_tsan_order;
#endif
