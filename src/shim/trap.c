/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/trap.c: our handler of SIGSYS, SIGSEGV and SIGBUS: a system call that the filter stopped is
 * made, an access of a mapped BAR is carried out. What is not ours goes the program's way
 * (signals.c).
 */
#include <sys/syscall.h>

#include "base/guard.h"
#include "shim/bars.h"
#include "shim/calls.h"
#include "shim/scope.h"
#include "shim/signals.h"
#include "x86/emulate.h"

#ifndef SYS_SECCOMP
#define SYS_SECCOMP 1 /* asm-generic/siginfo.h: si_code of SIGSYS */
#endif

/* A system call that the filter stopped: do it as the wrapper would have. */
static void on_trap(siginfo_t *info, ucontext_t *uc)
{
	greg_t *r = uc->uc_mcontext.gregs;
	const long a[6] = { r[REG_RDI], r[REG_RSI], r[REG_RDX], r[REG_R10], r[REG_R8], r[REG_R9] };
	long rc;

	if (info->si_syscall == SYS_ioctl && (uint32_t)a[1] == SHIM_PROBE_CMD && (int)a[0] == -1) {
		shim_trap_probe = 1;
		r[REG_RAX] = -EBADF;
		return;
	}
	if (info->si_syscall == SYS_ioctl && (uint32_t)a[1] == SHIM_GO_CMD && shim_go_call(uc))
		return;
	shim_from = shim_site(uc, false);
	if (!shim_syscall(info->si_syscall, a, &rc))
		rc = -ENOSYS; /* nothing else is trapped */
	r[REG_RAX] = rc;
}

struct bar_access {
	struct shim_range at;
	const siginfo_t *info;
	ucontext_t *uc;
	uintptr_t bad;
};

static long access_bar(void *arg)
{
	struct bar_access *a = arg;
	CALL_FRAME("memory access", shim_site(a->uc, true));

	return shim_bar_fault(&a->at, a->info, a->uc, &a->bad);
}

static long tell_gone(void *arg)
{
	struct bar_access *a = arg;
	CALL_FRAME("memory access", shim_site(a->uc, true));

	/* bit 1 of the processor's error code: a write */
	shim_gone_fault((uintptr_t)a->info->si_addr, a->uc->uc_mcontext.gregs[REG_ERR] & 2);
	return 0;
}

static void fault(int sig, siginfo_t *info, void *ucontext)
{
	struct bar_access a = { .info = info, .uc = ucontext, .bad = (uintptr_t)info->si_addr };
	long due = 0;

	shim_check_fork();
	/*
	 * MAPERR: a child made by clone() has not got the polled pages; ADRERR: the program changed
	 * the protection past us (shim_bar_fault)
	 */
	if (((sig == SIGSEGV && (info->si_code == SEGV_ACCERR || info->si_code == SEGV_MAPERR)) ||
	     (sig == SIGBUS && info->si_code == BUS_ADRERR)) &&
	    shim_bar_get(info->si_addr, &a.at))
		due = shim_run_fault(ucontext, access_bar, &a);
	else if (sig == SIGSEGV && info->si_code == SEGV_MAPERR && shim_gone_any())
		shim_run_fault(ucontext, tell_gone, &a);
	switch (due) {
	case -1:
		return;
	case SIGSEGV:
		/*
		 * another operand of the instruction is to blame; 0: its alignment, which the
		 * kernel has no address for either
		 */
		if (a.bad != (uintptr_t)info->si_addr) {
			info->si_addr = (void *)a.bad;
			info->si_code = a.bad ? SEGV_MAPERR : SI_KERNEL;
		}
		shim_chain(sig, info, ucontext, true);
		return;
	case SIGBUS:
		/*
		 * as the kernel's vfio-pci does (VM_FAULT_SIGBUS) when no device answers an access
		 * of a BAR; the instruction itself would fault with SIGSEGV again
		 */
		info->si_signo = SIGBUS;
		info->si_code = BUS_ADRERR;
		shim_chain(SIGBUS, info, ucontext, false);
		return;
	default:
		/* some other filter's trap: the system call is over, nothing happens again */
		shim_chain(sig, info, ucontext, sig != SIGSYS);
	}
}

void shim_on_signal(int sig, siginfo_t *info, void *ucontext)
{
	int saved = errno;

	shim_forwarded(info);
	if (sig == SIGSYS && info->si_code == SYS_SECCOMP && info->si_errno == SHIM_TRAP_DATA)
		on_trap(info, ucontext);
	else if (!guard_fault(sig, info, ucontext) && !x86_fault(sig, info, ucontext))
		fault(sig, info, ucontext);
	errno = saved;
}
