/* SPDX-License-Identifier: BSD-3-Clause */
/* shim_signals: SIGSEGV, SIGBUS and SIGSYS are the shim's, and still the program's. */
#include "shim.h"
#include <setjmp.h>
#include <ucontext.h>

static sigjmp_buf env;
static volatile int calls, last_signal, last_code;
static void *volatile last_addr;
static volatile char *volatile nowhere = (char *)64;

static void jump(int sig)
{
	calls++;
	siglongjmp(env, 1);
}

static void note(int sig, siginfo_t *info, void *uc)
{
	calls++;
	last_signal = sig;
	last_code = info->si_code;
	last_addr = info->si_addr;
	if (info->si_code > 0)
		siglongjmp(env, 1);
}

static void set(int sig, void (*fn)(int), int flags)
{
	struct sigaction sa = { .sa_handler = fn, .sa_flags = flags };

	CHECK(!sigaction(sig, &sa, NULL));
}

/* a handler that leaves by siglongjmp, again and again, with VFIO's own faults between */
static void handler_that_jumps(void)
{
	struct vfio v = vfio_open();
	void *volatile bad = (void *)8;

	set(SIGSEGV, jump, 0);
	calls = 0;
	for (volatile int i = 0; i < 5; i++) {
		if (!sigsetjmp(env, 1))
			*nowhere = 1;
		FAILS(ioctl(v.device, VFIO_DEVICE_GET_INFO, bad), EFAULT);
		CHECK(works(&v));
	}
	CHECK(calls == 5);
	signal(SIGSEGV, SIG_DFL);
	vfio_close(&v);
}

static void handler_with_siginfo(void)
{
	struct sigaction sa = { .sa_sigaction = note, .sa_flags = SA_SIGINFO }, old;
	char *p = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	sigemptyset(&sa.sa_mask);
	sigaddset(&sa.sa_mask, SIGUSR1);
	sigaddset(&sa.sa_mask, SIGSYS);
	CHECK(!sigaction(SIGSEGV, &sa, NULL));
	CHECK(!sigaction(SIGSEGV, NULL, &old));
	CHECK(old.sa_sigaction == note && old.sa_flags & SA_SIGINFO && sigismember(&old.sa_mask, SIGUSR1) && sigismember(&old.sa_mask, SIGSYS));
	calls = 0;
	if (!sigsetjmp(env, 1))
		*(volatile char *)(p + 5);
	CHECK(calls == 1 && last_signal == SIGSEGV && last_code == SEGV_ACCERR && last_addr == p + 5);
	/* one that is sent comes back */
	raise(SIGSEGV);
	CHECK(calls == 2 && last_code == SI_TKILL);
	/* other signals' masks keep what they had, too */
	CHECK(!sigaction(SIGUSR2, &sa, NULL));
	CHECK(!sigaction(SIGUSR2, NULL, &old) && sigismember(&old.sa_mask, SIGSYS));
	CHECK(signal(SIGSEGV, SIG_DFL) == (void (*)(int))(uintptr_t)note);
	CHECK(signal(SIGSEGV, SIG_IGN) == SIG_DFL);
	raise(SIGSEGV);
	CHECK(signal(SIGSEGV, SIG_DFL) == SIG_IGN);
	signal(SIGUSR2, SIG_DFL);
	munmap(p, 4096);
}

static void handlers_of_sigbus_and_sigsys(void)
{
	struct sigaction sa = { .sa_sigaction = note, .sa_flags = SA_SIGINFO };
	int m = memfd_create("short", 0);
	char *p;
	struct vfio v = vfio_open();

	CHECK(!sigaction(SIGBUS, &sa, NULL));
	CHECK(!sigaction(SIGSYS, &sa, NULL));
	CHECK(!ftruncate(m, 4096));
	p = mmap(NULL, 8192, PROT_READ, MAP_SHARED, m, 0);
	calls = 0;
	if (!sigsetjmp(env, 1))
		*(volatile char *)(p + 5000);
	CHECK(calls == 1 && last_signal == SIGBUS && last_code == BUS_ADRERR);
	FAILS(ioctl(v.device, VFIO_DEVICE_SET_IRQS, p + 4096), EFAULT);
	raise(SIGSYS);
	CHECK(calls == 2 && last_signal == SIGSYS);
	/* a trap of ours does not come there */
	CHECK(raw_call(SYS_ioctl, v.container, VFIO_GET_API_VERSION, 0, 0, 0, 0) == 0);
	CHECK(calls == 2);
	signal(SIGBUS, SIG_DFL);
	signal(SIGSYS, SIG_DFL);
	vfio_close(&v);
	close(m);
}

static int die(void (*how)(void))
{
	pid_t pid = fork();

	if (!pid) {
		how();
		_exit(0);
	}
	return wait_for(pid);
}

