/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/shim/signals.c: SIGSEGV, SIGBUS and SIGSYS are the shim's, and still the program's. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <sys/auxv.h>
#include <ucontext.h>

#include "shim.h"

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
	CHECK(old.sa_sigaction == note && old.sa_flags & SA_SIGINFO &&
	      sigismember(&old.sa_mask, SIGUSR1) && sigismember(&old.sa_mask, SIGSYS));
	calls = 0;
	if (!sigsetjmp(env, 1))
		*(volatile char *)(p + 5);
	CHECK(calls == 1 && last_signal == SIGSEGV && last_code == SEGV_ACCERR &&
	      last_addr == p + 5);
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

	in_handler_ok =
		raw_call(SYS_ioctl, v.device, VFIO_DEVICE_GET_INFO, (long)&info, 0, 0, 0) == 0 &&
		info.num_regions == 9;
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

/* ---- a handler that comes in the middle of a call, and makes one of its own ---- */

#define INTERRUPTIONS 2000
static atomic_int interruptions, over;

static void config_and_info(int sig)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	uint32_t id;

	in_handler_ok &= pread(v.device, &id, 4, (off_t)CONFIG) == 4 &&
			 !ioctl(v.device, VFIO_DEVICE_GET_INFO, &info) &&
			 !ioctl(v.device, VFIO_DEVICE_RESET);
	interruptions++;
}

static void *interrupt(void *thread)
{
	for (int i = 0; i < INTERRUPTIONS; i++) {
		pthread_kill(*(pthread_t *)thread, SIGUSR1);
		for (int ms = 0; interruptions <= i; ms++) {
			if (ms == 20000) {
				puts("FAIL calls_in_the_middle_of_calls: it hangs");
				fflush(stdout);
				_exit(1);
			}
			usleep(ms ? 1000 : 20);
		}
	}
	over = 1;
	return NULL;
}

static void calls_in_the_middle_of_calls(void)
{
	struct sigaction sa = { .sa_handler = config_and_info, .sa_flags = SA_RESTART };
	pthread_t self = pthread_self(), other;
	uint16_t command = PCI_COMMAND_MEMORY;

	v = vfio_open();
	in_handler_ok = 1;
	CHECK(!sigaction(SIGUSR1, &sa, NULL));
	CHECK(!pthread_create(&other, NULL, interrupt, &self));
	while (!over) {
		command ^= PCI_COMMAND_MEMORY;
		CHECK(pwrite(v.device, &command, 2, (off_t)(CONFIG + PCI_COMMAND)) == 2);
		CHECK(!ioctl(v.device, VFIO_DEVICE_RESET));
	}
	pthread_join(other, NULL);
	CHECK(in_handler_ok);
	CHECK(interruptions == INTERRUPTIONS);
	command = PCI_COMMAND_MEMORY;
	CHECK(pwrite(v.device, &command, 2, (off_t)(CONFIG + PCI_COMMAND)) == 2);
	CHECK(works(&v));
	signal(SIGUSR1, SIG_DFL);
	vfio_close(&v);
}

/* ---- with a mapped BAR ---- */

static uint8_t *regs, *ram;

static void map_bars(void)
{
	v = vfio_open();
	regs = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, v.device, (off_t)REGS);
	ram = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED, v.device, (off_t)RAM);
	CHECK(regs != MAP_FAILED && ram != MAP_FAILED);
}

static void unmap_bars(void)
{
	munmap(regs, 4096);
	munmap(ram, 65536);
	vfio_close(&v);
}

static void decode(bool on)
{
	uint16_t command = 0;

	CHECK(pread(v.device, &command, 2, (off_t)(CONFIG + PCI_COMMAND)) == 2);
	command = (uint16_t)(on ? command | PCI_COMMAND_MEMORY : command & ~PCI_COMMAND_MEMORY);
	CHECK(pwrite(v.device, &command, 2, (off_t)(CONFIG + PCI_COMMAND)) == 2);
}

static uint32_t reg(unsigned at)
{
	return *(volatile uint32_t *)(regs + at);
}

/*
 * A handler of a BAR's SIGBUS runs with the mask that it asked for, no more and no less, and what
 * it does to the context counts.
 */
static volatile int other_calls, mask_ok;

static void other_signal(int sig)
{
	other_calls++;
}

static void skips_the_load(int sig, siginfo_t *info, void *ucontext)
{
	ucontext_t *uc = ucontext;
	sigset_t now;

	calls++;
	sigprocmask(SIG_BLOCK, NULL, &now);
	mask_ok = sigismember(&now, SIGUSR1) == 1 && !sigismember(&now, SIGUSR2) &&
		  !sigismember(&now, SIGALRM) && sigismember(&now, SIGTERM) == 1;
	raise(SIGUSR2);
	mask_ok = mask_ok && other_calls == calls;
	uc->uc_mcontext.gregs[REG_RIP] += 2;
	uc->uc_mcontext.gregs[REG_RAX] = 0x1234;
	sigaddset(&uc->uc_sigmask, SIGHUP);
}

