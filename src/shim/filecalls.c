/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/filecalls.c: libc's functions on a descriptor, which are the calls of vfs.c.
 */
#include <fcntl.h>
#include <sys/file.h>
#include <sys/sendfile.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "shim/calls.h"
#include "shim/handles.h"
#include "shim/mem.h"
#include "shim/paths.h"
#include "shim/shim.h"

/* linux/magic.h */
#define SYSFS_MAGIC_NUMBER 0x62656572

/* libc's own, which may be a cancellation point, unless the descriptor is ours. */
#define CALL(type, name, args, nr, a, b, c, d, e, f)                                           \
	do {                                                                                   \
		const long v[6] = {                                                            \
			(long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f)       \
		};                                                                             \
		long rc;                                                                       \
		NEXT_IF_LOADED(name);                                                          \
		if (shim_vfs(nr, v, &rc) || !real)                                             \
			return (type)shim_ret(                                                 \
				real ? rc : sys_call(nr, v[0], v[1], v[2], v[3], v[4], v[5])); \
		return real args;                                                              \
	} while (0)

EXPORT off64_t lseek64(int fd, off64_t pos, int whence)
{
	long rc;

	if (!shim_vfs(SYS_lseek, (const long[6]){ fd, pos, whence }, &rc))
		rc = sys_call(SYS_lseek, fd, pos, whence, 0, 0, 0);
	return shim_ret(rc);
}
EXPORT off_t lseek(int fd, off_t pos, int whence) __attribute__((alias("lseek64")));

EXPORT int fsync(int fd)
{
	CALL(int, fsync, (fd), SYS_fsync, fd, 0, 0, 0, 0, 0);
}

EXPORT int fdatasync(int fd)
{
	CALL(int, fdatasync, (fd), SYS_fdatasync, fd, 0, 0, 0, 0, 0);
}

EXPORT int flock(int fd, int how)
{
	CALL(int, flock, (fd, how), SYS_flock, fd, how, 0, 0, 0, 0);
}

EXPORT int fallocate64(int fd, int mode, off64_t pos, off64_t len)
{
	CALL(int, fallocate64, (fd, mode, pos, len), SYS_fallocate, fd, mode, pos, len, 0, 0);
}
EXPORT int fallocate(int fd, int mode, off_t pos, off_t len) __attribute__((alias("fallocate64")));

EXPORT int ftruncate64(int fd, off64_t len)
{
	long rc;

	if (!shim_vfs(SYS_ftruncate, (const long[6]){ fd, len }, &rc))
		rc = sys_call(SYS_ftruncate, fd, len, 0, 0, 0, 0);
	return (int)shim_ret(rc);
}
EXPORT int ftruncate(int fd, off_t len) __attribute__((alias("ftruncate64")));

EXPORT int posix_fallocate64(int fd, off64_t pos, off64_t len)
{
	const long v[6] = { fd, 0, pos, len };
	long rc;

	NEXT_IF_LOADED(posix_fallocate64);
	if (shim_vfs(SYS_fallocate, v, &rc) || !real)
		return real ? (int)-rc : ENOSYS;
	return real(fd, pos, len);
}
EXPORT int posix_fallocate(int fd, off_t pos, off_t len)
	__attribute__((alias("posix_fallocate64")));

EXPORT ssize_t readahead(int fd, off64_t pos, size_t n)
{
	CALL(ssize_t, readahead, (fd, pos, n), SYS_readahead, fd, pos, n, 0, 0, 0);
}

EXPORT int sync_file_range(int fd, off64_t pos, off64_t n, unsigned flags)
{
	CALL(int, sync_file_range, (fd, pos, n, flags), SYS_sync_file_range, fd, pos, n, flags, 0,
	     0);
}

EXPORT ssize_t sendfile64(int out, int in, off64_t *pos, size_t n)
{
	CALL(ssize_t, sendfile64, (out, in, pos, n), SYS_sendfile, out, in, pos, n, 0, 0);
}
EXPORT ssize_t sendfile(int out, int in, off_t *pos, size_t n) __attribute__((alias("sendfile64")));

EXPORT ssize_t copy_file_range(int in, off64_t *from, int out, off64_t *to, size_t n,
			       unsigned flags)
{
	CALL(ssize_t, copy_file_range, (in, from, out, to, n, flags), SYS_copy_file_range, in, from,
	     out, to, n, flags);
}

