/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/signals.c: SIGSYS (the filter's trap), SIGSEGV and SIGBUS (guarded copies) must reach us
 * whatever the program does with signals. So our handler stays installed, these three are never
 * blocked, and the program keeps its own idea of both: what it sets is what it reads back, and a
 * signal that is not ours is handled as it would have been without us, by its handler, by the
 * default, by being held while "blocked".
 *
 * In the kernel's terms throughout (rt_sigaction, 64-bit masks): libc's structures are taken apart
 * in the wrappers at the end.
 */
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/guard.h"
#include "shim/signals.h"
#include "x86/emulate.h"

#ifndef SYS_SECCOMP
#define SYS_SECCOMP 1 /* asm-generic/siginfo.h: si_code of SIGSYS */
#endif
#define SA_RESTORER_FLAG 0x04000000ul /* asm/signal.h */

/* what instructions of ours may give while an access is carried out: blocked, it would kill */
#define FAULTS (OURS | BIT(SIGFPE) | BIT(SIGILL) | BIT(SIGTRAP))
#define SETXID BIT(33) /* setuid() waits until every thread has had it */
/* the mask in the middle of a call of ours */
#define MIDDLE	    (~(OURS | SETXID | BIT(SIGKILL) | BIT(SIGSTOP)))
#define NUM_SIGNALS 64

static const int ours[NUM_OURS] = { SIGSEGV, SIGBUS, SIGSYS };

/*
 * The program's actions for our three. Two places each, so that a handler never reads one that is
 * being written; and the bits of our three in the masks of all other actions, which the kernel does
 * not get to see.
 */
static struct {
	struct shim_ksigaction act[2];
	atomic_uint now;
} prog[ARRAY_SIZE(ours)];
static uint64_t mask_bits[NUM_SIGNALS + 1];
/* writers of the two; a leaf, taken with signals blocked */
static pthread_mutex_t action_lock = PTHREAD_MUTEX_INITIALIZER;

__thread struct shim_self shim_self __attribute__((tls_model("initial-exec")));

/*
 * mov $15, %rax; syscall: rt_sigreturn. These very bytes are how debuggers and unwinders know a
 * signal frame.
 */
extern const char shim_restorer[] __attribute__((visibility("hidden")));
__asm__(".text\n"
	".balign 16\n"
	"	nop\n"
	".globl shim_restorer\n"
	".hidden shim_restorer\n"
	".type shim_restorer, @function\n"
	"shim_restorer:\n"
	"	movq $15, %rax\n"
	"	syscall\n"
	".size shim_restorer, . - shim_restorer\n");

static void on_signal(int sig, siginfo_t *info, void *ucontext);

static long raw_sigaction(int sig, const struct shim_ksigaction *act, struct shim_ksigaction *old)
{
	return sys_call(SYS_rt_sigaction, sig, (long)act, (long)old, sizeof(uint64_t), 0, 0);
}

long shim_raw_sigmask(int how, const uint64_t *set, uint64_t *old)
{
	return sys_call(SYS_rt_sigprocmask, how, (long)set, (long)old, sizeof(uint64_t), 0, 0);
}

void shim_block_signals(uint64_t *saved)
{
	uint64_t all = MIDDLE;

	shim_raw_sigmask(SIG_SETMASK, &all, saved);
}

void shim_restore_signals(const uint64_t *saved)
{
	shim_raw_sigmask(SIG_SETMASK, saved, NULL);
	shim_settle();
}

void shim_open_own(uint64_t mask)
{
	uint64_t three = OURS;

	if (mask & OURS)
		shim_raw_sigmask(SIG_UNBLOCK, &three, NULL);
}

void shim_settle(void)
{
	uint64_t k;

	if (!shim_any_held() || shim_inside() || shim_raw_sigmask(SIG_BLOCK, NULL, &k))
		return;
	shim_unhold(shim_mask_from_kernel(k));
}

static pid_t own_pid(void)
{
	return (pid_t)sys_call(SYS_getpid, 0, 0, 0, 0, 0, 0);
}

/* A child of clone with memory of its own, which nobody has noticed yet, is none. */
bool shim_in_vfork_child(void)
{
	return own_pid() != shim.pid && (!shim.alive || *shim.alive);
}

/* Takes back what a child of vfork changed in the record, unless it is the child that asks. */
static void forget_child(void)
{
	if (!shim_self.parents.child || shim_self.parents.child == own_pid())
		return;
	shim_self.seen = shim_self.parents.seen;
	shim_self.sys = shim_self.parents.sys;
	shim_self.carrier = shim_self.parents.carrier;
	shim_self.real = shim_self.parents.real;
	shim_self.parents.child = 0;
}

void shim_self_changes(void)
{
	forget_child();
	if (shim_self.parents.child || !shim_in_vfork_child())
		return;
	shim_self.parents.seen = shim_self.seen;
	shim_self.parents.sys = shim_self.sys;
	shim_self.parents.carrier = shim_self.carrier;
	shim_self.parents.real = shim_self.real;
	shim_self.parents.child = own_pid();
}

static bool is_function(const void *handler)
{
	return handler != (void *)SIG_DFL && handler != (void *)SIG_IGN;
}

/* Put our handler where the program's action would be, on the stack that the program asked for. */
static long install(int sig, const struct shim_ksigaction *want)
{
	struct shim_ksigaction act = { .handler = (void *)(uintptr_t)on_signal,
				       .restorer = (void *)(uintptr_t)shim_restorer };

	act.flags = SA_SIGINFO | SA_NODEFER | SA_RESTORER_FLAG;
	/*
	 * an access of a BAR is one instruction: no handler of the program comes in between, while
	 * locks are held. call_handler() opens the mask again.
	 */
	if (sig != SIGSYS)
		act.mask = ~(FAULTS | SETXID);
	if (is_function(want->handler))
		act.flags |= want->flags & (SA_ONSTACK | SA_RESTART);
	else if (sig != SIGSYS)
		act.flags |= SA_ONSTACK; /* the fault may be the end of a stack */
	return raw_sigaction(sig, &act, NULL);
}

long shim_sigaction(int sig, const struct shim_ksigaction *act, struct shim_ksigaction *old)
{
	struct shim_ksigaction new, was;
	uint64_t mask;
	int s = shim_slot(sig);
	unsigned now;
	long rc = 0;

	if (sig < 1 || sig > NUM_SIGNALS || !shim.on)
		return raw_sigaction(sig, act, old);
	/* What a vfork child sets (defaults, for what it will exec) is not the parent's. */
	if (shim_in_vfork_child())
		return raw_sigaction(sig, act, old);
	if (act && is_function(act->handler))
		shim_will_have_handlers();
	shim_block_signals(&mask);
	pthread_mutex_lock(&action_lock);
	if (s < 0) {
		if (act) {
			new = *act;
			new.mask = shim_mask_to_kernel(new.mask);
		}
		rc = raw_sigaction(sig, act ? &new : NULL, &was);
		was.mask = (was.mask & ~CARRIER) | mask_bits[sig];
		if (!rc && act)
			mask_bits[sig] = act->mask & (KEPT | CARRIER);
	} else {
		now = atomic_load(&prog[s].now);
		was = prog[s].act[now];
		if (act) {
			prog[s].act[!now] = *act;
			atomic_store(&prog[s].now, !now);
			rc = install(sig, act);
			if (act->handler == (void *)SIG_IGN)
				shim_drop_held(BIT(sig));
		}
	}
	pthread_mutex_unlock(&action_lock);
	shim_restore_signals(&mask);
	if (!rc && old)
		*old = was;
	return rc;
}

/* ---- the three, when they are not ours ---- */

static void resend(int sig, const siginfo_t *info)
{
	sys_call(SYS_rt_tgsigqueueinfo, sys_call(SYS_getpid, 0, 0, 0, 0, 0, 0),
		 sys_call(SYS_gettid, 0, 0, 0, 0, 0, 0), sig, (long)info, 0, 0);
}

static void default_action(int sig, siginfo_t *info, bool again)
{
	struct shim_ksigaction dfl = { .handler = (void *)SIG_DFL,
				       .flags = SA_RESTORER_FLAG,
				       .restorer = (void *)(uintptr_t)shim_restorer };
	uint64_t bit = BIT(sig);

	raw_sigaction(sig, &dfl, NULL);
	/* a fault happens again when the instruction does, and the core shows it there */
	if (again)
		return;
	shim_raw_sigmask(SIG_UNBLOCK, &bit, NULL);
	resend(sig, info);
}

/*
 * @k is what the kernel blocks in a thread that we have not seen yet, and @truth: nobody of us has
 * written it. Notes what the program believes of it; returns what the kernel shall block.
 */
static uint64_t looked_at(uint64_t k, bool truth)
{
	shim_self_changes();
	shim_self.seen = true;
	shim_self.carrier = k & CARRIER;
	/*
	 * SIGSYS goes with SIGSEGV: who made this thread may have blocked them, and a mask that
	 * names them names both
	 */
	shim_self.sys = k & (truth ? BIT(SIGSYS) : BIT(SIGSYS) | CARRIER);
	/*
	 * no waiting: it may be a thread of a model, which somebody in a call waits for. One of
	 * ours takes no signals.
	 */
	if (k & (OURS | CARRIER) && k != SHIM_SERVICE_MASK)
		shim_have_masks();
	if (k & BIT(SIGSEGV))
		k |= CARRIER;
	else if (truth)
		k &= ~CARRIER;
	return k & ~KEPT;
}

static void look_at_mask(bool truth)
{
	uint64_t k = 0, want;

	shim_raw_sigmask(SIG_BLOCK, NULL, &k);
	want = looked_at(k, truth);
	if (want != k)
		shim_raw_sigmask(SIG_SETMASK, &want, NULL);
}

/* What the program believes to have blocked in this thread, where @uc was interrupted. */
static uint64_t believed(const ucontext_t *uc)
{
	uintptr_t sp = (uintptr_t)uc->uc_mcontext.gregs[REG_RSP];
	uint64_t k;

	/* @uc has the mask to go back to */
	if (shim_self.wait_frame && shim_self.wait_frame - sp < 4096)
		return shim_self.wait_mask;
	memcpy(&k, &uc->uc_sigmask, sizeof(k));
	return shim_mask_from_kernel(k);
}

static void call_handler(int sig, const struct shim_ksigaction *act, siginfo_t *info,
			 ucontext_t *uc)
{
	uint64_t mask;

	if (act->flags & SA_RESETHAND) {
		struct shim_ksigaction dfl = *act;

		dfl.handler = (void *)SIG_DFL;
		shim_sigaction(sig, &dfl, NULL);
	}
	/* the mask that the kernel would have set, which it takes back when the handler returns */
	memcpy(&mask, &uc->uc_sigmask, sizeof(mask));
	mask |= shim_mask_to_kernel(act->mask | (act->flags & SA_NODEFER ? 0 : BIT(sig)));
	shim_self.wait_frame = 0;
	shim_raw_sigmask(SIG_SETMASK, &mask, NULL);
	if (act->flags & SA_SIGINFO)
		((void (*)(int, siginfo_t *, void *))(uintptr_t)act->handler)(sig, info, uc);
	else
		((void (*)(int))(uintptr_t)act->handler)(sig);
	/* what was sent meanwhile comes when the handler returns */
	if (shim_any_held()) {
		memcpy(&mask, &uc->uc_sigmask, sizeof(mask));
		shim_raw_sigmask(SIG_SETMASK, &mask, NULL);
		shim_unhold(shim_mask_from_kernel(mask));
	}
}

/*
 * @again: the instruction will fault once more by itself, and the same way, when the default action
 * is to be taken
 */
static void chain(int sig, siginfo_t *info, ucontext_t *uc, bool again)
{
	int s = shim_slot(sig);
	struct shim_ksigaction act = prog[s].act[atomic_load(&prog[s].now)];
	/*
	 * SI_TKILL and its kin are negative; a bad page of memory that was found by the way
	 * (BUS_MCEERR_AO) is no fault of the instruction's
	 */
	bool fault = info->si_code > 0 && !(sig == SIGBUS && info->si_code == BUS_MCEERR_AO);
	bool blocked, inside;
	uint64_t k;

	memcpy(&k, &uc->uc_sigmask, sizeof(k));
	inside = shim_inside() || k == MIDDLE;
	/* a thread's first look at its mask must not be in a handler */
	if (!shim_self.seen && !inside) {
		k = looked_at(k, false);
		memcpy(&uc->uc_sigmask, &k, sizeof(k));
	}
	blocked = believed(uc) & BIT(sig);
	if (!fault && (blocked || inside || k == SHIM_SERVICE_MASK)) {
		shim_hold(sig, info, uc, inside);
		return;
	}
	if (act.handler == (void *)SIG_IGN && !fault)
		return;
	/*
	 * signal(7): a fault while its signal is blocked kills; so it is in the handler of that
	 * signal
	 */
	if (!is_function(act.handler) || blocked) {
		default_action(sig, info, again && fault);
		return;
	}
	call_handler(sig, &act, info, uc);
}

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
	if (!shim_syscall(info->si_syscall, a, &rc))
		rc = -ENOSYS; /* nothing else is trapped */
	r[REG_RAX] = rc;
}

