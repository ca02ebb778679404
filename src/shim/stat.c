/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/stat.c: calls that ask about the file at a path, or of a descriptor: stat, statfs, access. A
 * file of the view, or a handle, is shown as the kernel's own would be.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "shim/handles.h"
#include "shim/paths.h"
#include "shim/scope.h"
#include "shim/shim.h"

/* linux/magic.h */
#define SYSFS_MAGIC_NUMBER 0x62656572

struct stat_args {
	int fd;
	struct stat *st;
};

/* Of a memfd, and of a socket. */
static long run_fix_stat(void *arg)
{
	const struct stat_args *a = arg;
	struct stat st = *a->st;
	struct shim_handle *h;
	char link[128], node[VFIO_NODE_NAME];

	/* a descriptor with O_PATH of a node of the view, which is a socket there */
	if (S_ISSOCK(st.st_mode)) {
		if (shim_fd_node(a->fd, node) == 1)
			shim_path_stat(node, a->st);
		return 0;
	}
	h = shim_handle_find(st.st_dev, st.st_ino);
	if (h) {
		shim_link_stat(shim_handle_link(h), a->st);
		shim_handle_put(h);
	} else if (a->fd >= 0 && !st.st_size && shim_foreign_link(a->fd, link, sizeof(link))) {
		shim_link_stat(link, a->st);
	}
	return 0;
}

/* Change @st, of @fd or of the path @virt, into what the kernel's own file would show. */
static void fix_stat(int fd, const char *virt, struct stat *st)
{
	struct stat_args a = { fd, st };

	if (virt)
		shim_path_stat(virt, st);
	else if ((S_ISREG(st->st_mode) && !st->st_nlink) ||
		 (fd >= 0 && S_ISSOCK(st->st_mode) && st->st_dev == shim.run_dev))
		shim_run(run_fix_stat, &a);
}

/*
 * Return the descriptor that @path names, with the flag AT_EMPTY_PATH also as @dirfd; -1: none. The
 * kernel found the file.
 */
static int fd_of(const struct shim_path *p, int dirfd, const char *path, int flags)
{
	return p->fd < 0 && flags & AT_EMPTY_PATH && (!path || !*path) ? dirfd : p->fd;
}

long shim_stat(int dirfd, const char *path, struct stat *st, int flags)
{
	struct shim_path p;
	const char *use = shim_path_at(&dirfd, path, &p);
	long rc;

	do
		rc = sys_call(SYS_newfstatat, dirfd, (long)use, (long)st, flags, 0, 0);
	while (shim_path_again(rc, &dirfd, &use, !(flags & AT_SYMLINK_NOFOLLOW), &p));
	if (!rc && shim.on)
		fix_stat(fd_of(&p, dirfd, use, flags), p.virt, st);
	shim_path_done(&p);
	return rc;
}

static long fstat_fast(int fd, struct stat *st)
{
	long rc = sys_call(SYS_fstat, fd, (long)st, 0, 0, 0, 0);

	if (!rc && shim.on)
		fix_stat(fd, NULL, st);
	return rc;
}

static void fix_statx(int fd, const char *virt, struct statx *sx)
{
	struct stat st = { .st_dev = makedev(sx->stx_dev_major, sx->stx_dev_minor),
			   .st_ino = sx->stx_ino,
			   .st_mode = sx->stx_mode,
			   .st_nlink = sx->stx_nlink,
			   .st_size = (off_t)sx->stx_size,
			   .st_uid = sx->stx_uid,
			   .st_gid = sx->stx_gid };

	fix_stat(fd, virt, &st);
	if (st.st_mode == sx->stx_mode)
		return;
	sx->stx_mode = (uint16_t)st.st_mode;
	sx->stx_uid = st.st_uid;
	sx->stx_gid = st.st_gid;
	sx->stx_ino = st.st_ino;
	sx->stx_nlink = (uint32_t)st.st_nlink;
	sx->stx_dev_major = major(st.st_dev);
	sx->stx_dev_minor = minor(st.st_dev);
	sx->stx_size = 0;
	sx->stx_blocks = 0;
	sx->stx_rdev_major = major(st.st_rdev);
	sx->stx_rdev_minor = minor(st.st_rdev);
}

long shim_statx(int dirfd, const char *path, int flags, unsigned mask, void *out)
{
	struct shim_path p;
	const char *use = shim_path_at(&dirfd, path, &p);
	long rc;

	do
		rc = sys_call(SYS_statx, dirfd, (long)use, flags, mask, (long)out, 0);
	while (shim_path_again(rc, &dirfd, &use, !(flags & AT_SYMLINK_NOFOLLOW), &p));
	if (!rc && shim.on)
		fix_statx(fd_of(&p, dirfd, use, flags), p.virt, out);
	shim_path_done(&p);
	return rc;
}

/* struct stat64 is struct stat on this processor; libc gives both names to each function */
#define STAT_FUNCTIONS(S, s)                                                                \
	EXPORT int S(const char *restrict path, struct s *restrict st)                      \
	{                                                                                   \
		return (int)shim_ret(shim_stat(AT_FDCWD, path, (struct stat *)st, 0));      \
	}                                                                                   \
	EXPORT int l##S(const char *restrict path, struct s *restrict st)                   \
	{                                                                                   \
		return (int)shim_ret(                                                       \
			shim_stat(AT_FDCWD, path, (struct stat *)st, AT_SYMLINK_NOFOLLOW)); \
	}                                                                                   \
	EXPORT int f##S(int fd, struct s *st)                                               \
	{                                                                                   \
		return (int)shim_ret(fstat_fast(fd, (struct stat *)st));                    \
	}
