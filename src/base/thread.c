/* SPDX-License-Identifier: BSD-3-Clause */
/* base/thread.c: threads without signals, on all processors of the start. */
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "base/sys.h"
#include "base/thread.h"

#define CPU_WORDS 128u /* 8192 processors, CONFIG_NR_CPUS_RANGE_END of x86 */

/* the processors that the program was started with: read before it runs */
static unsigned long start_cpus[CPU_WORDS];
static long start_bytes;

__attribute__((constructor)) static void read_cpus(void)
{
	start_bytes =
		sys_call(SYS_sched_getaffinity, 0, sizeof(start_cpus), (long)start_cpus, 0, 0, 0);
}

unsigned thread_cpus(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < CPU_WORDS; i++)
		n += (unsigned)__builtin_popcountl(start_cpus[i]);
	return n ? n : 1;
}

#define SIGNAL(n) (1ull << ((n)-1))

struct start {
	void *(*fn)(void *arg);
	void *arg;
	const char *name;
	_Atomic uint32_t begun;
};

/*
 * A thread names itself, before its start is over: from outside that takes a file of /proc, which a
 * sandbox refuses; and a name that is ours for a moment is that of a thread which a sanitizer's run
 * time may start then.
 */
static void *begin(void *arg)
{
	struct start *s = arg;
	void *(*fn)(void *arg) = s->fn;

	sys_call(SYS_prctl, PR_SET_NAME, (long)s->name, 0, 0, 0, 0);
	arg = s->arg;
	atomic_store(&s->begun, 1);
	/* the starter may have gone on, and @s with it: a wake-up of nobody */
	sys_call(SYS_futex, (long)&s->begun, FUTEX_WAKE_PRIVATE, 1, 0, 0, 0);
	return fn(arg);
}

int thread_start(pthread_t *thread, void *(*fn)(void *arg), void *arg, const char *name)
{
	/*
	 * The program's signals are the program's threads' business. What a fault in guarded memory
	 * raises must reach ours, and 32 and 33 are libc's: setuid() waits until every thread has
	 * had the second. Straight to the kernel: the calling thread's own mask is put back.
	 */
	uint64_t block = ~(SIGNAL(SIGSEGV) | SIGNAL(SIGBUS) | SIGNAL(SIGSYS) | SIGNAL(32) |
			   SIGNAL(33)),
		 old;
	struct start s = { .fn = fn, .arg = arg, .name = name };
	int err;

	sys_call(SYS_rt_sigprocmask, SIG_SETMASK, (long)&block, (long)&old, 8, 0, 0);
	err = pthread_create(thread, NULL, begin, &s);
	while (!err && !atomic_load(&s.begun))
		sys_call(SYS_futex, (long)&s.begun, FUTEX_WAIT_PRIVATE, 0, 0, 0, 0);
	sys_call(SYS_rt_sigprocmask, SIG_SETMASK, (long)&old, 0, 8, 0, 0);
	if (err)
		return -err;
	/* refused, or its processors are gone: it runs where it may */
	if (start_bytes > 0)
		pthread_setaffinity_np(*thread, (size_t)start_bytes, (const cpu_set_t *)start_cpus);
	return 0;
}
