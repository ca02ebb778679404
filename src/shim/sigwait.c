/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/sigwait.c: SIGSEGV, SIGBUS and SIGSYS that are sent to a program which has them blocked, and
 * waits for them. The kernel does not keep the first and the last for it, since they are blocked
 * nowhere (signals.h): they come to our handler, in whatever thread. From there they go where the
 * kernel would have brought them: to a thread that waits for the signal, to one that has it open;
 * or they are kept here, for this thread or for all, until one opens it, waits for it, or asks.
 *
 * One thing only the kernel can do, to make a signalfd readable. When there is one that names the
 * signal, it is blocked in the kernel after all, and sent again, and until it was read the thread
 * must not touch a mapped BAR (docs/differences.md).
 */
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <time.h>

#include "shim/scope.h"
#include "shim/signals.h"

static const int ours[NUM_OURS] = { SIGSEGV, SIGBUS, SIGSYS };

/* kept for any thread */
enum { EMPTY, BUSY, FULL };
static struct {
	atomic_uint state;
	siginfo_t info;
} shared[NUM_OURS];

/*
 * threads that wait in sigwait() and its kin; one that was cancelled there stays until it is found
 * gone
 */
static struct {
	atomic_int tid; /* 0: free */
	_Atomic uint64_t set;
} waiters[32];

static _Atomic uint64_t fd_names; /* OURS that a signalfd has named */
static atomic_int fd_tid;	  /* by which thread */

static int self_tid(void)
{
	return (int)sys_call(SYS_gettid, 0, 0, 0, 0, 0, 0);
}

/*
 * A thread may send a signal "from kill(2)" to itself alone. To another thread the same is sent
 * with a code of ours.
 */
#define FORWARDED 1000

static siginfo_t in_other_words(const siginfo_t *info, int tid)
{
	siginfo_t other = *info;

	if (tid != self_tid() && (other.si_code >= 0 || other.si_code == SI_TKILL))
		other.si_code -= FORWARDED;
	return other;
}

static bool send_to(int tid, int sig, const siginfo_t *info)
{
	siginfo_t other = in_other_words(info, tid);

	return !sys_call(SYS_rt_tgsigqueueinfo, shim.pid, tid, sig, (long)&other, 0, 0);
}

void shim_forwarded(siginfo_t *info)
{
	if (info->si_code < -FORWARDED / 2)
		info->si_code += FORWARDED;
}

static bool take_shared(int s, siginfo_t *info)
{
	unsigned full = FULL;

	/*
	 * first, since one of the three may come between the two, and finds that there is one
	 * already
	 */
	*info = shared[s].info;
	return atomic_compare_exchange_strong(&shared[s].state, &full, EMPTY);
}

/*
 * Keep a signal for any thread. One that is there already is not taken a second time, as in the
 * kernel.
 */
static void put_shared(int s, const siginfo_t *info)
{
	unsigned empty = EMPTY;

	if (!atomic_compare_exchange_strong(&shared[s].state, &empty, BUSY))
		return;
	shared[s].info = *info;
	atomic_store(&shared[s].state, FULL);
}

static uint64_t held_now(void)
{
	uint64_t v = shim_self.pending;

	for (int s = 0; s < NUM_OURS; s++)
		if (atomic_load_explicit(&shared[s].state, memory_order_relaxed) == FULL)
			v |= BIT(ours[s]);
	/* the parent's, and not its child's by vfork */
	return v && shim_in_vfork_child() ? 0 : v;
}

bool shim_any_held(void)
{
	return held_now();
}

static bool take(int s, siginfo_t *info)
{
	if (!(shim_self.pending & BIT(ours[s])))
		return take_shared(s, info);
	*info = shim_self.info[s];
	atomic_fetch_and(&shim_self.pending, ~BIT(ours[s]));
	return true;
}

/*
 * Send @sigs to this thread again, whose handler sees to them. @waits: it is about to wait for
 * them.
 */
static void send_again(uint64_t sigs, bool waits)
{
	siginfo_t info;

	for (int s = 0; s < NUM_OURS; s++)
		if (sigs & BIT(ours[s]) && take(s, &info)) {
			/*
			 * SIGBUS is as the kernel has it but in the middle of a call of ours: it is
			 * any thread's again
			 */
			if (ours[s] == SIGBUS && info.si_code != SI_TKILL && !waits) {
				info = in_other_words(&info, shim.pid);
				sys_call(SYS_rt_sigqueueinfo, shim.pid, SIGBUS, (long)&info, 0, 0,
					 0);
			} else {
				send_to(self_tid(), ours[s], &info);
			}
		}
}

void shim_unhold(uint64_t blocked)
{
	send_again(~blocked & held_now(), false);
}

void shim_drop_held(uint64_t sigs)
{
	const struct timespec at_once = { 0 };
	siginfo_t info;

	for (int s = 0; s < NUM_OURS; s++)
		while (sigs & BIT(ours[s]) && take(s, &info))
			;
	/* and what the kernel keeps */
	while (sys_call(SYS_rt_sigtimedwait, (long)&sigs, 0, (long)&at_once, sizeof(sigs), 0, 0) >
	       0)
		;
}