STAT_FUNCTIONS(stat, stat)
STAT_FUNCTIONS(stat64, stat64)

EXPORT int fstatat(int dirfd, const char *restrict path, struct stat *restrict st, int flags)
{
	return (int)shim_ret(shim_stat(dirfd, path, st, flags));
}

EXPORT int fstatat64(int dirfd, const char *restrict path, struct stat64 *restrict st, int flags)
{
	return (int)shim_ret(shim_stat(dirfd, path, (struct stat *)st, flags));
}

EXPORT int statx(int dirfd, const char *restrict path, int flags, unsigned mask,
		 struct statx *restrict stx)
{
	return (int)shim_ret(shim_statx(dirfd, path, flags, mask, stx));
}

/* programs linked with a libc before 2.33; version 1 is the only one on this processor */
#define XSTAT_FUNCTIONS(x, s)                                                                    \
	int __x##x(int ver, const char *path, struct s *st);                                     \
	int __lx##x(int ver, const char *path, struct s *st);                                    \
	int __fx##x(int ver, int fd, struct s *st);                                              \
	EXPORT int __x##x(int ver, const char *path, struct s *st)                               \
	{                                                                                        \
		return (int)shim_ret(ver > 1 ? -EINVAL                                           \
					     : shim_stat(AT_FDCWD, path, (struct stat *)st, 0)); \
	}                                                                                        \
	EXPORT int __lx##x(int ver, const char *path, struct s *st)                              \
	{                                                                                        \
		return (int)shim_ret(ver > 1 ? -EINVAL                                           \
					     : shim_stat(AT_FDCWD, path, (struct stat *)st,      \
							 AT_SYMLINK_NOFOLLOW));                  \
	}                                                                                        \
	EXPORT int __fx##x(int ver, int fd, struct s *st)                                        \
	{                                                                                        \
		return (int)shim_ret(ver > 1 ? -EINVAL : fstat_fast(fd, (struct stat *)st));     \
	}
XSTAT_FUNCTIONS(stat, stat)
XSTAT_FUNCTIONS(stat64, stat64)

int __fxstatat(int ver, int dirfd, const char *path, struct stat *st, int flags);
int __fxstatat64(int ver, int dirfd, const char *path, struct stat64 *st, int flags);

EXPORT int __fxstatat(int ver, int dirfd, const char *path, struct stat *st, int flags)
{
	return (int)shim_ret(ver > 1 ? -EINVAL : shim_stat(dirfd, path, st, flags));
}

EXPORT int __fxstatat64(int ver, int dirfd, const char *path, struct stat64 *st, int flags)
{
	return (int)shim_ret(ver > 1 ? -EINVAL : shim_stat(dirfd, path, (struct stat *)st, flags));
}

long shim_statfs(const char *path, void *user_out)
{
	struct statfs *out = user_out;
	int dirfd = AT_FDCWD;
	struct shim_path p;
	const char *use = shim_path_at(&dirfd, path, &p);
	long rc;

	do
		rc = sys_call(SYS_statfs, (long)use, (long)out, 0, 0, 0, 0);
	while (shim_path_again(rc, &dirfd, &use, true, &p));
	if (!rc && p.virt && !strncmp(p.virt, "/sys/", 5))
		out->f_type = SYSFS_MAGIC_NUMBER;
	shim_path_done(&p);
	return rc;
}

EXPORT int statfs(const char *path, struct statfs *out)
{
	return (int)shim_ret(shim_statfs(path, out));
}

EXPORT int statfs64(const char *path, struct statfs64 *out)
{
	return statfs(path, (struct statfs *)out);
}

EXPORT int statvfs(const char *restrict path, struct statvfs *restrict out)
{
	struct shim_path p;
	int rc;

	NEXT(statvfs);
	rc = real(shim_path(path, &p), out);
	shim_path_done(&p);
	return rc;
}

EXPORT int statvfs64(const char *restrict path, struct statvfs64 *restrict out)
{
	return statvfs(path, (struct statvfs *)out);
}

/* ---- access ---- */

long shim_access(int dirfd, const char *path, int mode, int flags, bool at2)
{
	struct shim_path p;
	const char *use = shim_path_at(&dirfd, path, &p);
	long rc;

	do
		rc = sys_call(at2 ? SYS_faccessat2 : SYS_faccessat, dirfd, (long)use, mode, flags,
			      0, 0);
	while (shim_path_again(rc, &dirfd, &use, !(flags & AT_SYMLINK_NOFOLLOW), &p));
	shim_path_done(&p);
	return rc;
}

EXPORT int access(const char *path, int mode)
{
	return (int)shim_ret(shim_access(AT_FDCWD, path, mode, 0, false));
}

EXPORT int faccessat(int dirfd, const char *path, int mode, int flags)
{
	struct shim_path p;
	const char *use;
	int rc;

	/* libc emulates the flags where the kernel has no faccessat2 (before 5.8) */
	NEXT(faccessat);
	use = shim_path_at(&dirfd, path, &p);
	do
		rc = real(dirfd, use, mode, flags);
	while (rc && shim_path_again(-errno, &dirfd, &use, !(flags & AT_SYMLINK_NOFOLLOW), &p));
	shim_path_done(&p);
	return rc;
}

EXPORT int euidaccess(const char *path, int mode)
{
	return faccessat(AT_FDCWD, path, mode, AT_EACCESS);
}

EXPORT int eaccess(const char *path, int mode)
{
	return faccessat(AT_FDCWD, path, mode, AT_EACCESS);
}
