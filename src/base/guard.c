/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * base/guard.c: fault fix-up and the handler. The copy itself and its table of instructions that
 * may fault are in guard_copy.S.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/guard.h"
#include "base/sys.h"
#include "base/util.h"

size_t guard_copy_asm(void *dst, const void *src, size_t n);
long guard_strncpy_asm(char *dst, const char *src, size_t max);

struct fixup {
	int32_t at, to; /* from the start of the table */
};
extern const struct fixup guard_fixups[] __attribute__((visibility("hidden")));
extern const struct fixup guard_fixups_end[] __attribute__((visibility("hidden")));

static const int guarded_signals[] = { SIGSEGV, SIGBUS };
/*
 * Signals are the process's: so is this. Written once, under install_lock, before the handler that
 * reads it is in place.
 */
static struct sigaction previous[ARRAY_SIZE(guarded_signals)];
static pthread_mutex_t install_lock = PTHREAD_MUTEX_INITIALIZER; /* a leaf */
static bool installed;

bool guard_fault(int sig, const siginfo_t *info, void *ucontext)
{
	ucontext_t *uc = ucontext;
	uintptr_t pc = (uintptr_t)uc->uc_mcontext.gregs[REG_RIP], base = (uintptr_t)guard_fixups;

	if (sig != SIGSEGV && sig != SIGBUS)
		return false;
	/* sent by kill(2) or the like while we stood here: no fault of ours */
	if (info && info->si_code <= 0)
		return false;
	for (const struct fixup *f = guard_fixups; f < guard_fixups_end; f++) {
		if (base + (uintptr_t)(intptr_t)f->at != pc)
			continue;
		uc->uc_mcontext.gregs[REG_RIP] = (greg_t)(base + (uintptr_t)(intptr_t)f->to);
		return true;
	}
	return false;
}

/* Do what would have happened without this handler. */
static void chain(int sig, siginfo_t *info, void *ucontext, const struct sigaction *old)
{
	struct sigaction dfl;

	if (old->sa_flags & SA_SIGINFO) {
		old->sa_sigaction(sig, info, ucontext);
		return;
	}
	if (old->sa_handler != SIG_DFL && old->sa_handler != SIG_IGN) {
		old->sa_handler(sig);
		return;
	}
	if (old->sa_handler == SIG_IGN && info->si_code <= 0)
		return;
	/*
	 * Default action, also for a fault that is ignored: the kernel would kill. A fault happens
	 * again on return; a signal that was sent does not.
	 */
	memset(&dfl, 0, sizeof(dfl));
	dfl.sa_handler = SIG_DFL;
	sigaction(sig, &dfl, NULL);
	if (info->si_code <= 0)
		sys_call(SYS_tgkill, getpid(), sys_call(SYS_gettid, 0, 0, 0, 0, 0, 0), sig, 0, 0,
			 0);
}

static void on_fault(int sig, siginfo_t *info, void *ucontext)
{
	int saved = errno;

	if (!guard_fault(sig, info, ucontext))
		chain(sig, info, ucontext, &previous[sig == SIGBUS]);
	errno = saved;
}

int guard_install(void)
{
	struct sigaction sa;
	int rc = 0;

	pthread_mutex_lock(&install_lock);
	if (installed)
		goto out;
	memset(&sa, 0, sizeof(sa));
	sa.sa_sigaction = on_fault;
	/*
	 * NODEFER: a handler that we chain to may copy, too. ONSTACK: it may be there because its
	 * stack is gone.
	 */
	sa.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
	sigemptyset(&sa.sa_mask);
	for (unsigned i = 0; i < ARRAY_SIZE(guarded_signals); i++) {
		/* what is there must be known before the first fault can chain to it */
		if (sigaction(guarded_signals[i], NULL, &previous[i]) ||
		    sigaction(guarded_signals[i], &sa, NULL)) {
			rc = -errno;
			goto out;
		}
	}
	installed = true;
out:
	pthread_mutex_unlock(&install_lock);
	return rc;
}

void guard_handled_elsewhere(void)
{
	pthread_mutex_lock(&install_lock);
	installed = true;
	pthread_mutex_unlock(&install_lock);
}

size_t guard_copy_part(void *dst, const void *src, size_t n)
{
	return n - guard_copy_asm(dst, src, n);
}

int guard_copy(void *dst, const void *src, size_t n)
{
	return guard_copy_asm(dst, src, n) ? -EFAULT : 0;
}

long guard_strncpy(char *dst, const char *src, size_t max)
{
	long rc = guard_strncpy_asm(dst, src, max);

	return rc >= 0 ? rc : rc == -1 ? -EFAULT : -ENAMETOOLONG;
}
