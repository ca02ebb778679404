/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/files.c: calls on one path: open, stat, access, readlink, realpath, chdir. A path of the view becomes the one below the run directory; a file of
 * /dev/vfio becomes a handle; `config` of one of our functions becomes the hardware's config space of this moment.
 */
#include "shim/shim.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "base/guard.h"

/* linux/magic.h */
#define SYSFS_MAGIC_NUMBER 0x62656572

/* ---- open ---- */

static const char dev_vfio[] = "/dev/vfio/";

static long open_handle(const char *virt, int flags)
{
	struct machine *m;
	struct uapi_file *f;
	int rc = 0;
	uint64_t mask;
	bool was;

	m = shim_machine(&rc);
	if (!m)
		return rc;
	shim_handles_drain();
	shim_block_signals(&mask);
	was = shim_drain_off(true);
	do {
		if (strcmp(virt, "/dev/vfio/vfio"))
			rc = machine_sync(m);
		if (!rc)
			rc = uapi_open(machine_system(m), &shim_host, virt, flags, &f);
	} while (rc == -EAGAIN);
	shim_drain_off(was);
	shim_restore_signals(&mask);
	if (rc)
		return rc;
	/* fs/open.c, do_dentry_open(): asked of a file that is open already */
	rc = flags & O_DIRECT ? -EINVAL : shim_handle_install(f, flags);
	if (rc < 0)
		uapi_file_put(f);
	return rc;
}

/* The directory in "/sys/.../0000:01:00.0/config" as an address, or false. */
static bool config_address(const char *virt, char *addr, size_t size)
{
	const char *slash = strrchr(virt, '/'), *p;
	size_t n;

	if (!slash || strcmp(slash, "/config"))
		return false;
	for (p = slash; p > virt && p[-1] != '/'; p--)
		;
	n = (size_t)(slash - p);
	if (n >= size)
		return false;
	memcpy(addr, p, n);
	addr[n] = '\0';
	return true;
}

/* Its bytes at this moment, as the bus reads them. -ENOENT: not one of ours, or not made in this process. */
static long open_config(const char *virt, int flags)
{
	uint8_t buf[PCI_CFG_EXP_SIZE];
	struct machine *m = shim_machine_if_built();
	char addr[32], path[48];
	uint64_t mask;
	long fd, out;
	int size;

	if (!m || !config_address(virt, addr, sizeof(addr)))
		return -ENOENT;
	shim_block_signals(&mask);
	size = machine_config(m, addr, buf);
	shim_restore_signals(&mask);
	if (size < 0)
		return -ENOENT;
	fd = shim_memfd("pci-config");
	if (fd < 0)
		return fd;
	out = sys_pwrite((int)fd, buf, (size_t)size, 0);
	if (out == size) {
		snprintf(path, sizeof(path), "/proc/self/fd/%ld", fd);
		out = sys_open(path, O_RDONLY | (flags & (O_CLOEXEC | O_NONBLOCK)), 0);
	} else if (out >= 0) {
		out = -EIO;
	}
	sys_close((int)fd);
	return out;
}

/* A name in /dev/vfio itself. What is below one of them is the file system's to refuse. */
static bool is_device_node(const char *virt)
{
	size_t n = sizeof(dev_vfio) - 1;

	return !strncmp(virt, dev_vfio, n) && virt[n] && !strchr(virt + n, '/');
}

/* The mode of a node counts, as far as one can look at it: the directory of the run is closed to a program that gave up its user. */
static bool is_refused(const char *node, int flags)
{
	static const int want[] = { [O_RDONLY] = R_OK, [O_WRONLY] = W_OK, [O_RDWR] = R_OK | W_OK, [O_ACCMODE] = R_OK | W_OK };
	struct stat st;

	return sys_call(SYS_faccessat2, AT_FDCWD, (long)node, want[flags & O_ACCMODE], AT_EACCESS, 0, 0) == -EACCES &&
	       !sys_call(SYS_newfstatat, AT_FDCWD, (long)node, (long)&st, 0, 0, 0);
}

