/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/shim/sigwait.c: SIGSEGV, SIGBUS and SIGSYS are blocked, waited for and handled as the
 * kernel does it, though the shim has their handlers. All but the last two cases need no device:
 * run without uvfio they pass as well.
 */
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <spawn.h>
#include <stdatomic.h>
#include <sys/signalfd.h>
#include <time.h>
#include <ucontext.h>

#include "shim.h"

static const int three[] = { SIGSEGV, SIGBUS, SIGSYS };
#define FOR_EACH(sig) for (int i_ = 0, sig; i_ < 3 && (sig = three[i_]); i_++)

static const struct timespec at_once, long_enough = { 60, 0 };
static sigjmp_buf env;
static volatile int calls, last_signal;
static volatile char *volatile nowhere = (char *)64;
static volatile char *short_file; /* the second page is behind the end */

static void set(int sig, void (*fn)(int), int flags)
{
	CHECK(!sigaction(sig, &(struct sigaction){ .sa_handler = fn, .sa_flags = flags }, NULL));
}

static void block(int how, int sig)
{
	sigset_t s;

	sigemptyset(&s);
	sigaddset(&s, sig);
	CHECK(!pthread_sigmask(how, &s, NULL));
}

static bool is_blocked(int sig)
{
	sigset_t s;

	return !pthread_sigmask(SIG_BLOCK, NULL, &s) && sigismember(&s, sig) == 1;
}

static bool is_pending(int sig)
{
	sigset_t s;

	return !sigpending(&s) && sigismember(&s, sig) == 1;
}

static __attribute__((noinline)) int deeper(volatile char *p, int depth)
{
	volatile char room[4096];

	room[0] = (char)depth;
	return depth ? deeper(p, depth - 1) + room[0] : *p;
}

static void jump(int sig)
{
	calls++;
	siglongjmp(env, 1);
}

/* ---- a handler that was left does not run any more ---- */

static void left_by_siglongjmp(void)
{
	for (int i = 0; i < 2; i++) {
		volatile char *p = i ? short_file + 4096 : nowhere;

		set(three[i], jump, 0);
		calls = 0;
		for (volatile int depth = 0; depth <= 40; depth += 8)
			if (!sigsetjmp(env, 1))
				deeper(p, depth);
		CHECK(calls == 6 && !is_blocked(three[i]));
		signal(three[i], SIG_DFL);
	}
}

static ucontext_t out;

static void leave_by_setcontext(int sig)
{
	calls++;
	setcontext(&out);
}

static void left_by_setcontext(void)
{
	volatile int depth = -8;

	set(SIGSEGV, leave_by_setcontext, 0);
	calls = 0;
	getcontext(&out);
	depth += 8;
	if (depth <= 40)
		deeper(nowhere, depth);
	CHECK(calls == 6 && !is_blocked(SIGSEGV));
	signal(SIGSEGV, SIG_DFL);
}

static jmp_buf without_mask;

static void jump_without_mask(int sig)
{
	calls++;
	_longjmp(without_mask, 1);
}

/* with SA_NODEFER nothing was blocked; else it stays blocked, and the next one kills */
static void left_by_longjmp(void)
{
	pid_t pid;

	set(SIGSEGV, jump_without_mask, SA_NODEFER);
	calls = 0;
	for (volatile int n = 0; n < 5; n++)
		if (!_setjmp(without_mask))
			deeper(nowhere, n);
	CHECK(calls == 5 && !is_blocked(SIGSEGV));
	set(SIGSEGV, jump_without_mask, 0);
	if (!_setjmp(without_mask))
		deeper(nowhere, 0);
	CHECK(is_blocked(SIGSEGV));
	pid = fork();
	if (!pid) {
		if (!_setjmp(without_mask))
			deeper(nowhere, 8);
		_exit(3);
	}
	CHECK(wait_for(pid) == 1000 + SIGSEGV);
	block(SIG_UNBLOCK, SIGSEGV);
	if (!_setjmp(without_mask))
		deeper(nowhere, 8);
	CHECK(calls == 7);
	block(SIG_UNBLOCK, SIGSEGV);
	signal(SIGSEGV, SIG_DFL);
}

static void bus_in_segv(int sig)
{
	calls++;
	if (sig == SIGSEGV)
		deeper(short_file + 4096, 2);
	CHECK(is_blocked(SIGSEGV) && is_blocked(SIGBUS));
	siglongjmp(env, 1);
}

