/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cli/sandbox.c: a server that a client took over can do little.
 *
 * Two fences, each of which holds alone. Seccomp: a list of the system calls that serving takes,
 * and what of their arguments the kernel lets a filter see; none of them takes the name of a file,
 * but for those that look at one and do not open it. Landlock: no file at all may be opened,
 * made, changed or taken away by its name.
 *
 * A call that is not in the list comes as a SIGSYS to the thread that makes it, which says so and
 * goes on with EPERM: a model that wants more than this has a line in the log and not a riddle.
 *
 * Landlock confines one thread and those that it starts, but models have threads by now. So each
 * of them is sent a SIGSYS, too, which no thread of ours blocks, and confines itself in its
 * handler.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/if_tun.h>
#include <linux/landlock.h>
#include <linux/prctl.h>
#include <linux/sockios.h>
#include <malloc.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/guard.h"
#include "base/maps.h"
#include "base/reach.h"
#include "base/report.h"
#include "base/sys.h"
#include "base/thread.h"
#include "base/util.h"
#include "cli/sandbox.h"

#define WHO "sandbox"

/* ---- refusals ---- */

/* Names of calls, which libseccomp has in memory of malloc's: so they are asked for before. */
#define NAMES	  512
#define NAME_SIZE 24
static char names[NAMES][NAME_SIZE];

static void learn_names(void)
{
	for (int nr = 0; nr < NAMES; nr++) {
		char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_X86_64, nr);

		if (name)
			strncpy(names[nr], name, NAME_SIZE - 1);
		free(name);
	}
}

/* Restrict the calling thread: 0 or -errno. */
static int restrict_thread(int ruleset)
{
	long rc = sys_call(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0);

	return (int)(rc ? rc : sys_call(SYS_landlock_restrict_self, ruleset, 0, 0, 0, 0, 0));
}

/* For the handler: the ruleset, -1 when nobody is asked, and how a thread that was asked fared. */
static atomic_int asked_ruleset = -1, asked_result;
static atomic_uint answers;

/* Say that a call is refused, and of which file. */
static void refuse(unsigned nr, const greg_t *regs)
{
	const char *name = nr < NAMES && *names[nr] ? names[nr] : "a system call";
	greg_t file = nr == SYS_open || nr == SYS_execve ? regs[REG_RDI]
		      : nr == SYS_openat		 ? regs[REG_RSI]
							 : 0;
	char text[128] = "";

	if (file)
		text[guard_copy_part(text, (const void *)file, sizeof(text) - 1)] = '\0';
	report_warn(REPORT_LIMITED("sandbox"), WHO, -EPERM, "%s%s%s (%u) is refused", name,
		    *text ? " of " : "", text, nr);
}

#define BY_FILTER 1 /* asm-generic/siginfo.h: SYS_SECCOMP */

static void on_sigsys(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	int ruleset = atomic_load(&asked_ruleset), saved = errno, err;

	if (info->si_code == SI_TKILL && info->si_pid == getpid() && ruleset >= 0) {
		err = restrict_thread(ruleset);
		if (err)
			atomic_store(&asked_result, err);
		atomic_fetch_add(&answers, 1);
	} else if (info->si_code == BY_FILTER) {
		refuse((unsigned)info->si_syscall, uc->uc_mcontext.gregs);
		uc->uc_mcontext.gregs[REG_RAX] = -EPERM;
	}
	errno = saved;
}

/* ---- Landlock ---- */

/* linux/landlock.h, of Linux 6.2, 6.7, 6.10 and 6.12: what Debian 12's does not have yet */
struct ruleset_attr {
	uint64_t fs, net, scoped;
};
#define FS_TRUNCATE	(1ull << 14)
#define FS_IOCTL_DEV	(1ull << 15)
#define NET_BIND_TCP	(1ull << 0)
#define NET_CONNECT_TCP (1ull << 1)
#define SCOPE_ABSTRACT	(1ull << 0)

/* Make a ruleset that allows nothing: a descriptor, or -errno. */
static int make_ruleset(void)
{
	struct ruleset_attr attr = { .fs = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1 };
	size_t size = sizeof(attr.fs);
	long abi = sys_call(SYS_landlock_create_ruleset, 0, 0, LANDLOCK_CREATE_RULESET_VERSION, 0,
			    0, 0);

	if (abi <= 0)
		return abi ? (int)abi : -ENOSYS;
	if (abi >= 2)
		attr.fs |= LANDLOCK_ACCESS_FS_REFER;
	if (abi >= 3)
		attr.fs |= FS_TRUNCATE;
	if (abi >= 4) {
		attr.net = NET_BIND_TCP | NET_CONNECT_TCP;
		size = offsetof(struct ruleset_attr, scoped);
	}
	if (abi >= 5)
		attr.fs |= FS_IOCTL_DEV;
	if (abi >= 6) {
		attr.scoped = SCOPE_ABSTRACT;
		size = sizeof(attr);
	}
	return (int)sys_call(SYS_landlock_create_ruleset, (long)&attr, (long)size, 0, 0, 0, 0);
}

