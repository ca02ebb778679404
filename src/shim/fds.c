/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/fds.c: descriptors' numbers: close, dup, fcntl, and the hints that they leave.
 *
 * Two bits for each number: "may be a handle", "may be a directory of the view, or above it". They
 * are only ever hints: a bit that is set costs an fstat or a readlink; a bit that is missing costs
 * a failed call first (io.c), or a close that the service thread takes in instead of the closer.
 * Nothing is believed about a number whose bit is clear.
 *
 * And the library's own descriptors, which a program must not take away with a "close everything
 * from 3 on".
 */
#include <fcntl.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shim/calls.h"
#include "shim/handles.h"
#include "shim/paths.h"
#include "shim/scope.h"
#include "shim/shim.h"

#define NUMBERS (1u << 20) /* fs.nr_open's default; beyond it every number may be anything */
#define WORD	64u

static atomic_ulong handles[NUMBERS / WORD], views[NUMBERS / WORD];

static bool test(const atomic_ulong *map, int fd)
{
	if (fd < 0)
		return false;
	if ((unsigned)fd >= NUMBERS)
		return true;
	return atomic_load_explicit(&map[(unsigned)fd / WORD], memory_order_relaxed) >>
		       ((unsigned)fd % WORD) &
	       1;
}

void shim_fd_mark(int fd, bool handle)
{
	atomic_ulong *map = handle ? handles : views;

	if (fd >= 0 && (unsigned)fd < NUMBERS && !test(map, fd))
		atomic_fetch_or(&map[(unsigned)fd / WORD], 1ul << ((unsigned)fd % WORD));
}

bool shim_fd_maybe_handle(int fd)
{
	return test(handles, fd);
}

bool shim_fd_maybe_view(int fd)
{
	return test(views, fd);
}

void shim_fd_no_handle(int fd)
{
	if (fd >= 0 && (unsigned)fd < NUMBERS && test(handles, fd))
		atomic_fetch_and(&handles[(unsigned)fd / WORD], ~(1ul << ((unsigned)fd % WORD)));
}

/* Take away all that was noted about @fd. */
static void forget(int fd)
{
	if (fd < 0 || (unsigned)fd >= NUMBERS)
		return;
	shim_fd_no_handle(fd);
	if (test(views, fd))
		atomic_fetch_and(&views[(unsigned)fd / WORD], ~(1ul << ((unsigned)fd % WORD)));
}

void shim_fd_copy_marks(int from, int to)
{
	if (test(handles, from))
		shim_fd_mark(to, true);
	if (test(views, from))
		shim_fd_mark(to, false);
	shim_attr_dup(to);
}

/* @call: libc's, a cancellation point, or NULL */
static long do_close(int fd, int (*call)(int))
{
	bool maybe = shim_fd_maybe_handle(fd);
	long rc;

	if (fd_is_private(fd))
		return -EBADF; /* as if it were not open, which it is not for the program */
	if (maybe)
		shim_vfs_closing(fd);
	forget(fd);
	if (call)
		rc = call(fd) ? -errno : 0;
	else
		rc = sys_close(fd);
	if (maybe)
		shim_handles_drain();
	return rc;
}

long shim_close(int fd)
{
	return do_close(fd, NULL);
}

EXPORT int close(int fd)
{
	NEXT(close);
	return (int)shim_ret(do_close(fd, real));
}

long shim_dup(int fd)
{
	long rc = sys_call(SYS_dup, fd, 0, 0, 0, 0, 0);

	if (rc >= 0)
		shim_fd_copy_marks(fd, (int)rc);
	return rc;
}

EXPORT int dup(int fd)
{
	return (int)shim_ret(shim_dup(fd));
}

long shim_dup3(int oldfd, int newfd, int flags, bool dup2_rules)
{
	bool maybe = shim_fd_maybe_handle(newfd);
	long rc;

	if (fd_is_private(newfd))
		return report_warn(
			REPORT_HINT("descriptor-of-ours", ", as above the limit of open files"),
			SHIM_WHO, -EBADF, "dup2 to descriptor %d, which uvfio uses itself", newfd);
	if (oldfd != newfd)
		forget(newfd);
	if (dup2_rules)
		rc = sys_call(SYS_dup2, oldfd, newfd, 0, 0, 0, 0);
	else
		rc = sys_call(SYS_dup3, oldfd, newfd, flags, 0, 0, 0);
	if (rc >= 0)
		shim_fd_copy_marks(oldfd, (int)rc);
	else if (maybe)
		shim_fd_mark(newfd, true);
	if (maybe)
		shim_handles_drain();
	return rc;
}

EXPORT int dup2(int oldfd, int newfd)
{
	return (int)shim_ret(shim_dup3(oldfd, newfd, 0, true));
}

EXPORT int dup3(int oldfd, int newfd, int flags)
{
	return (int)shim_ret(shim_dup3(oldfd, newfd, flags, false));
}

long shim_fcntl(int fd, int cmd, unsigned long arg)
{
	long rc;

	if (shim_vfs_fcntl(fd, cmd, arg, NULL, &rc))
		return rc;
	rc = sys_call(SYS_fcntl, fd, cmd, (long)arg, 0, 0, 0);
	if (rc >= 0 && (cmd == F_DUPFD || cmd == F_DUPFD_CLOEXEC))
		shim_fd_copy_marks(fd, (int)rc);
	/* nearly nothing else has this mode: a handle that came without our knowing? */
	if (rc >= 0 && cmd == F_GETFL && (rc & O_ACCMODE) == O_ACCMODE &&
	    !shim_fd_maybe_handle(fd)) {
		shim_fd_mark(fd, true);
		shim_vfs_fcntl(fd, cmd, arg, NULL, &rc);
	}
	return rc;
}

