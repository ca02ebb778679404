/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/files.c: calls on one path: open, stat, access, readlink, realpath, chdir. A path of the
 * view becomes the one below the run directory; a file of /dev/vfio becomes a handle; `config` of
 * one of our functions becomes the hardware's config space of this moment.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/guard.h"
#include "shim/shim.h"

/* linux/magic.h */
#define SYSFS_MAGIC_NUMBER 0x62656572

/* ---- open ---- */

static const char dev_vfio[] = "/dev/vfio/";

static long open_handle(const char *virt, int flags)
{
	struct machine *m;
	struct uapi_file *f;
	int rc = 0;
	bool was;

	if (!shim_node_is_there(virt))
		return -ENOENT;
	m = shim_machine(&rc);
	if (!m)
		return rc;
	shim_handles_drain();
	was = shim_drain_off(true);
	do {
		if (strcmp(virt, "/dev/vfio/vfio"))
			rc = machine_sync(m);
		if (!rc)
			rc = uapi_open(machine_system(m), &shim_fds, virt, flags, &f);
	} while (rc == -EAGAIN);
	/* now that it is open, it cannot go any more; before, it could */
	if (!rc && !shim_node_is_there(virt)) {
		uapi_file_put(f);
		rc = -ENOENT;
	}
	shim_drain_off(was);
	if (rc)
		return rc;
	/* fs/open.c, do_dentry_open(): asked of a file that is open already */
	rc = flags & O_DIRECT ? -EINVAL : shim_handle_install(f, flags);
	if (rc < 0)
		uapi_file_put(f);
	return rc;
}

/* A name in /dev/vfio itself. What is below one of them is the file system's to refuse. */
static bool is_device_node(const char *virt)
{
	size_t n = sizeof(dev_vfio) - 1;

	return !strncmp(virt, dev_vfio, n) && virt[n] && !strchr(virt + n, '/');
}

/*
 * The mode of a node counts, as far as one can look at it: the directory of the run is closed to a
 * program that gave up its user.
 */
static bool is_refused(const char *node, int flags)
{
	static const int want[] = { [O_RDONLY] = R_OK,
				    [O_WRONLY] = W_OK,
				    [O_RDWR] = R_OK | W_OK,
				    [O_ACCMODE] = R_OK | W_OK };
	struct stat st;

	return sys_call(SYS_faccessat2, AT_FDCWD, (long)node, want[flags & O_ACCMODE], AT_EACCESS,
			0, 0) == -EACCES &&
	       !sys_call(SYS_newfstatat, AT_FDCWD, (long)node, (long)&st, 0, 0, 0);
}

struct open_args {
	const struct shim_path *p;
	int flags;
	long *fd;
};

/* a write that nobody acts on would be a false success */
static bool opens_to_write(int flags)
{
	return !(flags & O_PATH) &&
	       ((flags & O_ACCMODE) != O_RDONLY || flags & (O_CREAT | O_TRUNC));
}

static long run_open_view(void *arg)
{
	const struct open_args *a = arg;
	const struct shim_path *p = a->p;
	const char *use = p->text;
	int flags = a->flags;
	long rc, *fd = a->fd;
	struct stat st;
	SHIM_CALL("open");

	if (is_device_node(p->virt) && !(flags & O_PATH)) {
		if ((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL) &&
		    !sys_call(SYS_faccessat, AT_FDCWD, (long)use, F_OK, 0, 0, 0))
			*fd = -EEXIST;
		else if (is_refused(use, flags))
			*fd = -EACCES;
		else
			*fd = open_handle(p->virt, flags);
		if (*fd == -ENOENT && flags & O_CREAT)
			*fd = -EACCES;
		return true;
	}
	if (opens_to_write(flags)) {
		rc = sys_call(SYS_newfstatat, AT_FDCWD, (long)use, (long)&st, 0, 0, 0);
		if (rc < 0 && !(flags & O_CREAT)) {
			*fd = rc;
		} else if (rc == 0 && S_ISDIR(st.st_mode)) {
			*fd = -EISDIR;
		} else if (rc == 0 && shim_attr_acts(use)) {
			*fd = shim_attr_open(use, flags);
		} else {
			log_warn(SHIM_WHO,
				 "%s: opened for writing: uvfio's view of sysfs is read-only, "
				 "EACCES",
				 p->virt);
			*fd = -EACCES;
		}
		return true;
	}
	*fd = shim_config_open(p->virt, flags);
	return *fd != -ENOENT;
}