#define MAX_THREADS 4096
#define WAIT_NS	    2000000000u

/*
 * Send SIGSYS to @tid, and wait until it has answered or is gone: 0, -EBUSY: it blocks the signal;
 * or what its call failed with.
 */
static int ask_thread(int tid)
{
	uint64_t end = now_ns() + WAIT_NS;
	unsigned before = atomic_load(&answers);

	atomic_store(&asked_result, 0);
	if (sys_call(SYS_tgkill, getpid(), tid, SIGSYS, 0, 0, 0))
		return 0;
	while (atomic_load(&answers) == before) {
		if (sys_call(SYS_tgkill, getpid(), tid, 0, 0, 0, 0))
			return 0;
		if (now_ns() > end)
			return report_err("sandbox", WHO, -EBUSY,
					  "thread %d does not take SIGSYS, and cannot be confined",
					  tid);
		usleep(200);
	}
	return atomic_load(&asked_result);
}

/*
 * Ask the threads that are not in @done yet, and note them there. Return how many these were, or
 * -errno.
 */
static int ask_new_threads(int *done, unsigned *n)
{
	char buf[4096] __attribute__((aligned(8)));
	int dir = sys_open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	int asked = 0, err = 0, tid;
	unsigned i;
	long got;

	if (dir < 0)
		return dir;
	while (!err && (got = sys_call(SYS_getdents64, dir, (long)buf, sizeof(buf), 0, 0, 0)) > 0) {
		/* man 2 getdents: the length of an entry is at 16, its name at 19 */
		for (long at = 0; at < got && !err; at += *(uint16_t *)(buf + at + 16)) {
			tid = atoi(buf + at + 19);
			for (i = 0; i < *n && done[i] != tid; i++)
				;
			if (tid <= 0 || i < *n)
				continue;
			if (*n == MAX_THREADS) {
				err = -E2BIG;
				break;
			}
			err = ask_thread(tid);
			done[(*n)++] = tid;
			asked++;
		}
	}
	sys_close(dir);
	return err ? err : got < 0 ? (int)got : asked;
}

/*
 * Restrict all threads, this one, which has to look at the list of them, at last. One that starts
 * meanwhile is found by another look, or has it from its parent.
 */
static int restrict_all(int ruleset)
{
	int *done = malloc(MAX_THREADS * sizeof(*done)), err;
	unsigned n = 1;

	if (!done)
		return -ENOMEM;
	done[0] = (int)sys_call(SYS_gettid, 0, 0, 0, 0, 0, 0);
	atomic_store(&asked_ruleset, ruleset);
	while ((err = ask_new_threads(done, &n)) > 0)
		;
	atomic_store(&asked_ruleset, -1);
	free(done);
	return err ? err : restrict_thread(ruleset);
}

int sandbox_landlock(bool strict)
{
	int ruleset = make_ruleset(), err;

	if (ruleset == -ENOSYS || ruleset == -EOPNOTSUPP) {
		if (strict)
			return report_err("sandbox", WHO, ruleset,
					  "this kernel has no Landlock, or it is switched off, and "
					  "the sandbox is to be strict");
		report_warn("sandbox", WHO, ruleset,
			    "this kernel has no Landlock, or it is switched off: seccomp alone "
			    "confines the server");
		return 0;
	}
	if (ruleset < 0)
		return report_err("sandbox", WHO, ruleset, "no Landlock ruleset: %m");
	err = restrict_all(ruleset);
	sys_close(ruleset);
	if (err)
		report_err("sandbox", WHO, err, "not all threads could be confined: %m");
	return err;
}

/* ---- seccomp ---- */