struct bar_access {
	const siginfo_t *info;
	ucontext_t *uc;
	uintptr_t bad;
};

static long access_bar(void *arg)
{
	struct bar_access *a = arg;

	return shim_bar_fault(a->info, a->uc, &a->bad);
}

static void fault(int sig, siginfo_t *info, void *ucontext)
{
	struct bar_access a = { info, ucontext, (uintptr_t)info->si_addr };
	long due = 0;

	/*
	 * MAPERR: a child made by clone() has not got the polled pages; ADRERR: the program changed
	 * the protection past us (shim_bar_fault)
	 */
	if (((sig == SIGSEGV && (info->si_code == SEGV_ACCERR || info->si_code == SEGV_MAPERR)) ||
	     (sig == SIGBUS && info->si_code == BUS_ADRERR)) &&
	    shim_bar_has(info->si_addr, 1))
		due = shim_run_fault(ucontext, access_bar, &a);
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
		chain(sig, info, ucontext, true);
		return;
	case SIGBUS:
		/*
		 * what the kernel's vfio-pci gives to an access of a BAR that nobody answers
		 * (VM_FAULT_SIGBUS); the instruction itself would fault with SIGSEGV again
		 */
		info->si_signo = SIGBUS;
		info->si_code = BUS_ADRERR;
		chain(SIGBUS, info, ucontext, false);
		return;
	default:
		/* some other filter's trap: the system call is over, nothing happens again */
		chain(sig, info, ucontext, sig != SIGSYS);
	}
}