static void masks_in_a_handler(void)
{
	struct sigaction sa = { .sa_sigaction = skips_the_load, .sa_flags = SA_SIGINFO };
	sigset_t s, old;
	uint32_t x;

	map_bars();
	sigaddset(&sa.sa_mask, SIGUSR1);
	sigaddset(&sa.sa_mask, SIGBUS);
	CHECK(!sigaction(SIGBUS, &sa, NULL));
	set(SIGUSR2, other_signal, 0);
	sigemptyset(&s);
	sigaddset(&s, SIGTERM); /* blocked before: stays so in the handler */
	CHECK(!sigprocmask(SIG_SETMASK, &s, &old));
	calls = other_calls = 0;
	decode(false);
	for (int i = 0; i < 3; i++) {
		x = 0;
		__asm__ volatile("movl (%1), %0" : "=a"(x) : "D"(regs) : "memory");
		CHECK(x == 0x1234 && calls == i + 1 && mask_ok);
	}
	decode(true);
	CHECK(reg(TD_ID) == TD_ID_VALUE);
	CHECK(!sigprocmask(SIG_SETMASK, &old, &s));
	CHECK(sigismember(&s, SIGTERM) && sigismember(&s, SIGHUP) && !sigismember(&s, SIGUSR1) &&
	      !sigismember(&s, SIGUSR2) && !sigismember(&s, SIGBUS));
	signal(SIGBUS, SIG_DFL);
	signal(SIGUSR2, SIG_DFL);
	unmap_bars();
}

/*
 * out of a BAR's SIGBUS by siglongjmp, and by longjmp, which leaves the mask as the handler had it
 */
static void jumps_out_of_a_bar(void)
{
	sigset_t s;
	volatile uint32_t x = 0;

	map_bars();
	set(SIGBUS, jump, SA_ONSTACK);
	calls = 0;
	for (volatile int i = 0; i < 200; i++) {
		decode(false);
		if (!sigsetjmp(env, 1))
			x = reg(TD_ID);
		decode(true);
		x = reg(TD_ID);
	}
	CHECK(calls == 200 && x == TD_ID_VALUE);
	decode(false);
	if (!sigsetjmp(env, 0))
		__asm__ volatile("lock incl (%0)" : : "r"(regs + TD_SCRATCH32) : "memory", "cc");
	decode(true);
	CHECK(calls == 201);
	CHECK(!sigprocmask(SIG_BLOCK, NULL, &s));
	CHECK(!sigismember(&s, SIGALRM) && !sigismember(&s, SIGUSR1));
	sigemptyset(&s);
	sigprocmask(SIG_SETMASK, &s, NULL);
	CHECK(reg(TD_ID) == TD_ID_VALUE);
	signal(SIGBUS, SIG_DFL);
	unmap_bars();
}

/*
 * An alternate stack that has room for a signal and a small handler only. What lies below it stays
 * as it is.
 */
#define BELOW 65536ul

