/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/siglibc.c: libc's functions about handlers, masks and the alternate stack, taken apart into
 * the kernel's terms, in which signals.c and sigmask.c have them. Those that wait are in sigwait.c.
 */
#include <sys/syscall.h>

#include "base/guard.h"
#include "shim/scope.h"
#include "shim/signals.h"

/* ---- the alternate stack: not to be started anew while a call of ours is on it (scope.c) ---- */

static __thread stack_t alternate __attribute__((tls_model("initial-exec")));

const stack_t *shim_alternate(void)
{
	return &alternate;
}

EXPORT int sigaltstack(const stack_t *restrict set, stack_t *restrict old)
{
	stack_t copy;
	long rc;

	if (set && guard_copy(&copy, set, sizeof(copy)))
		return (int)shim_ret(-EFAULT);
	rc = sys_call(SYS_sigaltstack, (long)set, (long)old, 0, 0, 0, 0);
	if (set && !rc)
		alternate = copy;
	return (int)shim_ret(rc);
}

/* ---- libc's names for it ---- */

EXPORT int sigaction(int sig, const struct sigaction *restrict act, struct sigaction *restrict old)
{
	struct shim_ksigaction k, was;
	long rc;

	if (sig == 32 || sig == 33) {
		errno = EINVAL;
		return -1;
	}
	if (act) {
		k.handler = (void *)(uintptr_t)act->sa_handler;
		k.flags = (unsigned long)(unsigned)act->sa_flags | SA_RESTORER_FLAG;
		k.restorer = (void *)(uintptr_t)shim_restorer;
		k.mask = from_set(&act->sa_mask);
	}
	rc = shim_sigaction(sig, act ? &k : NULL, &was);
	if (!rc && old) {
		old->sa_handler = (__sighandler_t)(uintptr_t)was.handler;
		old->sa_flags = (int)(was.flags & ~SA_RESTORER_FLAG);
		to_set(&old->sa_mask, was.mask);
		old->sa_restorer = (void (*)(void))(uintptr_t)was.restorer;
	}
	return (int)shim_ret(rc);
}

static __sighandler_t set_handler(int sig, __sighandler_t handler, int flags)
{
	struct sigaction act = { .sa_flags = flags }, old;

	act.sa_handler = handler;
	if (!(flags & SA_RESETHAND))
		sigaddset(&act.sa_mask, sig);
	if (handler == SIG_ERR) {
		errno = EINVAL;
		return SIG_ERR;
	}
	return sigaction(sig, &act, &old) ? SIG_ERR : old.sa_handler;
}

EXPORT __sighandler_t signal(int sig, __sighandler_t handler)
{
	return set_handler(sig, handler, SA_RESTART);
}

EXPORT __sighandler_t bsd_signal(int sig, __sighandler_t handler);
EXPORT __sighandler_t bsd_signal(int sig, __sighandler_t handler)
{
	return set_handler(sig, handler, SA_RESTART);
}

EXPORT __sighandler_t sysv_signal(int sig, __sighandler_t handler)
{
	return set_handler(sig, handler, (int)(SA_RESETHAND | SA_NODEFER));
}

EXPORT __sighandler_t __sysv_signal(int sig, __sighandler_t handler)
{
	return set_handler(sig, handler, (int)(SA_RESETHAND | SA_NODEFER));
}

static long libc_mask(int how, const sigset_t *set, sigset_t *old)
{
	uint64_t want, was;
	long rc;

	if (set)
		want = from_set(set);
	rc = shim_sigmask(how, set ? &want : NULL, &was);
	if (!rc && old)
		to_set(old, was);
	return rc;
}

EXPORT int sigprocmask(int how, const sigset_t *restrict set, sigset_t *restrict old)
{
	return (int)shim_ret(libc_mask(how, set, old));
}

EXPORT int pthread_sigmask(int how, const sigset_t *restrict set, sigset_t *restrict old)
{
	return (int)-libc_mask(how, set, old);
}
