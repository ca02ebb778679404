/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/sigmask.c: what a thread has blocked: what the kernel blocks, what the program believes
 * (signals.h), and what both are during a call of ours.
 */
#include <string.h>
#include <sys/syscall.h>

#include "shim/scope.h"
#include "shim/signals.h"

__thread struct shim_self shim_self __attribute__((tls_model("initial-exec")));

long shim_raw_sigmask(int how, const uint64_t *set, uint64_t *old)
{
	return sys_call(SYS_rt_sigprocmask, how, (long)set, (long)old, sizeof(uint64_t), 0, 0);
}

void shim_block_signals(uint64_t *saved)
{
	uint64_t all = SHIM_CALL_MASK;

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

/* A child of clone() with memory of its own that was not noticed yet (fork.c) is none. */
bool shim_in_vfork_child(void)
{
	return own_pid() != shim.pid && (!shim.alive || *shim.alive);
}

/* Take back what a child of vfork changed in the record, unless this is the child. */
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

uint64_t shim_looked_at(uint64_t k, bool truth)
{
	shim_self_changes();
	shim_self.seen = true;
	shim_self.carrier = k & CARRIER;
	/*
	 * SIGSYS goes with SIGSEGV: the thread that made this one may have blocked them, and a mask
	 * that names one of them names both
	 */
	shim_self.sys = k & (truth ? BIT(SIGSYS) : BIT(SIGSYS) | CARRIER);
	/*
	 * no waiting: it may be a thread of a model, for which a call waits. A thread of ours takes
	 * no signals.
	 */
	if (k & (OURS | CARRIER) && k != SHIM_SERVICE_MASK)
		shim_have_masks();
	if (k & BIT(SIGSEGV))
		k |= CARRIER;
	else if (truth)
		k &= ~CARRIER;
	return k & ~KEPT;
}

void shim_look_at_mask(bool truth)
{
	uint64_t k = 0, want;

	shim_raw_sigmask(SIG_BLOCK, NULL, &k);
	want = shim_looked_at(k, truth);
	if (want != k)
		shim_raw_sigmask(SIG_SETMASK, &want, NULL);
}

uint64_t shim_believed(const ucontext_t *uc)
{
	uintptr_t sp = (uintptr_t)uc->uc_mcontext.gregs[REG_RSP];
	uint64_t k;

	/* @uc has the mask to go back to */
	if (shim_self.wait_frame && shim_self.wait_frame - sp < 4096)
		return shim_self.wait_mask;
	memcpy(&k, &uc->uc_sigmask, sizeof(k));
	return shim_mask_from_kernel(k);
}

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
		shim_look_at_mask(false);
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