/* Allowed with any arguments: what these do is bounded by the descriptors that are open. */
static const int allowed[] = {
	SYS_read,
	SYS_readv,
	SYS_pread64,
	SYS_preadv,
	SYS_preadv2,
	SYS_write,
	SYS_writev,
	SYS_pwrite64,
	SYS_pwritev,
	SYS_pwritev2,
	SYS_lseek,
	SYS_close,
	SYS_close_range,
	SYS_dup,
	SYS_dup2,
	SYS_dup3,
	SYS_fstat,
	SYS_fstatfs,
	SYS_ftruncate,
	SYS_fallocate,
	SYS_fsync,
	SYS_fdatasync,
	SYS_syncfs,
	SYS_sync_file_range,
	SYS_fadvise64,
	SYS_flock,
	SYS_memfd_create,
	/* that look at a name, and open nothing */
	SYS_newfstatat,
	SYS_statx,
	SYS_readlink,
	SYS_readlinkat,
	SYS_getdents64,
	SYS_getcwd,
	/* memory; the others are below */
	SYS_munmap,
	SYS_mremap,
	SYS_madvise,
	SYS_mincore,
	SYS_msync,
	SYS_brk,
	SYS_mlock,
	SYS_munlock,
	SYS_membarrier,
	/* waiting */
	SYS_poll,
	SYS_ppoll,
	SYS_select,
	SYS_pselect6,
	SYS_epoll_create1,
	SYS_epoll_ctl,
	SYS_epoll_wait,
	SYS_epoll_pwait,
	SYS_epoll_pwait2,
	SYS_eventfd2,
	SYS_io_setup, /* vfio/aio_signal.c */
	SYS_io_submit,
	SYS_io_destroy,
	SYS_signalfd4,
	SYS_pipe2,
	SYS_timerfd_create,
	SYS_timerfd_settime,
	SYS_timerfd_gettime,
	SYS_futex,
	SYS_futex_waitv,
	SYS_nanosleep,
	SYS_clock_nanosleep,
	SYS_clock_gettime,
	SYS_clock_getres,
	SYS_gettimeofday,
	SYS_time,
	SYS_pause,
	SYS_restart_syscall,
	/* sockets that are open */
	SYS_accept,
	SYS_accept4,
	SYS_recvfrom,
	SYS_recvmsg,
	SYS_recvmmsg,
	SYS_sendto,
	SYS_sendmsg,
	SYS_sendmmsg,
	SYS_shutdown,
	SYS_getsockopt,
	SYS_setsockopt,
	SYS_getsockname,
	SYS_getpeername,
	/* threads and signals of this process */
	SYS_rt_sigaction,
	SYS_rt_sigprocmask,
	SYS_rt_sigreturn,
	SYS_rt_sigpending,
	SYS_rt_sigtimedwait,
	SYS_rt_sigsuspend,
	SYS_sigaltstack,
	SYS_set_robust_list,
	SYS_set_tid_address,
	SYS_rseq,
	SYS_sched_yield,
	SYS_sched_getaffinity,
	SYS_sched_getparam,
	SYS_sched_getscheduler,
	SYS_getcpu,
	SYS_exit,
	SYS_exit_group,
	SYS_getpid,
	SYS_gettid,
	SYS_getppid,
	SYS_getuid,
	SYS_geteuid,
	SYS_getgid,
	SYS_getegid,
	SYS_capget,
	SYS_sched_setaffinity,
	SYS_getrandom,
	SYS_getrusage,
	SYS_wait4,
	SYS_times,
	SYS_sysinfo,
	SYS_uname,
};

/*
 * Refused without a line, since whoever asks has another way: libc's threads without clone3(),
 * whose flags are out of a filter's sight, and nvme's without io_uring, whose requests are. Files
 * of sockets are removed by another process (sweep.c), or replaced when they are in the way.
 */
static const struct {
	int nr;
	uint16_t err;
} quietly[] = {
	{ SYS_clone3, ENOSYS },
	{ SYS_io_uring_setup, EPERM },
	{ SYS_unlink, EPERM },
};

/* by name: clang warns of libseccomp's own macros, which leave a member out */
#define IS(n, value) \
	((struct scmp_arg_cmp){ .arg = (n), .op = SCMP_CMP_EQ, .datum_a = (uint64_t)(value) })
#define BITS(n, mask, are)                                \
	((struct scmp_arg_cmp){ .arg = (n),               \
				.op = SCMP_CMP_MASKED_EQ, \
				.datum_a = (mask),        \
				.datum_b = (uint64_t)(are) })

/* Requests of ioctl() that models make; and all of VFIO's, for a real device, below. */
static const unsigned requests[] = {
	TCGETS, /* isatty() */
	FIONREAD, FIONBIO, BLKGETSIZE64, TUNGETIFF, SIOCGIFFLAGS,
};
#define VFIO_TYPE 0x3b00u /* linux/vfio.h: ';', with any number and no size */

