/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/syscall.c: system calls by number, as they come by syscall(2) and by the filter's trap: each
 * is done as libc's function of that name would have been. A table has those with an entry of their
 * own; others are looked for by mem.c, vfs.c and names.c.
 */
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shim/calls.h"
#include "shim/handles.h"
#include "shim/mem.h"
#include "shim/paths.h"
#include "shim/scope.h"
#include "shim/shim.h"

typedef long call_fn(long nr, const long a[6]);

/* libc's functions of a name give -1 and errno. */
static long error_of(int rc)
{
	return rc ? -errno : 0;
}

#define CALL(name, call)                                \
	static long by_##name(long nr, const long a[6]) \
	{                                               \
		return call;                            \
	}

CALL(ioctl, shim_ioctl((int)a[0], (unsigned long)a[1], (unsigned long)a[2]))
CALL(open, shim_open(AT_FDCWD, (char *)a[0], (int)a[1], (mode_t)a[2]))
CALL(openat, shim_open((int)a[0], (char *)a[1], (int)a[2], (mode_t)a[3]))
CALL(creat, shim_open(AT_FDCWD, (char *)a[0], O_CREAT | O_WRONLY | O_TRUNC, (mode_t)a[1]))
CALL(openat2, shim_openat2((int)a[0], (char *)a[1], (void *)a[2], (size_t)a[3]))
CALL(close, shim_close((int)a[0]))
CALL(close_range, shim_close_range((unsigned)a[0], (unsigned)a[1], (unsigned)a[2]))
CALL(dup, shim_dup((int)a[0]))
CALL(dup2, shim_dup3((int)a[0], (int)a[1], 0, true))
CALL(dup3, shim_dup3((int)a[0], (int)a[1], (int)a[2], false))
CALL(fcntl, shim_fcntl((int)a[0], (int)a[1], (unsigned long)a[2]))
CALL(stat, shim_stat(AT_FDCWD, (char *)a[0], (struct stat *)a[1], 0))
CALL(lstat, shim_stat(AT_FDCWD, (char *)a[0], (struct stat *)a[1], AT_SYMLINK_NOFOLLOW))
CALL(fstat, shim_stat((int)a[0], "", (struct stat *)a[1], AT_EMPTY_PATH))
CALL(newfstatat, shim_stat((int)a[0], (char *)a[1], (struct stat *)a[2], (int)a[3]))
CALL(statx, shim_statx((int)a[0], (char *)a[1], (int)a[2], (unsigned)a[3], (void *)a[4]))
CALL(statfs, shim_statfs((char *)a[0], (void *)a[1]))
CALL(access, shim_access(AT_FDCWD, (char *)a[0], (int)a[1], 0, false))
CALL(faccessat, shim_access((int)a[0], (char *)a[1], (int)a[2], 0, false))
CALL(faccessat2, shim_access((int)a[0], (char *)a[1], (int)a[2], (int)a[3], true))
CALL(readlink, shim_readlink(AT_FDCWD, (char *)a[0], (char *)a[1], (size_t)a[2]))
CALL(readlinkat, shim_readlink((int)a[0], (char *)a[1], (char *)a[2], (size_t)a[3]))
CALL(getcwd, shim_getcwd((char *)a[0], (size_t)a[1]))
CALL(chdir, shim_chdir((char *)a[0]))
CALL(fchdir, shim_fchdir((int)a[0]))
CALL(execve, error_of(execve((char *)a[0], (char **)a[1], (char **)a[2])))
CALL(execveat, error_of(execveat((int)a[0], (char *)a[1], (char **)a[2], (char **)a[3], (int)a[4])))
CALL(prlimit64, shim_prlimit((pid_t)a[0], (int)a[1], (void *)a[2], (void *)a[3]))
CALL(getrlimit, shim_prlimit(0, (int)a[0], NULL, (void *)a[1]))
CALL(setrlimit, shim_prlimit(0, (int)a[0], (void *)a[1], NULL))

/* Both take the kernel's masks of 64 bits alone, and say EINVAL to others. */
static long by_rt_sigaction(long nr, const long a[6])
{
	if (a[3] != sizeof(uint64_t))
		return sys_call(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
	return shim_sigaction((int)a[0], (const struct shim_ksigaction *)a[1],
			      (struct shim_ksigaction *)a[2]);
}

static long by_rt_sigprocmask(long nr, const long a[6])
{
	if (a[3] != sizeof(uint64_t))
		return sys_call(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
	return shim_sigmask((int)a[0], (const uint64_t *)a[1], (uint64_t *)a[2]);
}

/* by number */
static call_fn *const calls[] = {
	[SYS_read] = shim_io_call,
	[SYS_write] = shim_io_call,
	[SYS_pread64] = shim_io_call,
	[SYS_pwrite64] = shim_io_call,
	[SYS_readv] = shim_io_call,
	[SYS_writev] = shim_io_call,
	[SYS_preadv] = shim_io_call,
	[SYS_pwritev] = shim_io_call,
	[SYS_preadv2] = shim_io_call,
	[SYS_pwritev2] = shim_io_call,
	[SYS_ioctl] = by_ioctl,
	[SYS_open] = by_open,
	[SYS_openat] = by_openat,
	[SYS_creat] = by_creat,
	[SYS_openat2] = by_openat2,
	[SYS_close] = by_close,
	[SYS_close_range] = by_close_range,
	[SYS_dup] = by_dup,
	[SYS_dup2] = by_dup2,
	[SYS_dup3] = by_dup3,
	[SYS_fcntl] = by_fcntl,
	[SYS_stat] = by_stat,
	[SYS_lstat] = by_lstat,
	[SYS_fstat] = by_fstat,
	[SYS_newfstatat] = by_newfstatat,
	[SYS_statx] = by_statx,
	[SYS_statfs] = by_statfs,
	[SYS_access] = by_access,
	[SYS_faccessat] = by_faccessat,
	[SYS_faccessat2] = by_faccessat2,
	[SYS_readlink] = by_readlink,
	[SYS_readlinkat] = by_readlinkat,
	[SYS_getcwd] = by_getcwd,
	[SYS_chdir] = by_chdir,
	[SYS_fchdir] = by_fchdir,
	[SYS_execve] = by_execve,
	[SYS_execveat] = by_execveat,
	[SYS_prlimit64] = by_prlimit64,
	[SYS_getrlimit] = by_getrlimit,
	[SYS_setrlimit] = by_setrlimit,
	[SYS_rt_sigaction] = by_rt_sigaction,
	[SYS_rt_sigprocmask] = by_rt_sigprocmask,
};

bool shim_syscall(long nr, const long a[6], long *ret)
{
	if (nr >= 0 && nr < (long)ARRAY_SIZE(calls) && calls[nr]) {
		*ret = calls[nr](nr, a);
		return true;
	}
	return shim_memory(nr, a, ret) || shim_vfs(nr, a, ret) || shim_names(nr, a, ret);
}

/*
 * Not by <stdarg.h>, for which all registers that arguments may be in are stored: what the program
 * did not pass is no matter, as with libc's.
 */
EXPORT long syscall_by_number(long nr, long a0, long a1, long a2, long a3, long a4,
			      long a5) __asm__("syscall");
EXPORT long syscall_by_number(long nr, long a0, long a1, long a2, long a3, long a4, long a5)
{
	const long a[6] = { a0, a1, a2, a3, a4, a5 };
	long rc;

	SHIM_NOTE_FROM();
	if (!shim.on || !shim_syscall(nr, a, &rc))
		rc = sys_call(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
	return shim_ret(rc);
}