static void on_signal(int sig, siginfo_t *info, void *ucontext)
{
	int saved = errno;

	shim_forwarded(info);
	if (sig == SIGSYS && info->si_code == SYS_SECCOMP && info->si_errno == SHIM_TRAP_DATA)
		on_trap(info, ucontext);
	else if (!guard_fault(sig, info, ucontext) && !x86_fault(sig, info, ucontext))
		fault(sig, info, ucontext);
	errno = saved;
}

/* ---- masks ---- */

uint64_t shim_mask_to_kernel(uint64_t want)
{
	uint64_t k = want & ~(KEPT | CARRIER | LIBC_OWN);

	return want & BIT(SIGSEGV) ? k | CARRIER : k;
}

uint64_t shim_mask_from_kernel(uint64_t k)
{
	uint64_t v = k & ~CARRIER;

	forget_child();
	if (k & CARRIER)
		v |= BIT(SIGSEGV);
	if (shim_self.sys)
		v |= BIT(SIGSYS);
	if (shim_self.carrier)
		v |= CARRIER;
	return v;
}

long shim_sigmask(int how, const uint64_t *set, uint64_t *old)
{
	uint64_t real, before, want = set ? *set : 0, kept, was, left;
	long rc;

	shim_thread();
	if (!set || how < SIG_BLOCK || how > SIG_SETMASK) {
		rc = shim_raw_sigmask(how, set, &before);
		if (!rc && old)
			*old = shim_mask_from_kernel(before);
		return rc;
	}
	if (how == SIG_UNBLOCK)
		real = (want & ~(CARRIER | LIBC_OWN)) | (want & BIT(SIGSEGV) ? CARRIER : 0);
	else
		real = shim_mask_to_kernel(want) | (how == SIG_SETMASK ? want & shim_self.real : 0);
	/* a call of ours opens SIGBUS for itself */
	if (how != SIG_UNBLOCK && want & OURS)
		shim_have_masks();
	/* what the kernel does not know is so before a signal comes that this opens */
	was = kept = (shim_self.sys ? BIT(SIGSYS) : 0) | (shim_self.carrier ? CARRIER : 0);
	kept = how == SIG_BLOCK ? kept | want : how == SIG_UNBLOCK ? kept & ~want : want;
	kept &= BIT(SIGSYS) | CARRIER;
	left = shim_self.real & (how == SIG_BLOCK ? ~0ull : how == SIG_UNBLOCK ? ~want : want);
	if (kept != was || left != shim_self.real) {
		shim_self_changes();
		shim_self.sys = kept & BIT(SIGSYS);
		shim_self.carrier = kept & CARRIER;
		shim_self.real = left;
	}
	shim_raw_sigmask(how, &real, &before);
	before = (before & ~CARRIER) | (before & CARRIER ? BIT(SIGSEGV) : 0) | was;
	if (old)
		*old = before;
	if (shim_any_held())
		shim_unhold(how == SIG_BLOCK	 ? before | want
			    : how == SIG_UNBLOCK ? before & ~want
						 : want);
	return 0;
}