/* What is not the kernel's to open of the path @p of the view: true and *@fd. */
static bool open_view(const struct shim_path *p, const char *use, int flags, long *fd)
{
	bool node = is_device_node(p->virt);
	struct stat st;
	long rc;

	/* it is none, and so the kernel will say of what stands there */
	if (node && flags & O_DIRECTORY)
		return false;
	if (node && !(flags & O_PATH)) {
		if ((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL) && !sys_call(SYS_faccessat, AT_FDCWD, (long)use, F_OK, 0, 0, 0))
			*fd = -EEXIST;
		else if (is_refused(use, flags))
			*fd = -EACCES;
		else
			*fd = open_handle(p->virt, flags);
		if (*fd == -ENOENT && flags & O_CREAT)
			*fd = -EACCES;
		return true;
	}
	/* a write that nobody acts on would be a false success */
	if (!(flags & O_PATH) && ((flags & O_ACCMODE) != O_RDONLY || flags & (O_CREAT | O_TRUNC))) {
		rc = sys_call(SYS_newfstatat, AT_FDCWD, (long)use, (long)&st, 0, 0, 0);
		if (rc < 0 && !(flags & O_CREAT)) {
			*fd = rc;
		} else if (rc == 0 && S_ISDIR(st.st_mode)) {
			*fd = -EISDIR;
		} else if (rc == 0 && shim_attr_name(p->virt)) {
			*fd = shim_attr_open(use, flags);
		} else {
			log_warn(SHIM_WHO, "%s: opened for writing: uvfio's view of sysfs is read-only, EACCES", p->virt);
			*fd = -EACCES;
		}
		return true;
	}
	*fd = open_config(p->virt, flags);
	return *fd != -ENOENT;
}

/* The number in @path, /proc/self/fd/N or its kin, if it may be a handle's or of the view; else -1. */
static int self_fd(const char *path)
{
	char head[48];
	int n;

	if (!shim.on || guard_copy_part(head, path, sizeof(head)) < 10 || head[0] != '/' || (head[1] != 'p' && head[1] != 'd'))
		return -1;
	head[sizeof(head) - 1] = '\0';
	n = shim_path_self_fd(head);
	return n >= 0 && (shim_fd_maybe_handle(n) || shim_fd_maybe_view(n)) ? n : -1;
}

int shim_path_of_handle(const char *path, struct shim_path *p)
{
	int n = self_fd(path);
	char text[PATH_MAX];

	if (n < 0 || !shim_fd_link(n, text, sizeof(text)))
		return 0;
	if (!is_device_node(text))
		return text[0] == '/' ? 0 : -1;
	shim_path_of_view(p, text);
	return 1;
}

/*
 * Opens once more what descriptor @n is, if that is a file of ours: true and *@fd. A device node is opened anew, an anonymous inode cannot be (fs/anon_inodes.c). What
 * stops at the link, or makes a descriptor of the place alone, is the kernel's to do.
 */
static bool open_again(int n, struct shim_path *p, int flags, long *fd)
{
	char text[PATH_MAX];

	if (flags & (O_PATH | O_NOFOLLOW) || (flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL) || !shim_fd_link(n, text, sizeof(text)))
		return false;
	if (!is_device_node(text)) {
		*fd = flags & O_DIRECTORY ? -ENOTDIR : -ENXIO;
		return text[0] != '/';
	}
	shim_path_of_view(p, text);
	if (flags & O_DIRECTORY)
		*fd = -ENOTDIR;
	else
		open_view(p, p->real, flags, fd);
	return true;
}

typedef int open_fn(int dirfd, const char *path, int flags, ...);

