/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/syscall.c: system calls by number, as they come by syscall(2) and by the filter's trap: each
 * is done as libc's function of that name would have been.
 */
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shim/shim.h"

bool shim_syscall(long nr, const long a[6], long *ret)
{
	switch (nr) {
	case SYS_ioctl:
		*ret = shim_ioctl((int)a[0], (unsigned long)a[1], (unsigned long)a[2]);
		return true;
	case SYS_read:
	case SYS_write:
	case SYS_pread64:
	case SYS_pwrite64:
	case SYS_readv:
	case SYS_writev:
	case SYS_preadv:
	case SYS_pwritev:
	case SYS_preadv2:
	case SYS_pwritev2:
		*ret = shim_io_call(nr, a);
		return true;
	case SYS_open:
		*ret = shim_open(AT_FDCWD, (const char *)a[0], (int)a[1], (mode_t)a[2]);
		return true;
	case SYS_openat:
		*ret = shim_open((int)a[0], (const char *)a[1], (int)a[2], (mode_t)a[3]);
		return true;
	case SYS_creat:
		*ret = shim_open(AT_FDCWD, (const char *)a[0], O_CREAT | O_WRONLY | O_TRUNC,
				 (mode_t)a[1]);
		return true;
	case SYS_openat2:
		*ret = shim_openat2((int)a[0], (const char *)a[1], (const void *)a[2],
				    (size_t)a[3]);
		return true;
	case SYS_close:
		*ret = shim_close((int)a[0]);
		return true;
	case SYS_close_range:
		*ret = shim_close_range((unsigned)a[0], (unsigned)a[1], (unsigned)a[2]);
		return true;
	case SYS_dup:
		*ret = shim_dup((int)a[0]);
		return true;
	case SYS_dup2:
		*ret = shim_dup3((int)a[0], (int)a[1], 0, true);
		return true;
	case SYS_dup3:
		*ret = shim_dup3((int)a[0], (int)a[1], (int)a[2], false);
		return true;
	case SYS_fcntl:
		*ret = shim_fcntl((int)a[0], (int)a[1], (unsigned long)a[2]);
		return true;
	case SYS_stat:
		*ret = shim_stat(AT_FDCWD, (const char *)a[0], (struct stat *)a[1], 0);
		return true;
	case SYS_lstat:
		*ret = shim_stat(AT_FDCWD, (const char *)a[0], (struct stat *)a[1],
				 AT_SYMLINK_NOFOLLOW);
		return true;
	case SYS_fstat:
		*ret = shim_stat((int)a[0], "", (struct stat *)a[1], AT_EMPTY_PATH);
		return true;
	case SYS_newfstatat:
		*ret = shim_stat((int)a[0], (const char *)a[1], (struct stat *)a[2], (int)a[3]);
		return true;
	case SYS_statx:
		*ret = shim_statx((int)a[0], (const char *)a[1], (int)a[2], (unsigned)a[3],
				  (void *)a[4]);
		return true;
	case SYS_access:
		*ret = shim_access(AT_FDCWD, (const char *)a[0], (int)a[1], 0, false);
		return true;
	case SYS_faccessat:
		*ret = shim_access((int)a[0], (const char *)a[1], (int)a[2], 0, false);
		return true;
	case SYS_faccessat2:
		*ret = shim_access((int)a[0], (const char *)a[1], (int)a[2], (int)a[3], true);
		return true;
	case SYS_readlink:
		*ret = shim_readlink(AT_FDCWD, (const char *)a[0], (char *)a[1], (size_t)a[2]);
		return true;
	case SYS_readlinkat:
		*ret = shim_readlink((int)a[0], (const char *)a[1], (char *)a[2], (size_t)a[3]);
		return true;
	case SYS_statfs:
		*ret = shim_statfs((const char *)a[0], (void *)a[1]);
		return true;
	case SYS_execve:
		*ret = execve((const char *)a[0], (char *const *)a[1], (char *const *)a[2]) ? -errno
											    : 0;
		return true;
	case SYS_execveat:
		*ret = execveat((int)a[0], (const char *)a[1], (char *const *)a[2],
				(char *const *)a[3], (int)a[4])
			       ? -errno
			       : 0;
		return true;
	case SYS_prlimit64:
		*ret = shim_prlimit((pid_t)a[0], (int)a[1], (const void *)a[2], (void *)a[3]);
		return true;
	case SYS_getrlimit:
		*ret = shim_prlimit(0, (int)a[0], NULL, (void *)a[1]);
		return true;
	case SYS_setrlimit:
		*ret = shim_prlimit(0, (int)a[0], (const void *)a[1], NULL);
		return true;
	case SYS_getcwd:
		*ret = shim_getcwd((char *)a[0], (size_t)a[1]);
		return true;
	case SYS_chdir:
		*ret = shim_chdir((const char *)a[0]);
		return true;
	case SYS_fchdir:
		*ret = shim_fchdir((int)a[0]);
		return true;
	case SYS_rt_sigaction:
		if (a[3] != sizeof(uint64_t))
			return false;
		*ret = shim_sigaction((int)a[0], (const struct shim_ksigaction *)a[1],
				      (struct shim_ksigaction *)a[2]);
		return true;
	case SYS_rt_sigprocmask:
		if (a[3] != sizeof(uint64_t))
			return false;
		*ret = shim_sigmask((int)a[0], (const uint64_t *)a[1], (uint64_t *)a[2]);
		return true;
	default:
		return shim_memory(nr, a, ret) || shim_vfs(nr, a, ret) || shim_names(nr, a, ret);
	}
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
