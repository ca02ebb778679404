/* SPDX-License-Identifier: BSD-3-Clause */
/* base/thread.c: threads without signals, on all processors of the start. */
#include <sched.h>
#include <signal.h>
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
	char own[16] = ""; /* prctl(2): of 16 bytes */
	int err;

	sys_call(SYS_rt_sigprocmask, SIG_SETMASK, (long)&block, (long)&old, 8, 0, 0);
	/* it has the name from this one; giving it one from here would take a file of /proc */
	sys_call(SYS_prctl, PR_GET_NAME, (long)own, 0, 0, 0, 0);
	sys_call(SYS_prctl, PR_SET_NAME, (long)name, 0, 0, 0, 0);
	err = pthread_create(thread, NULL, fn, arg);
	sys_call(SYS_prctl, PR_SET_NAME, (long)own, 0, 0, 0, 0);
	sys_call(SYS_rt_sigprocmask, SIG_SETMASK, (long)&old, 0, 8, 0, 0);
	if (err)
		return -err;
	/* refused, or its processors are gone: it runs where it may */
	if (start_bytes > 0)
		pthread_setaffinity_np(*thread, (size_t)start_bytes, (const cpu_set_t *)start_cpus);
	return 0;
}
