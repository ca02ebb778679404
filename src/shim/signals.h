/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/signals.h: what signals.c, sigmask.c, trap.c, siglibc.c and sigwait.c share: what a thread
 * believes to have blocked of SIGSEGV, SIGBUS and SIGSYS, and where those go that are sent to it.
 */
#ifndef SHIM_SIGNALS_H
#define SHIM_SIGNALS_H
#include <string.h>

#include "shim/shim.h"

#define BIT(sig) (1ull << ((sig)-1))
#define OURS	 (BIT(SIGSEGV) | BIT(SIGBUS) | BIT(SIGSYS))
#define NUM_OURS 3
/*
 * Of these, what the kernel never blocks in a thread of the program's: mapped BARs and trapped
 * calls need them at any moment. SIGBUS is needed in the middle of our own calls alone.
 */
#define KEPT (BIT(SIGSEGV) | BIT(SIGSYS))
/*
 * SIGSEGV is believed to be blocked where the kernel blocks this signal, which no program sends. So
 * the belief is in the kernel's mask itself: it goes to new threads and children, a handler has it
 * while it runs, and siglongjmp, swapcontext and the return from a handler, which libc makes
 * without us, put it back.
 */
#define CARRIER	 BIT(SIGSTKFLT)
#define LIBC_OWN (BIT(32) | BIT(33)) /* SIGCANCEL, SIGSETXID, which no program may touch */

struct shim_self {
	bool seen;    /* its mask was looked at */
	bool sys;     /* SIGSYS is believed to be blocked, */
	bool carrier; /* and the carrier itself */
	/*
	 * of KEPT: blocked in the kernel, since one was sent that only the kernel can show to the
	 * program
	 */
	uint64_t real;
	uint64_t waits; /* of OURS: in sigwait() or its kin */
	/*
	 * a wait with a mask of its own (ppoll), and its frame: above the stack pointer of what
	 * comes in it
	 */
	uint64_t wait_mask;
	uintptr_t wait_frame;
	/* sent, and not to be had yet: for this thread alone */
	_Atomic uint64_t pending; /* one of the three may come while it changes */
	siginfo_t info[NUM_OURS];
	/*
	 * A child of vfork has this record, too, but a mask of its own: what its parent goes on
	 * with when the child has changed something.
	 */
	struct {
		pid_t child; /* 0: none did */
		bool seen, sys, carrier;
		uint64_t real;
	} parents;
};
extern __thread struct shim_self shim_self
	__attribute__((tls_model("initial-exec"), visibility("hidden")));

static inline int shim_slot(int sig)
{
	return sig == SIGSEGV ? 0 : sig == SIGBUS ? 1 : sig == SIGSYS ? 2 : -1;
}

/* True if this process has its memory from a parent that waits for it. */
bool shim_in_vfork_child(void);
/* To be called before seen, sys, carrier or real change. */
void shim_self_changes(void);

long shim_raw_sigmask(int how, const uint64_t *set, uint64_t *old);
/*
 * Return the mask for the kernel when the program wants @want; and the mask that the program sees
 * when the kernel's is @k.
 */
uint64_t shim_mask_to_kernel(uint64_t want);
uint64_t shim_mask_from_kernel(uint64_t k);

/* The kernel's mask of a thread of ours (base/thread.c), which takes no signal of the program's. */
#define SHIM_SERVICE_MASK (~(OURS | LIBC_OWN | BIT(SIGKILL) | BIT(SIGSTOP)))

/* setuid() waits until every thread has had it */
#define BIT_SETXID BIT(33)
/* The kernel's mask in the middle of a call of ours. */
#define SHIM_CALL_MASK (~(OURS | BIT_SETXID | BIT(SIGKILL) | BIT(SIGSTOP)))

/*
 * Note what the program believes of a thread that we have not seen yet, in which the kernel blocks
 * @k; return what the kernel shall block. @truth: none of us has written @k.
 */
uint64_t shim_looked_at(uint64_t k, bool truth);
void shim_look_at_mask(bool truth); /* the same of this thread, done */
/* Return what the program believes to have blocked in this thread, where @uc was interrupted. */
uint64_t shim_believed(const ucontext_t *uc);

/* ---- signals.c ---- */
#define SA_RESTORER_FLAG 0x04000000ul /* asm/signal.h */
extern const char shim_restorer[] __attribute__((visibility("hidden")));
/*
 * Do with @sig, one of our three that is not for us, what the kernel would have done without us.
 * @again: the instruction will fault once more by itself, and the same way, when the default action
 * is to be taken.
 */
void shim_chain(int sig, siginfo_t *info, ucontext_t *uc, bool again);

/* ---- trap.c: the handler of our three ---- */
void shim_on_signal(int sig, siginfo_t *info, void *ucontext);

/*
 * sigopen.c: on a stack of ours, @arg is a struct shim_open_thread: a thread of the program's, not
 * this one, that has @sig open; the first, as the kernel prefers it.
 */
struct shim_open_thread {
	int sig, tid;
};
long shim_open_thread(void *arg);
long shim_has_signalfd(void *arg); /* the same: 1: there is a signalfd that names @sig */

/* sigwait.c */
/*
 * @sig was sent, not raised by a fault, and the program is not to have it in this thread at this
 * moment; in a handler with @uc. @inside: in the middle of a call of ours.
 */
void shim_hold(int sig, const siginfo_t *info, ucontext_t *uc, bool inside);
/* @info may have been sent on from another thread: it says again how it was sent at first. */
void shim_forwarded(siginfo_t *info);
/* Send again what is held and not in @blocked. */
void shim_unhold(uint64_t blocked);
/* Drop what is held of @sigs, which are ignored from now on. */
void shim_drop_held(uint64_t sigs);
bool shim_any_held(void);

/* libc's set and the kernel's mask */
static inline uint64_t from_set(const sigset_t *s)
{
	uint64_t v;

	memcpy(&v, s, sizeof(v));
	return v;
}

static inline void to_set(sigset_t *s, uint64_t v)
{
	memset(s, 0, sizeof(*s));
	memcpy(s, &v, sizeof(v));
}
#endif
