/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/lib/caught.h: accesses that may fault, in a program of cases that tells by which signal. */
#ifndef TESTS_LIB_CAUGHT_H
#define TESTS_LIB_CAUGHT_H
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>

static sigjmp_buf caught_at;
static siginfo_t caught; /* what the last signal said */

static void caught_fault(int sig, siginfo_t *info, void *uc)
{
	caught = *info;
	siglongjmp(caught_at, sig);
}

/* Have SIGSEGV and SIGBUS come back to the last sigsetjmp(caught_at, 1). */
static void catch_faults(void)
{
	struct sigaction sa = { .sa_sigaction = caught_fault, .sa_flags = SA_SIGINFO };

	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGBUS, &sa, NULL);
}
#endif