void shim_thread(void)
{
	forget_child();
	if (!shim_self.seen)
		look_at_mask(false);
}

void shim_mask_for_exec(struct shim_exec_mask *m, bool self)
{
	uint64_t truth;

	shim_thread();
	shim_raw_sigmask(SIG_BLOCK, NULL, &m->mask);
	truth = shim_mask_from_kernel(m->mask);
	m->changed = truth != m->mask;
	if (!m->changed)
		return;
	shim_raw_sigmask(SIG_SETMASK, &truth, NULL);
	/* what is held for this thread waits in the kernel, where the next image finds it */
	if (self && shim_any_held() && sys_call(SYS_getpid, 0, 0, 0, 0, 0, 0) == shim.pid)
		shim_unhold(0);
}

void shim_mask_after_exec(const struct shim_exec_mask *m)
{
	if (m->changed)
		shim_raw_sigmask(SIG_SETMASK, &m->mask, NULL);
}

void shim_signals_init(void)
{
	struct shim_ksigaction act;

	guard_handled_elsewhere();
	/* of libraries that came before us */
	for (int sig = 1; sig <= NUM_SIGNALS; sig++)
		if (shim_slot(sig) < 0 && !raw_sigaction(sig, NULL, &act) &&
		    is_function(act.handler))
			shim_will_have_handlers();
	for (size_t i = 0; i < ARRAY_SIZE(ours); i++) {
		raw_sigaction(ours[i], NULL, &prog[i].act[0]);
		install(ours[i], &prog[i].act[0]);
	}
	/* the parent may have started us with them blocked */
	look_at_mask(true);
}

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