static long do_open(int dirfd, const char *path, int flags, mode_t mode, open_fn *call)
{
	struct shim_path p;
	const char *use = shim_path_at(&dirfd, path, &p);
	int self = -1;
	long fd;

	do {
		if (!p.virt)
			self = self_fd(use);
		if (p.virt ? open_view(&p, use, flags, &fd) : self >= 0 && open_again(self, &p, flags, &fd))
			return fd;
		if (call) {
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
	return fd;
}

long shim_open(int dirfd, const char *path, int flags, mode_t mode)
{
	return do_open(dirfd, path, flags, mode, NULL);
}

/* libc's, which is a cancellation point */
static open_fn *real_openat;

__attribute__((constructor(101))) static void resolve(void)
{
	real_openat = (open_fn *)(uintptr_t)dlsym(RTLD_NEXT, "openat");
}

#define MODE(flags, mode)                                                      \
	mode_t mode = 0;                                                       \
	if ((flags) & O_CREAT || ((flags) & O_TMPFILE) == O_TMPFILE) {         \
		va_list ap;                                                    \
		va_start(ap, flags);                                           \
		mode = va_arg(ap, mode_t);                                     \
		va_end(ap);                                                    \
	}

static int open_ret(int dirfd, const char *path, int flags, mode_t mode)
{
	return (int)shim_ret(do_open(dirfd, path, flags, mode, real_openat));
}

EXPORT int open(const char *path, int flags, ...)
{
	MODE(flags, mode);
	return open_ret(AT_FDCWD, path, flags, mode);
}

EXPORT int open64(const char *path, int flags, ...)
{
	MODE(flags, mode);
	return open_ret(AT_FDCWD, path, flags, mode);
}

EXPORT int openat(int dirfd, const char *path, int flags, ...)
{
	MODE(flags, mode);
	return open_ret(dirfd, path, flags, mode);
}

EXPORT int openat64(int dirfd, const char *path, int flags, ...)
{
	MODE(flags, mode);
	return open_ret(dirfd, path, flags, mode);
}

EXPORT int __open_2(const char *path, int flags);
EXPORT int __open64_2(const char *path, int flags);
EXPORT int __openat_2(int dirfd, const char *path, int flags);
EXPORT int __openat64_2(int dirfd, const char *path, int flags);

EXPORT int __open_2(const char *path, int flags)
{
	return open_ret(AT_FDCWD, path, flags, 0);
}

EXPORT int __open64_2(const char *path, int flags)
{
	return open_ret(AT_FDCWD, path, flags, 0);
}

EXPORT int __openat_2(int dirfd, const char *path, int flags)
{
	return open_ret(dirfd, path, flags, 0);
}

EXPORT int __openat64_2(int dirfd, const char *path, int flags)
{
	return open_ret(dirfd, path, flags, 0);
}

EXPORT int creat(const char *path, mode_t mode)
{
	return open_ret(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

EXPORT int creat64(const char *path, mode_t mode)
{
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

#define NEXT(name)                                                             \
	static __typeof__(name) *real;                                         \
	if (!real)                                                             \
		real = (__typeof__(name) *)(uintptr_t)dlsym(RTLD_NEXT, #name)

static FILE *open_stream(const char *path, const char *mode, FILE *(*real)(const char *, const char *))
{
	struct shim_path p;
	const char *use = shim_path(path, &p);
	int flags = mode_flags(mode), dirfd = AT_FDCWD, fd;
	FILE *f;

	while (!p.virt || flags < 0) {
		f = real(use, mode);
		if (f || !shim_path_again(-errno, &dirfd, &use, true, &p))
			return f;
	}
	fd = open_ret(AT_FDCWD, p.virt, flags, 0666);
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
	log_warn(SHIM_WHO, "%s: opened for writing: uvfio's view of sysfs is read-only, EACCES", p->virt);
	errno = EACCES;
	return true;
}

EXPORT FILE *freopen(const char *restrict path, const char *restrict mode, FILE *restrict f)
{
	struct shim_path p = { .virt = NULL };
	const char *use;

	NEXT(freopen);
	use = shim_path(path, &p);
	return refuse_write(&p, mode) ? NULL : real(use, mode, f);
}

EXPORT FILE *freopen64(const char *restrict path, const char *restrict mode, FILE *restrict f)
{
	struct shim_path p = { .virt = NULL };
	const char *use;

	NEXT(freopen64);
	use = shim_path(path, &p);
	return refuse_write(&p, mode) ? NULL : real(use, mode, f);
}

/* ---- stat ---- */

static __attribute__((noinline)) void fix_node(int fd, struct stat *st)
{
	char text[PATH_MAX];

	if (shim_fd_link(fd, text, sizeof(text)))
		shim_path_stat(text, st);
}

/* What stands in @st, as the kernel's own file would show it. */
static void fix_stat(int fd, const char *virt, struct stat *st)
{
	struct shim_handle *h;
	char link[128];

	if (virt) {
		shim_path_stat(virt, st);
		return;
	}
	/* a descriptor with O_PATH of a node of the view, which is a socket there */
	if (fd >= 0 && S_ISSOCK(st->st_mode) && st->st_dev == shim.run_dev)
		fix_node(fd, st);
	if (!S_ISREG(st->st_mode) || st->st_nlink)
		return;
	h = shim_handle_find(st->st_dev, st->st_ino);
	if (h) {
		shim_link_stat(shim_handle_link(h), st);
		shim_handle_put(h);
	} else if (fd >= 0 && !st->st_size && shim_foreign_link(fd, link, sizeof(link))) {
		shim_link_stat(link, st);
	}
}

long shim_stat(int dirfd, const char *path, struct stat *st, int flags)
{
	struct shim_path p = { .virt = NULL };
	struct stat own;
	const char *use = path;
	long rc;

	if (!shim.on)
		return sys_call(SYS_newfstatat, dirfd, (long)path, (long)st, flags, 0, 0);
	if (!(flags & AT_EMPTY_PATH))
		use = shim_path_at(&dirfd, path, &p);
	else if (!guard_copy(&(char){ 0 }, path, 1) && path[0])
		use = shim_path_at(&dirfd, path, &p);
	do
		rc = sys_call(SYS_newfstatat, dirfd, (long)use, (long)&own, flags, 0, 0);
	while (shim_path_again(rc, &dirfd, &use, !(flags & AT_SYMLINK_NOFOLLOW), &p));
	if (rc)
		return rc;
	fix_stat(use != path ? -1 : *path ? shim_path_self_fd(path) : dirfd, p.virt, &own);
	return guard_copy(st, &own, sizeof(own));
}

static long fstat_fast(int fd, struct stat *st)
{
	long rc = sys_call(SYS_fstat, fd, (long)st, 0, 0, 0, 0);

	if (!rc && shim.on)
		fix_stat(fd, NULL, st);
	return rc;
}

long shim_statx(int dirfd, const char *path, int flags, unsigned mask, void *out)
{
	struct shim_path p = { .virt = NULL };
	struct statx sx;
	struct stat st = { 0 };
	const char *use;
	long rc;

	use = shim_path_at(&dirfd, path, &p);
	do
		rc = sys_call(SYS_statx, dirfd, (long)use, flags, mask, (long)out, 0);
	while (shim_path_again(rc, &dirfd, &use, !(flags & AT_SYMLINK_NOFOLLOW), &p));
	if (rc || !shim.on || guard_copy(&sx, out, sizeof(sx)))
		return rc;
	st.st_dev = makedev(sx.stx_dev_major, sx.stx_dev_minor);
	st.st_ino = sx.stx_ino;
	st.st_mode = sx.stx_mode;
	st.st_uid = sx.stx_uid;
	st.st_gid = sx.stx_gid;
	st.st_nlink = sx.stx_nlink;
	st.st_size = (off_t)sx.stx_size;
	fix_stat(use != path ? -1 : *path ? shim_path_self_fd(path) : dirfd, p.virt, &st);
	if (st.st_mode == sx.stx_mode)
		return 0;
	sx.stx_mode = (uint16_t)st.st_mode;
	sx.stx_uid = st.st_uid;
	sx.stx_gid = st.st_gid;
	sx.stx_ino = st.st_ino;
	sx.stx_nlink = (uint32_t)st.st_nlink;
	sx.stx_dev_major = major(st.st_dev);
	sx.stx_dev_minor = minor(st.st_dev);
	sx.stx_size = 0;
	sx.stx_blocks = 0;
	sx.stx_rdev_major = major(st.st_rdev);
	sx.stx_rdev_minor = minor(st.st_rdev);
	return guard_copy(out, &sx, sizeof(sx));
}

/* struct stat64 is struct stat on this processor; libc gives both names to each function */
#define STAT_FUNCTIONS(S, s)                                                                                  \
	EXPORT int S(const char *restrict path, struct s *restrict st)                                        \
	{                                                                                                     \
		return (int)shim_ret(shim_stat(AT_FDCWD, path, (struct stat *)st, 0));                        \
	}                                                                                                     \
	EXPORT int l##S(const char *restrict path, struct s *restrict st)                                     \
	{                                                                                                     \
		return (int)shim_ret(shim_stat(AT_FDCWD, path, (struct stat *)st, AT_SYMLINK_NOFOLLOW));      \
	}                                                                                                     \
	EXPORT int f##S(int fd, struct s *st)                                                                 \
	{                                                                                                     \
		return (int)shim_ret(fstat_fast(fd, (struct stat *)st));                                      \
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

EXPORT int statx(int dirfd, const char *restrict path, int flags, unsigned mask, struct statx *restrict stx)
{
	return (int)shim_ret(shim_statx(dirfd, path, flags, mask, stx));
}

/* programs linked with a libc before 2.33; version 1 is the only one on this processor */
#define XSTAT_FUNCTIONS(x, s)                                                                                          \
	int __x##x(int ver, const char *path, struct s *st);                                                           \
	int __lx##x(int ver, const char *path, struct s *st);                                                          \
	int __fx##x(int ver, int fd, struct s *st);                                                                    \
	EXPORT int __x##x(int ver, const char *path, struct s *st)                                                     \
	{                                                                                                              \
		return (int)shim_ret(ver > 1 ? -EINVAL : shim_stat(AT_FDCWD, path, (struct stat *)st, 0));             \
	}                                                                                                              \
	EXPORT int __lx##x(int ver, const char *path, struct s *st)                                                    \
	{                                                                                                              \
		return (int)shim_ret(ver > 1 ? -EINVAL                                                                 \
					     : shim_stat(AT_FDCWD, path, (struct stat *)st, AT_SYMLINK_NOFOLLOW));     \
	}                                                                                                              \
	EXPORT int __fx##x(int ver, int fd, struct s *st)                                                              \
	{                                                                                                              \
		return (int)shim_ret(ver > 1 ? -EINVAL : fstat_fast(fd, (struct stat *)st));                           \
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
	struct shim_path p = { .virt = NULL };
	const char *use = shim_path(path, &p);
	int dirfd = AT_FDCWD;
	long rc;

	do
		rc = sys_call(SYS_statfs, (long)use, (long)out, 0, 0, 0, 0);
	while (shim_path_again(rc, &dirfd, &use, true, &p));
	if (!rc && p.virt && !strncmp(p.virt, "/sys/", 5))
		out->f_type = SYSFS_MAGIC_NUMBER;
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
	struct shim_path p = { .virt = NULL };

	NEXT(statvfs);
	return real(shim_path(path, &p), out);
}

EXPORT int statvfs64(const char *restrict path, struct statvfs64 *restrict out)
{
	return statvfs(path, (struct statvfs *)out);
}

/* ---- access ---- */

long shim_access(int dirfd, const char *path, int mode, int flags, bool at2)
{
	struct shim_path p = { .virt = NULL };
	const char *use = shim_path_at(&dirfd, path, &p);
	long rc;

	do
		rc = sys_call(at2 ? SYS_faccessat2 : SYS_faccessat, dirfd, (long)use, mode, flags, 0, 0);
	while (shim_path_again(rc, &dirfd, &use, !(flags & AT_SYMLINK_NOFOLLOW), &p));
	return rc;
}

EXPORT int access(const char *path, int mode)
{
	return (int)shim_ret(shim_access(AT_FDCWD, path, mode, 0, false));
}

EXPORT int faccessat(int dirfd, const char *path, int mode, int flags)
{
	struct shim_path p = { .virt = NULL };
	const char *use;
	int rc;

	/* libc emulates the flags where the kernel has no faccessat2 (before 5.8) */
	NEXT(faccessat);
	use = shim_path_at(&dirfd, path, &p);
	do
		rc = real(dirfd, use, mode, flags);
	while (rc && shim_path_again(-errno, &dirfd, &use, !(flags & AT_SYMLINK_NOFOLLOW), &p));
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

long shim_readlink(int dirfd, const char *path, char *buf, size_t size)
{
	struct shim_path p = { .virt = NULL };
	const char *use = shim_path_at(&dirfd, path, &p);
	char text[2 * PATH_MAX];
	size_t n;
	long rc;

	if (!shim.on || !size || size > INT_MAX)
		return sys_call(SYS_readlinkat, dirfd, (long)use, (long)buf, (long)size, 0, 0);
	do
		rc = sys_call(SYS_readlinkat, dirfd, (long)use, (long)text, sizeof(text) - 1, 0, 0);
	while (shim_path_again(rc, &dirfd, &use, false, &p));
	if (rc < 0)
		return rc;
	n = shim_link_text(text, (size_t)rc);
	text[n] = '\0';
	n = shim_unmap(text, n);
	if (n > size)
		n = size;
	rc = guard_copy(buf, text, n);
	return rc ? rc : (long)n;
}

EXPORT ssize_t readlink(const char *restrict path, char *restrict buf, size_t size)
{
	return shim_ret(shim_readlink(AT_FDCWD, path, buf, size));
}

EXPORT ssize_t readlinkat(int dirfd, const char *restrict path, char *restrict buf, size_t size)
{
	return shim_ret(shim_readlink(dirfd, path, buf, size));
}

void __chk_fail(void) __attribute__((noreturn));
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
	struct shim_path p = { .virt = NULL };
	int dirfd = AT_FDCWD;
	const char *use;
	char *out;

	NEXT(realpath);
	use = shim_path(path, &p);
	do
		out = real(use, resolved);
	while (!out && shim_path_again(-errno, &dirfd, &use, true, &p));
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
	char text[2 * PATH_MAX];
	size_t n;
	long rc;

	if (!shim.on)
		return sys_call(SYS_getcwd, (long)buf, (long)size, 0, 0, 0, 0);
	rc = sys_call(SYS_getcwd, (long)text, sizeof(text), 0, 0, 0, 0);
	if (rc < 0)
		return rc;
	n = shim_unmap(text, (size_t)rc - 1) + 1;
	if (n > size)
		return -ERANGE;
	rc = guard_copy(buf, text, n);
	return rc ? rc : (long)n;
}

EXPORT char *getcwd(char *buf, size_t size)
{
	char text[2 * PATH_MAX], *out;
	long n;

	if (!size && buf) {
		errno = EINVAL;
		return NULL;
	}
	n = shim_ret(shim_getcwd(text, sizeof(text)));
	if (n < 0)
		return NULL;
	/* libc's extension: no buffer, then one of @size or as large as it needs to be */
	if ((size || buf) && (size_t)n > size) {
		errno = ERANGE;
		return NULL;
	}
	out = buf ? buf : malloc(size ? size : (size_t)n);
	if (out)
		memcpy(out, text, (size_t)n);
	return out;
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
	if (pwd && pwd[0] == '/' && !stat(pwd, &a) && !stat(".", &b) && a.st_dev == b.st_dev && a.st_ino == b.st_ino)
		return strdup(pwd);
	return getcwd(NULL, 0);
}

long shim_chdir(const char *path)
{
	struct shim_path p = { .virt = NULL };
	const char *use = shim_path(path, &p);
	int dirfd = AT_FDCWD;
	long rc;

	do
		rc = sys_call(SYS_chdir, (long)use, 0, 0, 0, 0, 0);
	while (shim_path_again(rc, &dirfd, &use, true, &p));
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