/* Requests of fcntl(): none that would have signals sent. */
static const unsigned controls[] = {
	F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD,     F_SETFD,	    F_GETFL,	  F_SETFL,     F_GETLK,
	F_SETLK, F_SETLKW,	  F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW, F_ADD_SEALS, F_GET_SEALS,
};
static const unsigned of_process[] = { PR_SET_NAME, PR_GET_NAME, PR_SET_VMA };
static const int protecting[] = { SYS_mmap, SYS_mprotect, SYS_pkey_mprotect };

/* Allow @nr if the lower half of argument @arg, ANDed with @mask, is one of @n @values. */
static int allow_values(scmp_filter_ctx ctx, int nr, unsigned arg, unsigned mask,
			const unsigned *values, size_t n)
{
	int err = 0;

	for (size_t i = 0; i < n && !err; i++)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 1, BITS(arg, mask, values[i]));
	return err;
}
#define ALLOW_VALUES(ctx, nr, arg, values) \
	allow_values(ctx, nr, arg, UINT32_MAX, values, ARRAY_SIZE(values))

/* What is allowed with some arguments only. 0 or -errno. */
static int add_conditional(scmp_filter_ctx ctx)
{
	static const unsigned vfio = VFIO_TYPE, namespaces = 0x7e020000; /* CLONE_NEW* */
	const uint64_t thread = CLONE_THREAD | CLONE_VM | CLONE_SIGHAND;
	int err = 0;

	/* nothing that could be run */
	for (size_t i = 0; i < ARRAY_SIZE(protecting) && !err; i++)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, protecting[i], 1,
				       BITS(2, PROT_EXEC, 0));
	/* threads, which have all of these bits, and no processes */
	err = err
		      ?: seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SYS_clone, 1,
					  BITS(0, thread | namespaces, thread));
	err = err ?: seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SYS_tgkill, 1, IS(0, getpid()));
	/* are two descriptors of this process one file? */
	err = err
		      ?: seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SYS_kcmp, 2, IS(0, getpid()),
					  IS(1, getpid()));
	/* of this process: the limit of open files is raised now and then */
	err = err ?: seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SYS_prlimit64, 1, IS(0, 0));
	/* a second socket for a client; no datagrams, which can be sent to others by name */
	err = err
		      ?: seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SYS_socketpair, 2, IS(0, AF_UNIX),
					  BITS(1, 0xf, SOCK_STREAM));
	err = err ?: ALLOW_VALUES(ctx, SYS_prctl, 0, of_process);
	err = err ?: ALLOW_VALUES(ctx, SYS_fcntl, 1, controls);
	err = err ?: ALLOW_VALUES(ctx, SYS_ioctl, 1, requests);
	return err ?: allow_values(ctx, SYS_ioctl, 1, 0xffffff00u, &vfio, 1);
}

static int load_filter(void)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_TRAP);
	int err;

	if (!ctx)
		return -ENOMEM;
	/* all threads; and a search among the numbers instead of one comparison after another */
	err = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
	if (!err)
		err = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	for (size_t i = 0; i < ARRAY_SIZE(allowed) && !err; i++)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, allowed[i], 0);
	for (size_t i = 0; i < ARRAY_SIZE(quietly) && !err; i++)
		err = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(quietly[i].err), quietly[i].nr, 0);
	if (!err)
		err = add_conditional(ctx);
	if (!err)
		err = seccomp_load(ctx);
	seccomp_release(ctx);
	return err;
}

int sandbox_seccomp(void)
{
	int err = load_filter();

	return err ? report_err("sandbox", WHO, err, "no seccomp filter: %m") : 0;
}

int sandbox_prepare(void)
{
	struct sigaction sa = { .sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO | SA_RESTART };
	int err;

	/* the two files that we open again and again */
	reach_init();
	err = maps_keep();
	if (err)
		return report_err("sandbox", WHO, err, "/proc/self/maps: %m");
	learn_names();
	/* what glibc takes by itself (8 for each processor), after a look at files of sysfs */
	mallopt(M_ARENA_MAX, 8 * (int)thread_cpus());
	/* and before it gives memory back it looks at another one, of /proc */
	mallopt(M_TRIM_THRESHOLD, -1);
	sigemptyset(&sa.sa_mask);
	if (sigaction(SIGSYS, &sa, NULL))
		return report_err("sandbox", WHO, -errno, "SIGSYS: %m");
	return 0;
}

int sandbox_enter(bool strict)
{
	int err = sandbox_prepare();

	err = err ?: sandbox_landlock(strict);
	err = err ?: sandbox_seccomp();
	if (err)
		return err;
	report_info("sandbox", WHO, 0, "no files, programs and sockets from now on");
	return 0;
}