static void one_in_the_other(void)
{
	set(SIGSEGV, bus_in_segv, 0);
	set(SIGBUS, bus_in_segv, 0);
	calls = 0;
	for (volatile int n = 0; n < 40; n += 8)
		if (!sigsetjmp(env, 1))
			deeper(nowhere, n);
	CHECK(calls == 10 && !is_blocked(SIGSEGV) && !is_blocked(SIGBUS));
	signal(SIGSEGV, SIG_DFL);
	signal(SIGBUS, SIG_DFL);
}

/* A signal sent in its own handler waits for the handler's end, and the mask says so. */
static volatile int nested, was_blocked, was_pending;

static void sends_itself(int sig)
{
	CHECK(!nested);
	if (!calls++) {
		nested = 1;
		was_blocked = is_blocked(sig);
		raise(sig);
		was_pending = is_pending(sig);
		nested = 0;
	}
}

static void sent_in_its_handler(void)
{
	for (int i = 0; i < 2; i++) {
		set(three[i], sends_itself, 0);
		calls = 0;
		raise(three[i]);
		CHECK(calls == 2 && was_blocked && was_pending && !is_blocked(three[i]) &&
		      !is_pending(three[i]));
		signal(three[i], SIG_DFL);
	}
}

/* ---- blocked and waited for ---- */

static void waited_for(void)
{
	siginfo_t info;
	sigset_t s;
	int got;

	FOR_EACH(sig)
	{
		sigemptyset(&s);
		sigaddset(&s, sig);
		block(SIG_BLOCK, sig);
		CHECK(sigtimedwait(&s, &info, &at_once) == -1 && errno == EAGAIN);
		CHECK(!raise(sig) && is_pending(sig) && is_blocked(sig));
		/* libc makes SI_TKILL SI_USER here */
		CHECK(sigtimedwait(&s, &info, &long_enough) == sig && info.si_code == SI_USER &&
		      info.si_pid == getpid());
		CHECK(!is_pending(sig));
		CHECK(!kill(getpid(), sig) && is_pending(sig));
		CHECK(sigwaitinfo(&s, &info) == sig && info.si_code == SI_USER);
		CHECK(!sigqueue(getpid(), sig, (union sigval){ .sival_int = 4711 }));
		CHECK(sigwaitinfo(&s, &info) == sig && info.si_code == SI_QUEUE &&
		      info.si_value.sival_int == 4711);
		CHECK(!kill(getpid(), sig) && !sigwait(&s, &got) && got == sig);
		CHECK(sigtimedwait(&s, &info, &at_once) == -1 && errno == EAGAIN);
		/* ignored: it is forgotten */
		CHECK(!kill(getpid(), sig));
		signal(sig, SIG_IGN);
		CHECK(!is_pending(sig));
		signal(sig, SIG_DFL);
		block(SIG_UNBLOCK, sig);
	}
}

static void in_a_signalfd(void)
{
	struct signalfd_siginfo info;
	struct pollfd p = { .events = POLLIN };
	sigset_t s;

	FOR_EACH(sig)
	{
		sigemptyset(&s);
		sigaddset(&s, sig);
		for (int before = 0; before < 2; before++) {
			if (before)
				p.fd = signalfd(-1, &s, SFD_NONBLOCK);
			block(SIG_BLOCK, sig);
			if (!before)
				CHECK(!kill(getpid(), sig));
			if (!before)
				p.fd = signalfd(-1, &s, SFD_NONBLOCK);
			else
				CHECK(!sigqueue(getpid(), sig, (union sigval){ .sival_int = 12 }));
			CHECK(p.fd >= 0 && poll(&p, 1, 60000) == 1 && is_pending(sig));
			CHECK(read(p.fd, &info, sizeof(info)) == (ssize_t)sizeof(info) &&
			      info.ssi_signo == (uint32_t)sig &&
			      info.ssi_int == (before ? 12 : info.ssi_int));
			CHECK(!is_pending(sig) && poll(&p, 1, 0) == 0);
			block(SIG_UNBLOCK, sig);
			close(p.fd);
		}
	}
}

static void note(int sig)
{
	calls++;
	last_signal = sig;
}