/* What is not the kernel's to open of the path @p of the view: true and *@fd. */
static bool open_view(const struct shim_path *p, int flags, long *fd)
{
	struct open_args a = { p, flags, fd };

	if (is_device_node(p->virt)) {
		/* it is none, and so the kernel will say of what stands there */
		if (flags & O_DIRECTORY || flags & O_PATH)
			return false;
	} else if (!opens_to_write(flags) && !shim_config_name(p->virt)) {
		return false;
	}
	return shim_run(run_open_view, &a);
}

/* The descriptor that @p is the path of, if it may be a handle's or of the view; else -1. */
static int self_fd(const struct shim_path *p)
{
	return p->fd >= 0 && (shim_fd_maybe_handle(p->fd) || shim_fd_maybe_view(p->fd)) ? p->fd
											: -1;
}

struct node_args {
	int fd;
	char node[32];
};

static long run_node(void *arg, char *text)
{
	struct node_args *a = arg;

	if (!shim_fd_link(a->fd, text, SHIM_PATH_LONG))
		return 0;
	if (!is_device_node(text) || strlen(text) >= sizeof(a->node))
		return text[0] == '/' ? 0 : -1;
	strcpy(a->node, text);
	return 1;
}

int shim_path_of_handle(struct shim_path *p)
{
	struct node_args a = { .fd = self_fd(p) };
	int rc, dirfd = AT_FDCWD;

	if (a.fd < 0)
		return 0;
	rc = (int)shim_run_with_room(run_node, &a);
	if (rc == 1)
		shim_path_at(&dirfd, a.node, p);
	return rc;
}

/*
 * Opens once more what @p is a path of, if that is a file of ours: true and *@fd. A device node is
 * opened anew, an anonymous inode cannot be (fs/anon_inodes.c). What stops at the link, or makes a
 * descriptor of the place alone, is the kernel's to do.
 */