EXPORT ssize_t splice(int in, off64_t *from, int out, off64_t *to, size_t n, unsigned flags)
{
	CALL(ssize_t, splice, (in, from, out, to, n, flags), SYS_splice, in, from, out, to, n,
	     flags);
}

EXPORT ssize_t tee(int in, int out, size_t n, unsigned flags)
{
	CALL(ssize_t, tee, (in, out, n, flags), SYS_tee, in, out, n, flags, 0, 0);
}

EXPORT int fchmod(int fd, mode_t mode)
{
	CALL(int, fchmod, (fd, mode), SYS_fchmod, fd, mode, 0, 0, 0, 0);
}

EXPORT int fchown(int fd, uid_t uid, gid_t gid)
{
	CALL(int, fchown, (fd, uid, gid), SYS_fchown, fd, uid, gid, 0, 0, 0);
}

EXPORT int futimens(int fd, const struct timespec t[2])
{
	CALL(int, futimens, (fd, t), SYS_utimensat, fd, 0, t, 0, 0, 0);
}

EXPORT int futimes(int fd, const struct timeval t[2])
{
	struct timespec ts[2];

	NEXT_IF_LOADED(futimes);
	if (!real || !shim_fd_maybe_handle(fd))
		return real ? real(fd, t) : (int)shim_ret(-ENOSYS);
	for (int i = 0; t && i < 2; i++) {
		if (t[i].tv_usec < 0 || t[i].tv_usec >= 1000000)
			return (int)shim_ret(-EINVAL);
		ts[i] = (struct timespec){ .tv_sec = t[i].tv_sec, .tv_nsec = t[i].tv_usec * 1000 };
	}
	return futimens(fd, t ? ts : NULL);
}

EXPORT int fsetxattr(int fd, const char *name, const void *value, size_t n, int flags)
{
	CALL(int, fsetxattr, (fd, name, value, n, flags), SYS_fsetxattr, fd, name, value, n, flags,
	     0);
}

EXPORT int fremovexattr(int fd, const char *name)
{
	CALL(int, fremovexattr, (fd, name), SYS_fremovexattr, fd, name, 0, 0, 0, 0);
}

EXPORT ssize_t fgetxattr(int fd, const char *name, void *value, size_t n)
{
	CALL(ssize_t, fgetxattr, (fd, name, value, n), SYS_fgetxattr, fd, name, value, n, 0, 0);
}

EXPORT ssize_t flistxattr(int fd, char *list, size_t n)
{
	CALL(ssize_t, flistxattr, (fd, list, n), SYS_flistxattr, fd, list, n, 0, 0, 0);
}

EXPORT int fstatfs(int fd, struct statfs *out)
{
	long rc;

	if (!shim_vfs(SYS_fstatfs, (const long[6]){ fd, (long)out }, &rc))
		rc = sys_call(SYS_fstatfs, fd, (long)out, 0, 0, 0, 0);
	if (!rc && shim_is_sysfs(fd))
		out->f_type = SYSFS_MAGIC_NUMBER;
	return (int)shim_ret(rc);
}

EXPORT int fstatfs64(int fd, struct statfs64 *out)
{
	return fstatfs(fd, (struct statfs *)out);
}

/* As libc has it, in terms of F_SETLK. */
static int lock_section(int fd, int how, off64_t len)
{
	struct flock fl = { .l_type = F_WRLCK, .l_whence = SEEK_CUR, .l_len = len };

	switch (how) {
	case F_TEST:
		fl.l_type = F_RDLCK;
		if (fcntl(fd, F_GETLK, &fl))
			return -1;
		return fl.l_type == F_UNLCK || fl.l_pid == getpid() ? 0 : (int)shim_ret(-EACCES);
	case F_ULOCK:
		fl.l_type = F_UNLCK;
		return fcntl(fd, F_SETLK, &fl);
	case F_LOCK:
		return fcntl(fd, F_SETLKW, &fl);
	case F_TLOCK:
		return fcntl(fd, F_SETLK, &fl);
	default:
		return (int)shim_ret(-EINVAL);
	}
}

EXPORT int lockf64(int fd, int how, off64_t len)
{
	NEXT_IF_LOADED(lockf64);
	return shim_fd_maybe_handle(fd) || !real ? lock_section(fd, how, len) : real(fd, how, len);
}
EXPORT int lockf(int fd, int how, off_t len) __attribute__((alias("lockf64")));