static uint8_t *small_stack(size_t *size)
{
	uint8_t *p;

	*size = getauxval(AT_MINSIGSTKSZ) + 3072;
	*size = (*size < 2048 ? 2048 : *size) & ~15ul;
	p = mmap(NULL, BELOW + *size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(p, 0x5a, BELOW);
	return p;
}

static bool untouched(const uint8_t *p)
{
	for (size_t i = 0; i < BELOW; i++)
		if (p[i] != 0x5a)
			return false;
	return true;
}

static void *accesses_on_a_small_stack(void *arg)
{
	uint8_t one[512], two[512], *stack;
	long bad = 0, at = (long)arg * 600;
	uint32_t seven = 7;
	stack_t ss = { 0 }, now;

	stack = small_stack(&ss.ss_size);
	ss.ss_sp = stack + BELOW;
	bad += sigaltstack(&ss, NULL) != 0;
	for (int i = 0; i < 60; i++) {
		memset(one, i, sizeof(one));
		memcpy(ram + at, one, sizeof(one));
		memcpy(two, ram + at, sizeof(two));
		bad += memcmp(one, two, sizeof(one)) != 0 || reg(TD_ID) != TD_ID_VALUE;
		*(volatile uint32_t *)(ram + at) = 6;
		seven = 7;
		__asm__ volatile("imull (%1), %0" : "+r"(seven) : "r"(ram + at) : "cc");
		bad += seven != 42;
		__asm__ volatile("lock incl (%0)" : : "r"(ram + 60000) : "memory", "cc");
	}
	bad += sigaltstack(NULL, &now) || now.ss_sp != ss.ss_sp || now.ss_size != ss.ss_size ||
	       now.ss_flags;
	bad += !untouched(stack);
	ss.ss_flags = SS_DISABLE;
	sigaltstack(&ss, NULL);
	munmap(stack, BELOW + ss.ss_size);
	return (void *)bad;
}

static void small_alternate_stacks(void)
{
	enum { N = 90 };
	struct sigaction sa = { .sa_handler = jump, .sa_flags = SA_ONSTACK };
	pthread_t t[N];
	uint8_t *stack;
	stack_t ss = { 0 };
	unsigned wrong = 0;
	void *bad;
	volatile uint32_t x = 0;

	alarm(60);
	map_bars();
	CHECK(!sigaction(SIGSEGV, &sa, NULL) && !sigaction(SIGBUS, &sa, NULL));
	*(volatile uint32_t *)(ram + 60000) = 0;
	for (long i = 0; i < N; i++)
		CHECK(!pthread_create(&t[i], NULL, accesses_on_a_small_stack, (void *)i));
	for (long i = 0; i < N; i++) {
		pthread_join(t[i], &bad);
		wrong += bad != NULL;
	}
	CHECK(!wrong);
	CHECK(*(volatile uint32_t *)(ram + 60000) == N * 60);
	/*
	 * a device that meets bad memory while we are there, and a bus error whose handler is on
	 * the small stack, too
	 */
	stack = small_stack(&ss.ss_size);
	ss.ss_sp = stack + BELOW;
	CHECK(!sigaltstack(&ss, NULL));
	{
		uint8_t *hole = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		volatile uint32_t *r = (volatile uint32_t *)regs;

		CHECK(!dma_map(&v, hole, 0x10000, 4096) && bus_master(&v));
		CHECK(!raw_call(SYS_munmap, (long)hole, 4096, 0, 0, 0, 0));
		r[TD_DMA_SRC / 4] = r[TD_DMA_SRC / 4 + 1] = 0;
		*(volatile uint64_t *)(regs + TD_DMA_DST) = 0x10000;
		*(volatile uint64_t *)(regs + TD_DMA_LEN) = 64;
		r[TD_DMA_CMD / 4] = TD_OP_FILL;
		CHECK(r[TD_DMA_STATUS / 4] == TD_DMA_FAULT);
		CHECK(dma_unmap(&v, 0x10000, 4096) == 4096);
	}
	calls = 0;
	for (volatile int i = 0; i < 20; i++) {
		decode(false);
		if (!sigsetjmp(env, 1))
			x = reg(TD_ID);
		decode(true);
	}
	x = reg(TD_ID);
	CHECK(calls == 20 && x == TD_ID_VALUE && untouched(stack));
	ss.ss_flags = SS_DISABLE;
	CHECK(!sigaltstack(&ss, NULL));
	munmap(stack, BELOW + ss.ss_size);
	signal(SIGSEGV, SIG_DFL);
	signal(SIGBUS, SIG_DFL);
	unmap_bars();
	alarm(0);
}

/* A thread that libc does not know. It has its maker's thread-local storage, so the maker waits. */
static volatile int clone_ok;
static int clone_done;

static int in_a_clone(void *arg)
{
	*(volatile uint32_t *)(regs + TD_SCRATCH32) = 0xc10e;
	clone_ok = reg(TD_SCRATCH32) == 0xc10e && reg(TD_ID) == TD_ID_VALUE && works(&v);
	return 0;
}

static void a_thread_by_clone(void)
{
	char *stack = mmap(NULL, 262144, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	const int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
			  CLONE_SYSVSEM | CLONE_CHILD_CLEARTID;
	sigset_t all, old;

	map_bars();
	/* with everything blocked, as runtimes make their threads */
	sigfillset(&all);
	for (int i = 0; i < 50; i++) {
		clone_ok = 0;
		clone_done = 1;
		sigprocmask(SIG_SETMASK, &all, &old);
		CHECK(clone(in_a_clone, stack + 262144, flags, NULL, NULL, NULL, &clone_done) > 0);
		while (__atomic_load_n(&clone_done, __ATOMIC_SEQ_CST))
			syscall(SYS_sched_yield);
		sigprocmask(SIG_SETMASK, &old, NULL);
		if (!clone_ok) {
			CHECK(clone_ok);
			break;
		}
	}
	CHECK(reg(TD_SCRATCH32) == 0xc10e);
	munmap(stack, 262144);
	unmap_bars();
}

int main(void)
{
	RUN(handler_that_jumps);
	RUN(handler_with_siginfo);
	RUN(handlers_of_sigbus_and_sigsys);
	RUN(deaths);
	RUN(sent_while_blocked);
	RUN(vfio_in_a_handler);
	RUN(calls_in_the_middle_of_calls);
	RUN(masks_in_a_handler);
	RUN(jumps_out_of_a_bar);
	RUN(small_alternate_stacks);
	RUN(a_thread_by_clone);
	return any_failed;
}