static bool open_again(struct shim_path *p, int flags, long *fd)
{
	int rc;

	if (flags & (O_PATH | O_NOFOLLOW) || (flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
		return false;
	rc = shim_path_of_handle(p);
	if (!rc)
		return false;
	if (flags & O_DIRECTORY)
		*fd = -ENOTDIR;
	else if (rc < 0)
		*fd = -ENXIO;
	else
		open_view(p, flags, fd);
	return true;
}

typedef int open_fn(int dirfd, const char *path, int flags, ...);

static long do_open(int dirfd, const char *path, int flags, mode_t mode, open_fn *call)
{
	struct shim_path p;
	const char *use = shim_path_at(&dirfd, path, &p);
	int self = self_fd(&p);
	long fd;

	do {
		if (p.virt ? open_view(&p, flags, &fd) : self >= 0 && open_again(&p, flags, &fd)) {
			shim_path_done(&p);
			return fd;
		}
		if (call && !p.room) {
			fd = call(dirfd, use, flags, mode);
			if (fd < 0)
				fd = -errno;
		} else {
			fd = sys_call(SYS_openat, dirfd, (long)use, flags, mode, 0, 0);
		}
	} while (shim_path_again(fd, &dirfd, &use, !(flags & O_NOFOLLOW), &p));
	if (fd >= 0 && (p.virt || p.above))
		shim_fd_mark((int)fd, false);
	if (fd >= 0 && self >= 0)
		shim_fd_copy_marks(self, (int)fd);
	shim_path_done(&p);
	return fd;
}

/*
 * A file that is about to be emptied: devices may have pages of it. An open that will fail empties
 * nothing.
 */
static void keep_truncated(int dirfd, const char *path, int flags)
{
	if (flags & O_TRUNC && !(flags & (O_PATH | O_EXCL | O_DIRECTORY)) && dirfd == AT_FDCWD)
		shim_keep_truncate(path, 0);
}

long shim_open(int dirfd, const char *path, int flags, mode_t mode)
{
	keep_truncated(dirfd, path, flags);
	return do_open(dirfd, path, flags, mode, NULL);
}

static int open_ret(int dirfd, const char *path, int flags, mode_t mode)
{
	/* libc's, which is a cancellation point */
	NEXT(openat);
	keep_truncated(dirfd, path, flags);
	return (int)shim_ret(do_open(dirfd, path, flags, mode, real));
}

/*
 * Not by <stdarg.h>, for which all registers that arguments may be in are stored: a mode that was
 * not passed is no matter, since the kernel does not look at it then.
 */
EXPORT int open_path(const char *path, int flags, mode_t mode) __asm__("open");
EXPORT int open64_path(const char *path, int flags, mode_t mode) __asm__("open64")
	__attribute__((alias("open")));
EXPORT int openat_path(int dirfd, const char *path, int flags, mode_t mode) __asm__("openat");
EXPORT int openat64_path(int dirfd, const char *path, int flags, mode_t mode) __asm__("openat64")
	__attribute__((alias("openat")));

EXPORT int open_path(const char *path, int flags, mode_t mode)
{
	SHIM_NOTE_FROM();
	return open_ret(AT_FDCWD, path, flags, mode);
}

EXPORT int openat_path(int dirfd, const char *path, int flags, mode_t mode)
{
	SHIM_NOTE_FROM();
	return open_ret(dirfd, path, flags, mode);
}

EXPORT int __open_2(const char *path, int flags);
EXPORT int __open64_2(const char *path, int flags);
EXPORT int __openat_2(int dirfd, const char *path, int flags);
EXPORT int __openat64_2(int dirfd, const char *path, int flags);

EXPORT int __open_2(const char *path, int flags)
{
	SHIM_NOTE_FROM();
	return open_ret(AT_FDCWD, path, flags, 0);
}

EXPORT int __open64_2(const char *path, int flags)
{
	SHIM_NOTE_FROM();
	return open_ret(AT_FDCWD, path, flags, 0);
}

EXPORT int __openat_2(int dirfd, const char *path, int flags)
{
	SHIM_NOTE_FROM();
	return open_ret(dirfd, path, flags, 0);
}

EXPORT int __openat64_2(int dirfd, const char *path, int flags)
{
	SHIM_NOTE_FROM();
	return open_ret(dirfd, path, flags, 0);
}

EXPORT int creat(const char *path, mode_t mode)
{
	SHIM_NOTE_FROM();
	return open_ret(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

EXPORT int creat64(const char *path, mode_t mode)
{
	SHIM_NOTE_FROM();
	return open_ret(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

/* fopen's mode as flags; -1: libc shall say what is wrong with it */
static int mode_flags(const char *mode)
{
	int flags;

	switch (*mode) {
	case 'r':
		flags = O_RDONLY;
		break;
	case 'w':
		flags = O_WRONLY | O_CREAT | O_TRUNC;
		break;
	case 'a':
		flags = O_WRONLY | O_CREAT | O_APPEND;
		break;
	default:
		return -1;
	}
	for (mode++; *mode && *mode != ','; mode++) {
		if (*mode == '+')
			flags = (flags & ~O_ACCMODE) | O_RDWR;
		else if (*mode == 'e')
			flags |= O_CLOEXEC;
		else if (*mode == 'x')
			flags |= O_EXCL;
	}
	return flags;
}

static FILE *open_stream(const char *path, const char *mode,
			 FILE *(*real)(const char *, const char *))
{
	struct shim_path p;
	const char *use = shim_path(path, &p);
	int flags = mode_flags(mode), dirfd = AT_FDCWD, fd;
	FILE *f;

	if (!p.virt && flags >= 0)
		keep_truncated(AT_FDCWD, path, flags);
	while (!p.virt || flags < 0) {
		f = real(use, mode);
		if (!f && shim_path_again(-errno, &dirfd, &use, true, &p))
			continue;
		shim_path_done(&p);
		return f;
	}
	fd = open_ret(AT_FDCWD, p.virt, flags, 0666);
	shim_path_done(&p);
	if (fd < 0)
		return NULL;
	f = fdopen(fd, mode);
	if (!f)
		close(fd);
	return f;
}

EXPORT FILE *fopen(const char *restrict path, const char *restrict mode)
{
	NEXT(fopen);
	return open_stream(path, mode, real);
}

EXPORT FILE *fopen64(const char *restrict path, const char *restrict mode)
{
	NEXT(fopen64);
	return open_stream(path, mode, real);
}

static bool refuse_write(const struct shim_path *p, const char *mode)
{
	if (!p->virt || mode_flags(mode) == O_RDONLY || mode_flags(mode) == (O_RDONLY | O_CLOEXEC))
		return false;
	log_warn(SHIM_WHO,
		 "%s: freopen for writing is not served: EACCES; close the stream and open another "
		 "one",
		 p->virt);
	errno = EACCES;
	return true;
}

static FILE *reopen_stream(const char *path, const char *mode, FILE *f,
			   FILE *(*real)(const char *, const char *, FILE *))
{
	struct shim_path p;
	const char *use = shim_path(path, &p);

	if (!p.virt && path && mode_flags(mode) >= 0)
		keep_truncated(AT_FDCWD, path, mode_flags(mode));
	f = refuse_write(&p, mode) ? NULL : real(use, mode, f);
	shim_path_done(&p);
	return f;
}

EXPORT FILE *freopen(const char *restrict path, const char *restrict mode, FILE *restrict f)
{
	NEXT(freopen);
	return reopen_stream(path, mode, f, real);
}

EXPORT FILE *freopen64(const char *restrict path, const char *restrict mode, FILE *restrict f)
{
	NEXT(freopen64);
	return reopen_stream(path, mode, f, real);
}

/* ---- stat ---- */

struct stat_args {
	int fd;
	struct stat *st;
};

/* Of a memfd, and of a socket. */
static long run_fix_stat(void *arg)
{
	const struct stat_args *a = arg;
	struct stat st = *a->st;
	struct node_args n = { .fd = a->fd };
	struct shim_handle *h;
	char link[128];

	/* a descriptor with O_PATH of a node of the view, which is a socket there */
	if (S_ISSOCK(st.st_mode)) {
		if (shim_run_with_room(run_node, &n) == 1)
			shim_path_stat(n.node, a->st);
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

/* What stands in @st, as the kernel's own file would show it. */
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
 * The descriptor that @path names, with the flag AT_EMPTY_PATH also as @dirfd; -1: none. The kernel
 * found the file.
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

/* ---- links and names ---- */

/* Is what the kernel wrote to @text, which may be cut, such as a program is told otherwise? */
static bool begins(const char *text, size_t n, const char *with, size_t len)
{
	return !memcmp(text, with, n < len ? n : len);
}

/*
 * The link at @use to @buf. What stands behind it there stays, so the text of one that may be ours
 * does not go there first.
 */
static long read_link(int dirfd, const char *use, char *buf, size_t size)
{
	struct shim_text t = { dirfd, use, buf, size };
	char head[64];
	long rc;

	if (!shim.on || !size || size > INT_MAX)
		return sys_call(SYS_readlinkat, dirfd, (long)use, (long)buf, (long)size, 0, 0);
	rc = sys_call(SYS_readlinkat, dirfd, (long)use, (long)head, sizeof(head), 0, 0);
	if (rc < 0)
		return rc;
	if (begins(head, (size_t)rc, shim.run_dir, shim.run_len) ||
	    shim_link_is_ours(head, (size_t)rc))
		return shim_run(shim_walk_link, &t);
	if (rc == sizeof(head))
		return sys_call(SYS_readlinkat, dirfd, (long)use, (long)buf, (long)size, 0, 0);
	if ((size_t)rc > size)
		rc = (long)size;
	return guard_copy(buf, head, (size_t)rc) ? -EFAULT : rc;
}

long shim_readlink(int dirfd, const char *path, char *buf, size_t size)
{
	struct shim_path p;
	const char *use = shim_path_at(&dirfd, path, &p);
	long rc;

	do
		rc = read_link(dirfd, use, buf, size);
	while (shim_path_again(rc, &dirfd, &use, false, &p));
	shim_path_done(&p);
	return rc;
}

EXPORT ssize_t readlink(const char *restrict path, char *restrict buf, size_t size)
{
	return shim_ret(shim_readlink(AT_FDCWD, path, buf, size));
}

EXPORT ssize_t readlinkat(int dirfd, const char *restrict path, char *restrict buf, size_t size)
{
	return shim_ret(shim_readlink(dirfd, path, buf, size));
}

EXPORT ssize_t __readlink_chk(const char *path, char *buf, size_t size, size_t room);
EXPORT ssize_t __readlinkat_chk(int dirfd, const char *path, char *buf, size_t size, size_t room);

EXPORT ssize_t __readlink_chk(const char *path, char *buf, size_t size, size_t room)
{
	if (size > room)
		__chk_fail();
	return readlink(path, buf, size);
}

EXPORT ssize_t __readlinkat_chk(int dirfd, const char *path, char *buf, size_t size, size_t room)
{
	if (size > room)
		__chk_fail();
	return readlinkat(dirfd, path, buf, size);
}

EXPORT char *realpath(const char *restrict path, char *restrict resolved)
{
	int dirfd = AT_FDCWD;
	struct shim_path p;
	const char *use;
	char *out;

	NEXT(realpath);
	use = shim_path(path, &p);
	do
		out = real(use, resolved);
	while (!out && shim_path_again(-errno, &dirfd, &use, true, &p));
	shim_path_done(&p);
	if (out)
		shim_unmap(out, strlen(out));
	return out;
}

EXPORT char *__realpath_chk(const char *path, char *resolved, size_t room);
EXPORT char *__realpath_chk(const char *path, char *resolved, size_t room)
{
	if (resolved && room < PATH_MAX)
		__chk_fail();
	return realpath(path, resolved);
}

EXPORT char *canonicalize_file_name(const char *path)
{
	return realpath(path, NULL);
}

long shim_getcwd(char *buf, size_t size)
{
	struct shim_text t = { .buf = buf, .size = size };
	long rc = sys_call(SYS_getcwd, (long)buf, (long)size, 0, 0, 0, 0);

	if (!shim.on)
		return rc;
	/* what the program is told is shorter, and may have room where the kernel's has none */
	if (rc == -ERANGE || (rc > 0 && begins(buf, (size_t)rc - 1, shim.run_dir, shim.run_len)))
		return shim_run(shim_walk_cwd, &t);
	return rc;
}

/* libc's extension: no buffer, then one of @size or as large as it needs to be */
static char *getcwd_new(size_t size)
{
	size_t room = size ? size : PATH_MAX;
	char *out = malloc(room), *cut;
	long n;

	if (!out)
		return NULL;
	n = shim_ret(shim_getcwd(out, room));
	if (n < 0) {
		free(out);
		return NULL;
	}
	cut = size ? NULL : realloc(out, (size_t)n);
	return cut ? cut : out;
}

EXPORT char *getcwd(char *buf, size_t size)
{
	if (!buf)
		return getcwd_new(size);
	if (!size) {
		errno = EINVAL;
		return NULL;
	}
	return shim_ret(shim_getcwd(buf, size)) < 0 ? NULL : buf;
}

EXPORT char *__getcwd_chk(char *buf, size_t size, size_t room);
EXPORT char *__getcwd_chk(char *buf, size_t size, size_t room)
{
	if (size > room)
		__chk_fail();
	return getcwd(buf, size);
}

EXPORT char *get_current_dir_name(void)
{
	const char *pwd = getenv("PWD");
	struct stat a, b;

	/* as libc: $PWD when it is right, since it keeps the links by which one came */
	if (pwd && pwd[0] == '/' && !stat(pwd, &a) && !stat(".", &b) && a.st_dev == b.st_dev &&
	    a.st_ino == b.st_ino)
		return strdup(pwd);
	return getcwd(NULL, 0);
}

long shim_chdir(const char *path)
{
	int dirfd = AT_FDCWD;
	struct shim_path p;
	const char *use = shim_path(path, &p);
	long rc;

	do
		rc = sys_call(SYS_chdir, (long)use, 0, 0, 0, 0, 0);
	while (shim_path_again(rc, &dirfd, &use, true, &p));
	shim_path_done(&p);
	if (!rc && shim.on)
		shim_cwd_changed();
	return rc;
}

EXPORT int chdir(const char *path)
{
	return (int)shim_ret(shim_chdir(path));
}

long shim_fchdir(int fd)
{
	long rc = sys_call(SYS_fchdir, fd, 0, 0, 0, 0, 0);

	if (!rc && shim.on)
		shim_cwd_changed();
	return rc;
}

EXPORT int fchdir(int fd)
{
	return (int)shim_ret(shim_fchdir(fd));
}
