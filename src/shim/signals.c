/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/signals.c: SIGSYS (the filter's trap), SIGSEGV and SIGBUS (guarded copies) must reach us
 * whatever the program does with signals. So our handler stays installed, these three are never
 * blocked, and the program keeps its own idea of both: what it sets is what it reads back, and a
 * signal that is not ours is handled as it would have been without us, by its handler, by the
 * default, by being held while "blocked".
 *
 * In the kernel's terms throughout (rt_sigaction, 64-bit masks): libc's structures are taken apart
 * in siglibc.c. Masks are sigmask.c's, and our handler itself is in trap.c.
 */
#include <string.h>
#include <sys/syscall.h>

#include "base/guard.h"
#include "shim/scope.h"
#include "shim/signals.h"

/* what instructions of ours may give while an access is carried out: blocked, it would kill */
#define FAULTS	    (OURS | BIT(SIGFPE) | BIT(SIGILL) | BIT(SIGTRAP))
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

/*
 * mov $15, %rax; syscall: rt_sigreturn. These very bytes are how debuggers and unwinders know a
 * signal frame.
 */
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

static long raw_sigaction(int sig, const struct shim_ksigaction *act, struct shim_ksigaction *old)
{
	return sys_call(SYS_rt_sigaction, sig, (long)act, (long)old, sizeof(uint64_t), 0, 0);
}

static bool is_function(const void *handler)
{
	return handler != (void *)SIG_DFL && handler != (void *)SIG_IGN;
}

/* Put our handler where the program's action would be, on the stack that the program asked for. */
static long install(int sig, const struct shim_ksigaction *want)
{
	struct shim_ksigaction act = { .handler = (void *)(uintptr_t)shim_on_signal,
				       .restorer = (void *)(uintptr_t)shim_restorer };

	act.flags = SA_SIGINFO | SA_NODEFER | SA_RESTORER_FLAG;
	/*
	 * an access of a BAR is one instruction: no handler of the program comes in between, while
	 * locks are held. call_handler() opens the mask again.
	 */
	if (sig != SIGSYS)
		act.mask = ~(FAULTS | BIT_SETXID);
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
	/*
	 * A vfork child sets signals (to defaults, for the program that it will exec) for itself,
	 * not for the parent.
	 */
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

void shim_chain(int sig, siginfo_t *info, ucontext_t *uc, bool again)
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
	inside = shim_inside() || k == SHIM_CALL_MASK;
	/* a thread's first look at its mask must not be in a handler */
	if (!shim_self.seen && !inside) {
		k = shim_looked_at(k, false);
		memcpy(&uc->uc_sigmask, &k, sizeof(k));
	}
	blocked = shim_believed(uc) & BIT(sig);
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
	shim_look_at_mask(true);
}