static void fault(void)
{
	*nowhere = 1;
}

static void fault_when_ignored(void)
{
	signal(SIGSEGV, SIG_IGN);
	*nowhere = 1;
}

static void fault_when_blocked(void)
{
	sigset_t s;

	set(SIGSEGV, jump, 0);
	sigemptyset(&s);
	sigaddset(&s, SIGSEGV);
	sigprocmask(SIG_BLOCK, &s, NULL);
	if (!sigsetjmp(env, 1))
		*nowhere = 1;
	_exit(3);
}

static void fault_again(int sig)
{
	*nowhere = 2;
}

static void fault_in_handler(void)
{
	set(SIGSEGV, fault_again, 0);
	*nowhere = 1;
}

static void sent_bus(void)
{
	raise(SIGBUS);
}

static void sent_sys(void)
{
	kill(getpid(), SIGSYS);
}

static void bad_after_reset_hand(void)
{
	set(SIGSEGV, jump, (int)(SA_RESETHAND | SA_NODEFER));
	if (!sigsetjmp(env, 1))
		*nowhere = 1;
	*nowhere = 1;
}

static int deeper(volatile char *from, int n)
{
	volatile char big[4096];

	big[0] = (char)(from[0] + n);
	return n > 100000000 ? big[0] : deeper(big, n + 1) + big[0];
}

static void overflow(void)
{
	volatile char c = 0;

	if (deeper(&c, 0) == 12345)
		_exit(9);
}

static void overflow_on_alternate_stack(void)
{
	static char alt[65536];
	stack_t ss = { .ss_sp = alt, .ss_size = sizeof(alt) };

	sigaltstack(&ss, NULL);
	set(SIGSEGV, jump, SA_ONSTACK);
	if (!sigsetjmp(env, 1))
		overflow();
	_exit(calls == 1 ? 42 : 9);
}

static void deaths(void)
{
	CHECK(die(fault) == 1000 + SIGSEGV);
	CHECK(die(fault_when_ignored) == 1000 + SIGSEGV);
	CHECK(die(fault_when_blocked) == 1000 + SIGSEGV);
	CHECK(die(fault_in_handler) == 1000 + SIGSEGV);
	CHECK(die(bad_after_reset_hand) == 1000 + SIGSEGV);
	CHECK(die(sent_bus) == 1000 + SIGBUS);
	CHECK(die(sent_sys) == 1000 + SIGSYS);
	CHECK(die(overflow) == 1000 + SIGSEGV);
	calls = 0;
	CHECK(die(overflow_on_alternate_stack) == 42);
}

/* a signal that is sent while the program has it blocked waits */
static void sent_while_blocked(void)
{
	struct sigaction sa = { .sa_sigaction = note, .sa_flags = SA_SIGINFO };
	sigset_t s, old;

	CHECK(!sigaction(SIGSEGV, &sa, NULL));
	sigemptyset(&s);
	sigaddset(&s, SIGSEGV);
	CHECK(!sigprocmask(SIG_BLOCK, &s, &old));
	CHECK(!sigismember(&old, SIGSEGV));
	calls = 0;
	raise(SIGSEGV);
	CHECK(calls == 0);
	CHECK(!sigprocmask(SIG_SETMASK, NULL, &old));
	CHECK(sigismember(&old, SIGSEGV));
	CHECK(!sigprocmask(SIG_UNBLOCK, &s, NULL));
	CHECK(calls == 1 && last_code == SI_TKILL);
	signal(SIGSEGV, SIG_DFL);
}

/* a handler of the program's that uses VFIO, raw, with everything in its mask */
static struct vfio v;
static volatile int in_handler_ok;

static void uses_vfio(int sig)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };

	in_handler_ok = raw_call(SYS_ioctl, v.device, VFIO_DEVICE_GET_INFO, (long)&info, 0, 0, 0) == 0 && info.num_regions == 9;
	in_handler_ok += ioctl(v.device, VFIO_DEVICE_GET_INFO, &info) == 0;
}

static void vfio_in_a_handler(void)
{
	struct sigaction sa = { .sa_handler = uses_vfio };

	v = vfio_open();
	sigfillset(&sa.sa_mask);
	CHECK(!sigaction(SIGUSR1, &sa, NULL));
	raise(SIGUSR1);
	CHECK(in_handler_ok == 2);
	CHECK(works(&v));
	signal(SIGUSR1, SIG_DFL);
	vfio_close(&v);
}

int main(void)
{
	RUN(handler_that_jumps);
	RUN(handler_with_siginfo);
	RUN(handlers_of_sigbus_and_sigsys);
	RUN(deaths);
	RUN(sent_while_blocked);
	RUN(vfio_in_a_handler);
	return any_failed;
}