void shim_signals_abandon(void)
{
	shim_drop_held(OURS);
	for (size_t i = 0; i < ARRAY_SIZE(waiters); i++)
		atomic_store(&waiters[i].tid, 0);
	atomic_store(&fd_tid, self_tid());
}

/* ---- other threads that would have the signal ---- */

static int waiter(int sig)
{
	for (size_t i = 0; i < ARRAY_SIZE(waiters); i++) {
		int tid = atomic_load(&waiters[i].tid);

		if (!tid || !(atomic_load(&waiters[i].set) & BIT(sig)))
			continue;
		if (!sys_call(SYS_tgkill, shim.pid, tid, 0, 0, 0, 0))
			return tid;
		atomic_compare_exchange_strong(&waiters[i].tid, &tid, 0);
	}
	return 0;
}

/* Keep it in the kernel after all, for this thread. */
static void keep_in_kernel(int sig, const siginfo_t *info, ucontext_t *uc)
{
	uint64_t bit = BIT(sig), k;
	int pid;

	shim_raw_sigmask(SIG_BLOCK, &bit, NULL);
	shim_self_changes();
	shim_self.real |= bit & KEPT;
	memcpy(&k, &uc->uc_sigmask, sizeof(k));
	k |= bit;
	memcpy(&uc->uc_sigmask, &k, sizeof(k));
	/* a child of vfork is not shim.pid */
	pid = (int)sys_call(SYS_getpid, 0, 0, 0, 0, 0, 0);
	sys_call(SYS_rt_tgsigqueueinfo, pid, self_tid(), sig, (long)info, 0, 0);
}

/* True if there is a signalfd that shows the signal. */
static bool in_fd(struct shim_open_thread *w)
{
	return atomic_load(&fd_names) & BIT(w->sig) && shim_on_stack(shim_has_signalfd, w);
}

void shim_hold(int sig, const siginfo_t *info, ucontext_t *uc, bool inside)
{
	struct shim_open_thread w = { sig, 0 };
	int s = shim_slot(sig), me = self_tid(), tid;
	uint64_t bit = BIT(sig), k;
	siginfo_t again;
	bool service;

	/* until the handler returns */
	shim_block_signals(&k);
	memcpy(&k, &uc->uc_sigmask, sizeof(k));
	service = k == SHIM_SERVICE_MASK;
	/* a child of vfork must leave nothing here, where its parent would find it */
	if ((shim_self.waits & bit && !inside) || shim_in_vfork_child()) {
		keep_in_kernel(sig, info, uc);
		return;
	}
	/*
	 * SIGBUS is open in this thread for a call of ours alone; as with all that comes in its
	 * middle, it is seen to at its end
	 */
	if (sig == SIGBUS && inside)
		goto here;
	/* sent to the process: by kill(2) or sigqueue(3), not tgkill(2) */
	if ((info->si_code != SI_TKILL && info->si_code != BUS_MCEERR_AO) || service) {
		tid = waiter(sig);
		if (tid && tid != me && send_to(tid, sig, info))
			return;
		shim_on_stack(shim_open_thread, &w);
		if (w.tid && send_to(w.tid, sig, info))
			return;
		tid = atomic_load(&fd_tid);
		if (!in_fd(&w)) {
			put_shared(s, info);
			/*
			 * a thread that began to wait meanwhile may have looked before it was there
			 */
			tid = waiter(sig);
			if (tid && take_shared(s, &again) && !send_to(tid, sig, &again))
				put_shared(s, &again);
			return;
		}
		if (tid != me && send_to(tid, sig, info))
			return;
	}
here:
	if (!inside && !service && in_fd(&w)) {
		keep_in_kernel(sig, info, uc);
	} else if (!(shim_self.pending & bit)) {
		shim_self.info[s] = *info;
		atomic_fetch_or(&shim_self.pending, bit);
	}
}

/* ---- waits ---- */

/*
 * Open again what the kernel blocks because of a signal that was sent. If another one waits there,
 * the handler sees to it.
 */
static void reopen(void)
{
	uint64_t real;

	if (!shim_self.real)
		return;
	shim_self_changes();
	real = shim_self.real;
	shim_self.real = 0;
	shim_raw_sigmask(SIG_UNBLOCK, &real, NULL);
}

void shim_signal_was_read(long n)
{
	if (shim_self.real && n >= (long)sizeof(struct signalfd_siginfo))
		reopen();
}

/* Let what is held of @sigs wait in the kernel from here on. */
static void into_kernel(uint64_t sigs)
{
	sigs &= held_now();
	if (!sigs)
		return;
	shim_raw_sigmask(SIG_BLOCK, &sigs, NULL);
	shim_self_changes();
	shim_self.real |= sigs & KEPT;
	send_again(sigs, true);
}