/* A wait with a mask of its own that opens it. */
static void opened_by_a_wait(void)
{
	sigset_t none;

	sigemptyset(&none);
	FOR_EACH(sig)
	{
		set(sig, note, 0);
		block(SIG_BLOCK, sig);
		calls = 0;
		raise(sig);
		CHECK(!calls);
		FAILS(ppoll(NULL, 0, &long_enough, &none), EINTR);
		CHECK(calls == 1 && is_blocked(sig) && !is_pending(sig));
		kill(getpid(), sig);
		FAILS(sigsuspend(&none), EINTR);
		CHECK(calls == 2 && is_blocked(sig));
		CHECK(pselect(0, NULL, NULL, NULL, &at_once, &none) == 0 && calls == 2);
		raise(sig);
		block(SIG_UNBLOCK, sig);
		CHECK(calls == 3 && last_signal == sig);
		signal(sig, SIG_DFL);
	}
}

/* ---- other threads ---- */

static atomic_int got_signal, in_place, let_go;
static atomic_long got_thread;

static void *waits_for_all(void *arg)
{
	siginfo_t info;
	sigset_t s;
	int ok = 1;

	FOR_EACH(sig)
	ok &= is_blocked(sig);
	sigfillset(&s);
	for (int i = 0; i < 3; i++)
		atomic_store(&got_signal, ok ? sigtimedwait(&s, &info, &long_enough) : -1);
	return NULL;
}