EXPORT int fcntl(int fd, int cmd, ...)
{
	unsigned long arg;
	va_list ap;

	va_start(ap, cmd);
	arg = va_arg(ap, unsigned long);
	va_end(ap);
	/* locks that wait are cancellation points: libc's */
	if (cmd == F_SETLKW || cmd == F_OFD_SETLKW) {
		long rc;

		NEXT(fcntl64);
		if (real)
			return shim_vfs_fcntl(fd, cmd, arg, real, &rc) ? (int)shim_ret(rc)
								       : real(fd, cmd, arg);
	}
	/* SIGIO's owner has two ways to be told, libc takes the one that has no lost values */
	if (cmd == F_GETOWN) {
		struct f_owner_ex ex;
		long rc = sys_call(SYS_fcntl, fd, F_GETOWN_EX, (long)&ex, 0, 0, 0);

		return rc < 0 ? (int)shim_ret(rc) : ex.type == F_OWNER_GID ? -ex.pid : ex.pid;
	}
	return (int)shim_ret(shim_fcntl(fd, cmd, arg));
}
EXPORT int fcntl64(int fd, int cmd, ...) __attribute__((alias("fcntl")));

/* ---- the limit of open files, which is raised for moments ---- */

static long run_prlimit(void *arg)
{
	const long *a = arg;
	long rc;

	fd_room_lock();
	rc = sys_call(SYS_prlimit64, a[0], a[1], a[2], a[3], 0, 0);
	fd_room_unlock();
	return rc;
}

long shim_prlimit(pid_t pid, int what, const void *set, void *get)
{
	long a[4] = { pid, what, (long)set, (long)get };

	if (what == RLIMIT_NOFILE && shim.on)
		return shim_run(run_prlimit, a);
	return sys_call(SYS_prlimit64, a[0], a[1], a[2], a[3], 0, 0);
}

EXPORT int getrlimit(__rlimit_resource_t what, struct rlimit *get)
{
	return (int)shim_ret(shim_prlimit(0, (int)what, NULL, get));
}

EXPORT int getrlimit64(__rlimit_resource_t what, struct rlimit64 *get)
{
	return (int)shim_ret(shim_prlimit(0, (int)what, NULL, get));
}

EXPORT int setrlimit(__rlimit_resource_t what, const struct rlimit *set)
{
	return (int)shim_ret(shim_prlimit(0, (int)what, set, NULL));
}

EXPORT int setrlimit64(__rlimit_resource_t what, const struct rlimit64 *set)
{
	return (int)shim_ret(shim_prlimit(0, (int)what, set, NULL));
}

EXPORT int prlimit(pid_t pid, __rlimit_resource_t what, const struct rlimit *set,
		   struct rlimit *get)
{
	return (int)shim_ret(shim_prlimit(pid, (int)what, set, get));
}

EXPORT int prlimit64(pid_t pid, __rlimit_resource_t what, const struct rlimit64 *set,
		     struct rlimit64 *get)
{
	return (int)shim_ret(shim_prlimit(pid, (int)what, set, get));
}

/* ---- ranges ---- */

struct splits {
	unsigned next, last, flags;
	long rc;
};

/* Up to the private number @fd, which stays. Called in ascending order. */
static void close_up_to(int fd, void *arg)
{
	struct splits *s = arg;
	unsigned n = (unsigned)fd;

	if (s->rc || n < s->next || n > s->last)
		return;
	if (n > s->next)
		s->rc = sys_call(SYS_close_range, s->next, n - 1, s->flags, 0, 0, 0);
	s->next = n + 1;
}

static void forget_range(unsigned first, unsigned last)
{
	for (unsigned i = first / WORD; i <= last / WORD && i < NUMBERS / WORD; i++) {
		if (!atomic_load_explicit(&handles[i], memory_order_relaxed) &&
		    !atomic_load_explicit(&views[i], memory_order_relaxed))
			continue;
		for (unsigned fd = i * WORD; fd < (i + 1) * WORD; fd++)
			if (fd >= first && fd <= last)
				forget((int)fd);
	}
}

long shim_close_range(unsigned first, unsigned last, unsigned flags)
{
	struct splits s = { .next = first, .last = last, .flags = flags };

	if (first > last || !shim.on)
		return sys_call(SYS_close_range, first, last, flags, 0, 0, 0);
	if (!(flags & CLOSE_RANGE_CLOEXEC))
		forget_range(first, last);
	fd_for_each_private(close_up_to, &s)
		;
	if (!s.rc && s.next <= last && s.next)
		s.rc = sys_call(SYS_close_range, s.next, last, flags, 0, 0, 0);
	shim_handles_drain();
	return s.rc;
}

EXPORT int close_range(unsigned first, unsigned last, int flags)
{
	return (int)shim_ret(shim_close_range(first, last, (unsigned)flags));
}

static void close_each(unsigned first)
{
	long max = sysconf(_SC_OPEN_MAX);

	for (unsigned fd = first; (long)fd < max; fd++)
		shim_close((int)fd);
}

EXPORT void closefrom(int first)
{
	unsigned f = first < 0 ? 0 : (unsigned)first;

	/* kernels before 5.9 have no close_range */
	if (shim_close_range(f, ~0u, 0) == -ENOSYS)
		close_each(f);
}