static size_t begin_wait(uint64_t set)
{
	int me, none;
	size_t i;

	shim_thread();
	set &= OURS;
	if (!set)
		return ARRAY_SIZE(waiters);
	me = self_tid();
	shim_self.waits = set;
	for (i = 0; i < ARRAY_SIZE(waiters); i++) {
		none = 0;
		if (atomic_load(&waiters[i].tid) == me ||
		    atomic_compare_exchange_strong(&waiters[i].tid, &none, me)) {
			atomic_store(&waiters[i].set, set);
			break;
		}
	}
	into_kernel(set);
	return i;
}

static void end_wait(size_t i)
{
	if (!shim_self.waits)
		return;
	shim_self.waits = 0;
	if (i < ARRAY_SIZE(waiters)) {
		atomic_store(&waiters[i].set, 0);
		atomic_store(&waiters[i].tid, 0);
	}
	reopen();
}

/* libc's function: a cancellation point */
#define WAIT(call, info)                      \
	__typeof__(call) rc;                  \
	size_t i = begin_wait(from_set(set)); \
	rc = call;                            \
	end_wait(i);                          \
	if (rc > 0 && info)                   \
		shim_forwarded(info);         \
	return rc

EXPORT int sigtimedwait(const sigset_t *restrict set, siginfo_t *restrict info,
			const struct timespec *restrict timeout)
{
	NEXT(sigtimedwait);
	WAIT(real(set, info, timeout), info);
}

EXPORT int sigwaitinfo(const sigset_t *restrict set, siginfo_t *restrict info)
{
	NEXT(sigwaitinfo);
	WAIT(real(set, info), info);
}

EXPORT int sigwait(const sigset_t *restrict set, int *restrict sig)
{
	NEXT(sigwait);
	WAIT(real(set, sig), (siginfo_t *)NULL);
}

EXPORT int sigpending(sigset_t *set)
{
	uint64_t k;
	long rc = sys_call(SYS_rt_sigpending, (long)&k, sizeof(k), 0, 0, 0, 0);

	if (!rc)
		to_set(set, k | held_now());
	return (int)shim_ret(rc);
}

EXPORT int signalfd(int fd, const sigset_t *set, int flags)
{
	int rc;

	NEXT(signalfd);
	rc = real(fd, set, flags);
	if (rc < 0 || !(from_set(set) & OURS))
		return rc;
	shim_thread();
	atomic_store(&fd_tid, self_tid());
	atomic_fetch_or(&fd_names, from_set(set) & OURS);
	into_kernel(from_set(set) & OURS);
	return rc;
}

/* ---- waits with a mask of their own ---- */

/*
 * Return the mask that the kernel is to have meanwhile, in @copy. @frame: of the function that
 * waits.
 */
static const sigset_t *begin_mask(const sigset_t *set, sigset_t *copy, void *frame)
{
	uint64_t want;

	if (!set)
		return NULL;
	shim_thread();
	want = from_set(set);
	/* what is held and opened by this is to come in its middle */
	into_kernel(~want & OURS);
	to_set(copy, shim_mask_to_kernel(want) | (want & shim_self.real));
	shim_self.wait_mask = want;
	shim_self.wait_frame = (uintptr_t)frame;
	return copy;
}

#define MASKED(call)                                                               \
	sigset_t copy;                                                             \
	const sigset_t *mask = begin_mask(set, &copy, __builtin_frame_address(0)); \
	__typeof__(call) rc = call;                                                \
	shim_self.wait_frame = 0;                                                  \
	if (mask)                                                                  \
		reopen();                                                          \
	return rc

EXPORT int sigsuspend(const sigset_t *set)
{
	NEXT(sigsuspend);
	MASKED(real(mask));
}

EXPORT int ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *set)
{
	NEXT(ppoll);
	MASKED(real(fds, n, timeout, mask));
}

EXPORT int pselect(int n, fd_set *restrict r, fd_set *restrict w, fd_set *restrict e,
		   const struct timespec *restrict timeout, const sigset_t *restrict set)
{
	NEXT(pselect);
	MASKED(real(n, r, w, e, timeout, mask));
}

EXPORT int epoll_pwait(int epfd, struct epoll_event *events, int max, int timeout,
		       const sigset_t *set)
{
	NEXT(epoll_pwait);
	MASKED(real(epfd, events, max, timeout, mask));
}

EXPORT int epoll_pwait2(int epfd, struct epoll_event *events, int max,
			const struct timespec *timeout, const sigset_t *set)
{
	NEXT(epoll_pwait2);
	MASKED(real(epfd, events, max, timeout, mask));
}

EXPORT int pthread_attr_setsigmask_np(pthread_attr_t *attr, const sigset_t *set)
{
	sigset_t copy;

	NEXT(pthread_attr_setsigmask_np);
	if (!set)
		return real(attr, NULL);
	to_set(&copy, shim_mask_to_kernel(from_set(set)));
	return real(attr, &copy);
}

EXPORT int pthread_attr_getsigmask_np(const pthread_attr_t *attr, sigset_t *set)
{
	uint64_t k;
	int rc;

	NEXT(pthread_attr_getsigmask_np);
	rc = real(attr, set);
	if (!rc) {
		k = from_set(set);
		/* as the new thread will see it */
		to_set(set, k & CARRIER ? k | KEPT : k);
	}
	return rc;
}