static void another_thread_waits(void)
{
	sigset_t all, old;
	pthread_t t;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	CHECK(!pthread_create(&t, NULL, waits_for_all, NULL));
	FOR_EACH(sig)
	{
		atomic_store(&got_signal, 0);
		CHECK(!kill(getpid(), sig));
		for (int n = 0; n < 6000 && !atomic_load(&got_signal); n++)
			usleep(10000);
		CHECK(atomic_load(&got_signal) == sig);
	}
	pthread_join(t, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void note_thread(int sig)
{
	atomic_store(&got_thread, syscall(SYS_gettid));
	atomic_store(&got_signal, sig);
}

static void *has_them_open(void *arg)
{
	long *tid = arg;

	FOR_EACH(sig)
	block(SIG_UNBLOCK, sig);
	*tid = syscall(SYS_gettid);
	atomic_store(&in_place, 1);
	while (!atomic_load(&let_go))
		usleep(1000);
	return NULL;
}

static void another_thread_has_it_open(void)
{
	long tid = 0;
	pthread_t t;

	atomic_store(&in_place, 0);
	FOR_EACH(sig)
	{
		set(sig, note_thread, 0);
		block(SIG_BLOCK, sig);
	}
	CHECK(!pthread_create(&t, NULL, has_them_open, &tid));
	while (!atomic_load(&in_place))
		usleep(1000);
	FOR_EACH(sig)
	{
		if (sig == SIGSYS)
			continue; /* docs/differences.md */
		atomic_store(&got_signal, 0);
		CHECK(!kill(getpid(), sig));
		for (int n = 0; n < 6000 && !atomic_load(&got_signal); n++)
			usleep(10000);
		CHECK(atomic_load(&got_signal) == sig && atomic_load(&got_thread) == tid);
		/* to one thread: no other takes it */
		atomic_store(&got_signal, 0);
		CHECK(!raise(sig) && is_pending(sig) && !atomic_load(&got_signal));
		block(SIG_UNBLOCK, sig);
		CHECK(atomic_load(&got_signal) == sig &&
		      atomic_load(&got_thread) == syscall(SYS_gettid));
	}
	atomic_store(&let_go, 1);
	pthread_join(t, NULL);
	FOR_EACH(sig)
	{
		block(SIG_UNBLOCK, sig);
		signal(sig, SIG_DFL);
	}
}

static void *own_mask(void *arg)
{
	return (void *)(uintptr_t)(is_blocked(SIGSEGV) | is_blocked(SIGBUS) << 1 |
				   is_blocked(SIGSYS) << 2 | is_blocked(SIGUSR1) << 3);
}

static void masks_of_new_threads(void)
{
	pthread_attr_t attr;
	sigset_t s, got;
	pthread_t t;
	void *ret;

	FOR_EACH(sig)
	block(SIG_BLOCK, sig);
	CHECK(!pthread_create(&t, NULL, own_mask, NULL) && !pthread_join(t, &ret) &&
	      ret == (void *)7);
	FOR_EACH(sig)
	block(SIG_UNBLOCK, sig);
	CHECK(!pthread_create(&t, NULL, own_mask, NULL) && !pthread_join(t, &ret) &&
	      ret == (void *)0);
	sigemptyset(&s);
	FOR_EACH(sig)
	sigaddset(&s, sig);
	sigaddset(&s, SIGUSR1);
	pthread_attr_init(&attr);
	CHECK(!pthread_attr_setsigmask_np(&attr, &s) && !pthread_attr_getsigmask_np(&attr, &got));
	CHECK(sigismember(&got, SIGSEGV) && sigismember(&got, SIGBUS) &&
	      sigismember(&got, SIGSYS) && sigismember(&got, SIGUSR1) &&
	      !sigismember(&got, SIGUSR2));
	CHECK(!pthread_create(&t, &attr, own_mask, NULL) && !pthread_join(t, &ret) &&
	      ret == (void *)15);
	pthread_attr_destroy(&attr);
}

/* ---- children ---- */

/* what the child of an exec says of itself */
static int child_main(void)
{
	return is_blocked(SIGSEGV) | is_blocked(SIGBUS) << 1 | is_blocked(SIGSYS) << 2 |
	       is_pending(SIGSEGV) << 3 | is_pending(SIGBUS) << 4 | is_blocked(SIGSTKFLT) << 5;
}

static int spawn(const posix_spawnattr_t *attr)
{
	extern char **environ;
	char *args[] = { (char *)"shim_sigwait", (char *)"child", NULL };
	pid_t pid;

	return posix_spawn(&pid, "/proc/self/exe", NULL, attr, args, environ) ? -1 : wait_for(pid);
}

static void masks_of_children(void)
{
	posix_spawnattr_t attr;
	sigset_t s;
	pid_t pid;

	CHECK(spawn(NULL) == 0);
	FOR_EACH(sig)
	block(SIG_BLOCK, sig);
	CHECK(spawn(NULL) == 7);
	pid = fork();
	if (!pid) {
		if (is_pending(SIGSEGV))
			_exit(99);
		raise(SIGSEGV);
		raise(SIGBUS);
		execl("/proc/self/exe", "shim_sigwait", "child", NULL);
		_exit(98);
	}
	CHECK(wait_for(pid) == 31);
	sigemptyset(&s);
	sigaddset(&s, SIGBUS);
	sigaddset(&s, SIGSTKFLT);
	posix_spawnattr_init(&attr);
	CHECK(!posix_spawnattr_setsigmask(&attr, &s) &&
	      !posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK));
	CHECK(spawn(&attr) == (2 | 32));
	posix_spawnattr_destroy(&attr);
	FOR_EACH(sig)
	{
		CHECK(is_blocked(sig));
		block(SIG_UNBLOCK, sig);
	}
	CHECK(spawn(NULL) == 0);
}

/* A child of vfork has its parent's memory, and a mask and signals of its own. */
static void masks_of_vfork_children(void)
{
	static volatile int as_it_should;
	sigset_t all, none;
	siginfo_t info;
	pid_t pid;

	sigfillset(&all);
	sigemptyset(&none);
	for (volatile int execs = 0; execs < 2; execs++) {
		as_it_should = 0;
		pid = vfork();
		if (!pid) {
			sigprocmask(SIG_SETMASK, &all, NULL);
			as_it_should = is_blocked(SIGSEGV) && is_blocked(SIGBUS) &&
				       is_blocked(SIGSYS) && is_blocked(SIGSTKFLT);
			if (execs)
				execl("/proc/self/exe", "shim_sigwait", "child", NULL);
			_exit(0);
		}
		CHECK(wait_for(pid) == (execs ? 7 | 32 : 0) && as_it_should);
		FOR_EACH(sig)
		CHECK(!is_blocked(sig));
		CHECK(!is_blocked(SIGSTKFLT));
		CHECK(spawn(NULL) == 0);
	}
	/* what waits for the parent is not the child's, nor the other way round */
	for (volatile int i = 0; i < 3; i++) {
		const volatile int sig = three[i];

		block(SIG_BLOCK, sig);
		CHECK(!raise(sig));
		as_it_should = 0;
		pid = vfork();
		if (!pid) {
			as_it_should = is_blocked(sig) && !is_pending(sig);
			sigprocmask(SIG_SETMASK, &none, NULL);
			as_it_should = as_it_should && !is_blocked(sig);
			_exit(0);
		}
		CHECK(wait_for(pid) == 0 && as_it_should);
		CHECK(is_blocked(sig) && is_pending(sig));
		CHECK(sigtimedwait(&all, &info, &at_once) == sig);
		pid = vfork();
		if (!pid) {
			raise(sig);
			as_it_should = is_pending(sig);
			_exit(0);
		}
		CHECK(wait_for(pid) == 0 && as_it_should);
		CHECK(is_blocked(sig) && !is_pending(sig));
		CHECK(spawn(NULL) == (sig == SIGSEGV ? 1 : sig == SIGBUS ? 2 : 4));
		block(SIG_UNBLOCK, sig);
		CHECK(!is_blocked(sig));
	}
}

/* ---- with a device ---- */

static struct vfio v;
static volatile uint32_t *regs;

/* Blocked, sent, not taken yet: the thread's accesses of a mapped BAR, and its raw calls, go on. */
static void a_bar_meanwhile(void)
{
	siginfo_t info;
	sigset_t all, old;
	void *volatile bad = (void *)8;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	FOR_EACH(sig)
	{
		for (int n = 0; n < 3; n++) {
			if (n)
				CHECK(n == 1 ? !raise(sig) : !kill(getpid(), sig));
			CHECK(regs[TD_ID / 4] == TD_ID_VALUE && works(&v));
			CHECK(raw_call(SYS_ioctl, v.container, VFIO_GET_API_VERSION, 0, 0, 0, 0) ==
			      0);
			FAILS(ioctl(v.device, VFIO_DEVICE_GET_INFO, bad), EFAULT);
			FAILS(ioctl(v.device, VFIO_DEVICE_GET_INFO, short_file + 4096), EFAULT);
			/*
			 * what was sent to the process may be in another thread's hands for a
			 * moment
			 */
			while (n == 2 && !is_pending(sig))
				sched_yield();
			CHECK(is_pending(sig) == (n > 0));
			CHECK(sigtimedwait(&all, &info, &at_once) == (n ? sig : -1));
		}
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static atomic_long sent_calls, bad_calls;
static atomic_bool stop;

static void reads_config(int sig)
{
	uint32_t id = 0;

	if (pread(v.device, &id, 4, (off_t)CONFIG) != 4 || !id || regs[TD_ID / 4] != TD_ID_VALUE)
		atomic_fetch_add(&bad_calls, 1);
	atomic_fetch_add(&sent_calls, 1);
}

static void *uses(void *arg)
{
	while (!atomic_load(&stop))
		if (!works(&v) || regs[TD_ID / 4] != TD_ID_VALUE ||
		    ioctl(v.device, VFIO_DEVICE_RESET))
			atomic_fetch_add(&bad_calls, 1);
	return NULL;
}

/* Sent at any moment of a call or an access, they come when it is over. */
static void sent_in_the_middle(void)
{
	pthread_t t;

	FOR_EACH(sig)
	set(sig, reads_config, SA_RESTART);
	CHECK(!pthread_create(&t, NULL, uses, NULL));
	for (long n = 0; n < 1500; n++) {
		long before = atomic_load(&sent_calls);

		/*
		 * again, since a SIGSEGV that meets the one of an access is one with it
		 * (docs/differences.md)
		 */
		for (long i = 0; atomic_load(&sent_calls) == before; i++) {
			if (i % 1000 == 0)
				CHECK(!pthread_kill(t, three[n % 3]));
			sched_yield();
		}
	}
	atomic_store(&stop, true);
	pthread_join(t, NULL);
	CHECK(!atomic_load(&bad_calls));
	FOR_EACH(sig)
	signal(sig, SIG_DFL);
}

int main(int argc, char **argv)
{
	int m = memfd_create("short", 0);

	if (argc > 1)
		return child_main();
	if (ftruncate(m, 4096))
		return 2;
	short_file = mmap(NULL, 8192, PROT_READ, MAP_SHARED, m, 0);
	RUN(left_by_siglongjmp);
	RUN(left_by_setcontext);
	RUN(left_by_longjmp);
	RUN(one_in_the_other);
	RUN(sent_in_its_handler);
	RUN(waited_for);
	RUN(in_a_signalfd);
	RUN(opened_by_a_wait);
	RUN(another_thread_waits);
	RUN(another_thread_has_it_open);
	RUN(masks_of_new_threads);
	RUN(masks_of_children);
	RUN(masks_of_vfork_children);
	if (access("/dev/vfio/vfio", F_OK))
		return any_failed; /* not under uvfio */
	v = vfio_open();
	regs = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, v.device, (off_t)REGS);
	if (!works(&v) || regs == MAP_FAILED)
		return 2;
	RUN(a_bar_meanwhile);
	RUN(sent_in_the_middle);
	return any_failed;
}
