/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/vfs.c: what Linux does with a file before it asks VFIO, or instead of asking it: locks,
 * flags, sizes, transfers from one file to another, owner and mode, attributes. A handle's memfd is
 * a regular file that cannot be read or written (access mode 3); the kernel's own files are
 * character devices and an anonymous inode that can, but have no such operation. So most of it can
 * be left to the kernel, and its answer about the memfd is made into the one about a file of VFIO:
 * its checks of the arguments come first in both.
 *
 * Attributes of a container or a group as a file of /dev are those of the node in the view; locks
 * are those of a file beside it.
 */
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/statfs.h>
#include <sys/xattr.h>

#include "base/guard.h"
#include "shim/calls.h"
#include "shim/handles.h"
#include "shim/mem.h"
#include "shim/nr.h"
#include "shim/paths.h"
#include "shim/scope.h"
#include "shim/shim.h"

/* linux/magic.h */
#define ANON_INODE_FS_MAGIC 0x09041934
#define SYSFS_MAGIC_NUMBER  0x62656572

/* The handle behind @fd with a reference, if it is one. */
static struct shim_handle *handle(long fd)
{
	return shim_fd_maybe_handle((int)fd) ? shim_handle_get((int)fd, NULL, NULL) : NULL;
}

/* Return the same, if it works in this process. */
static struct shim_handle *working(long fd)
{
	struct shim_handle *h = handle(fd);

	if (!h || !shim_handle_is_dead(h))
		return h;
	shim_handle_put(h);
	return NULL;
}

/* True if @fd is open, and its access mode lets it be read, or written. */
static bool usable(long fd, bool write)
{
	long fl = shim_fcntl((int)fd, F_GETFL, 0);

	return fl >= 0 && !(fl & O_PATH) &&
	       ((fl & O_ACCMODE) == O_RDWR || (fl & O_ACCMODE) == (write ? O_WRONLY : O_RDONLY));
}

static bool is_open(long fd)
{
	long fl = shim_fcntl((int)fd, F_GETFL, 0);

	return fl >= 0 && !(fl & O_PATH);
}

/* True if @h has a node in /dev, as a container or a group. */
static bool has_node(const struct shim_handle *h)
{
	return shim_handle_link(h)[0] == '/';
}

#define NODE_MAX (PATH_MAX + 48)
static const char *node_of(const struct shim_handle *h, char path[NODE_MAX])
{
	snprintf(path, NODE_MAX, "%s%s", shim.run_dir, shim_handle_link(h));
	return path;
}

/* ---- fcntl, flock ---- */

struct fcntl_args {
	int fd, cmd;
	unsigned long arg;
	long *ret;
};

struct lock_args {
	int fd, cmd;
	const struct flock *fl; /* or NULL: flock() */
};

/*
 * F_SETLK and its kin as the kernel looks at the access mode: check_fmode_for_setlk(), fs/locks.c
 */
static bool is_allowed(const struct lock_args *a, const struct shim_handle *h)
{
	int mode = shim_handle_flags(h) & O_ACCMODE;
	struct flock fl;

	/* the kernel says what is wrong with it */
	if (a->cmd == F_GETLK || guard_copy(&fl, a->fl, sizeof(fl)))
		return true;
	if (fl.l_type == F_RDLCK)
		return mode == O_RDONLY || mode == O_RDWR;
	return fl.l_type != F_WRLCK || mode == O_WRONLY || mode == O_RDWR;
}

static long run_lock_fd(void *arg)
{
	struct lock_args *a = arg;
	struct shim_handle *h = working(a->fd);
	enum shim_lock kind = SHIM_LOCK_OFD;
	long own;

	if (!h)
		return -ENOTTY;
	if (!a->fl)
		kind = SHIM_LOCK_FLOCK;
	else if (a->cmd == F_SETLK || a->cmd == F_SETLKW || a->cmd == F_GETLK)
		kind = SHIM_LOCK_PROCESS;
	own = kind == SHIM_LOCK_PROCESS && !is_allowed(a, h) ? -EBADF
							     : shim_handle_lock_fd(h, kind);
	shim_handle_put(h);
	return own;
}

/*
 * Return the descriptor that is locked in @fd's place, -ENOTTY if that is no handle, or another
 * error. The caller locks it: a lock may wait, which must not be within a scope.
 */
static int lock_fd(int fd, int cmd, const struct flock *fl)
{
	struct lock_args a = { fd, cmd, fl };

	return shim.on && shim_fd_maybe_handle(fd) ? (int)shim_run(run_lock_fd, &a) : -ENOTTY;
}

static long run_fcntl(void *arg)
{
	struct fcntl_args *a = arg;
	struct shim_handle *h = handle(a->fd);

	if (!h)
		return false;
	switch (a->cmd) {
	case F_SETFL:
		/* fs/fcntl.c, setfl(): a memfd can do O_DIRECT */
		*a->ret = a->arg & O_DIRECT
				  ? -EINVAL
				  : sys_call(SYS_fcntl, a->fd, F_SETFL, (long)a->arg, 0, 0, 0);
		break;
	case F_GETFL:
		*a->ret = sys_call(SYS_fcntl, a->fd, F_GETFL, 0, 0, 0, 0);
		if (*a->ret >= 0)
			*a->ret = (*a->ret & ~O_ACCMODE) | shim_handle_flags(h);
		/* anon_inode_getfile() is no open(), which sets O_LARGEFILE (that libc has as 0) */
		if (*a->ret >= 0 && !has_node(h))
			*a->ret &= ~0100000l;
		break;
	default: /* leases and seals */
		*a->ret = -EINVAL;
		break;
	}
	shim_handle_put(h);
	return true;
}

bool shim_vfs_fcntl(int fd, int cmd, unsigned long arg, int (*call)(int fd, int cmd, ...),
		    long *ret)
{
	static const struct flock none = { .l_type = F_UNLCK };
	struct fcntl_args a = { fd, cmd, arg, ret };
	int own;

	if (!shim.on || !shim_fd_maybe_handle(fd))
		return false;
	switch (cmd) {
	case F_SETLK:
	case F_SETLKW:
	case F_GETLK:
	case F_OFD_SETLK:
	case F_OFD_SETLKW:
	case F_OFD_GETLK:
		/* of a program that gives none, the kernel says EFAULT */
		own = lock_fd(fd, cmd, arg ? (const struct flock *)arg : &none);
		if (own < 0)
			*ret = own;
		else if (call)
			*ret = call(own, cmd, arg) ? -errno : 0;
		else
			*ret = sys_call(SYS_fcntl, own, cmd, (long)arg, 0, 0, 0);
		return own != -ENOTTY;
	case F_SETFL:
	case F_GETFL:
	case F_SETLEASE:
	case F_GET_SEALS:
	case F_ADD_SEALS:
		return shim_run(run_fcntl, &a);
	default:
		return false;
	}
}

/* Drop the process's locks of a file, which go when any descriptor of it is closed. */
static long run_closing(void *arg)
{
	struct flock all = { .l_type = F_UNLCK, .l_whence = SEEK_SET };
	struct shim_handle *h = working(*(int *)arg);

	if (!h)
		return 0;
	if (shim_handle_has_lock(h, SHIM_LOCK_PROCESS))
		sys_call(SYS_fcntl, shim_handle_lock_fd(h, SHIM_LOCK_PROCESS), F_SETLK, (long)&all,
			 0, 0, 0);
	shim_handle_put(h);
	return 0;
}

void shim_vfs_closing(int fd)
{
	if (shim.on)
		shim_run(run_closing, &fd);
}

/* ---- ioctl ---- */

/* fs/ioctl.c, ioctl_file_clone(): from @src to a handle */
static long clone_from(struct shim_handle *h, int src)
{
	struct shim_handle *other;
	bool same;

	if (!is_open(src))
		return -EBADF;
	other = handle(src);
	same = other && has_node(other) == has_node(h);
	if (other)
		shim_handle_put(other);
	return same ? -EINVAL : -EXDEV;
}

/*
 * Do what the kernel does for every file before the file itself is asked: do_vfs_ioctl(),
 * fs/ioctl.c.
 */
bool shim_vfs_ioctl(int fd, unsigned cmd, unsigned long arg, long *ret)
{
	struct file_clone_range range;
	struct shim_handle *h;

	switch (cmd) {
	case FIOCLEX:
	case FIONCLEX:
	case FIONBIO:
	case FIOASYNC:
	case FIFREEZE:
	case FITHAW:
	case FIGETBSZ:
	case FIDEDUPERANGE:
	case FS_IOC_FIEMAP:
		*ret = sys_call(SYS_ioctl, SYS_PASS(fd), cmd, (long)arg, 0, 0, 0);
		return true;
	case FIOQSIZE:
	case FICLONE:
	case FICLONERANGE:
		break;
	default:
		return false;
	}
	h = handle(fd);
	if (!h)
		return false;
	if (cmd == FIOQSIZE)
		*ret = -ENOTTY;
	else if (cmd == FICLONE)
		*ret = clone_from(h, (int)arg);
	else if (guard_copy(&range, (void *)arg, sizeof(range)))
		*ret = -EFAULT;
	else
		*ret = clone_from(h, (int)range.src_fd);
	shim_handle_put(h);
	return true;
}

/* ---- owner, mode, times, attributes ---- */

/*
 * fs/xattr.c, xattr_permission(): user attributes are for regular files and directories.
 * fs/anon_inodes.c has none.
 */
long shim_vfs_xattr(long nr, const char *attr, bool node)
{
	bool get = nr == SYS_fgetxattr || nr == SYS_getxattr || nr == SYS_getxattrat;
	char name[8] = "";

	if (guard_strncpy(name, attr, sizeof(name)) == -EFAULT)
		return -EFAULT;
	if (!strncmp(name, "user.", 5))
		return get ? -ENODATA : -EPERM;
	return node ? 1 : -EOPNOTSUPP;
}

/* Make call @nr on the node at @path, of which a[0] is an open file; @path 0: on a device. */
static long on_inode_at(long nr, const long a[6], long path)
{
	long rc;

	switch (nr) {
	case SYS_fchmod:
		return path ? sys_call(SYS_fchmodat, AT_FDCWD, path, a[1], 0, 0, 0) : -EOPNOTSUPP;
	case SYS_fchmodat2:
		return path ? sys_call(SYS_fchmodat, AT_FDCWD, path, a[2], 0, 0, 0) : -EOPNOTSUPP;
	case SYS_fchown:
		return path ? sys_call(SYS_fchownat, AT_FDCWD, path, a[1], a[2], 0, 0)
			    : -EOPNOTSUPP;
	case SYS_fchownat:
		return path ? sys_call(SYS_fchownat, AT_FDCWD, path, a[2], a[3], 0, 0)
			    : -EOPNOTSUPP;
	case SYS_utimensat:
		return path ? sys_call(SYS_utimensat, AT_FDCWD, path, a[2], 0, 0, 0) : -EOPNOTSUPP;
	case SYS_fsetxattr:
		rc = shim_vfs_xattr(nr, (const char *)a[1], path);
		return rc == 1 ? sys_call(SYS_setxattr, path, a[1], a[2], a[3], a[4], 0) : rc;
	case SYS_fremovexattr:
		rc = shim_vfs_xattr(nr, (const char *)a[1], path);
		return rc == 1 ? sys_call(SYS_removexattr, path, a[1], 0, 0, 0, 0) : rc;
	case SYS_fgetxattr:
		rc = shim_vfs_xattr(nr, (const char *)a[1], path);
		return rc == 1 ? sys_call(SYS_getxattr, path, a[1], a[2], a[3], 0, 0) : rc;
	case SYS_flistxattr:
		return path ? sys_call(SYS_listxattr, path, a[1], a[2], 0, 0, 0) : 0;
	case SYS_setxattrat:
	case SYS_getxattrat:
	case SYS_removexattrat:
		rc = shim_vfs_xattr(nr, (const char *)a[3], path);
		return rc == 1 ? sys_call(nr, AT_FDCWD, path, 0, a[3], a[4], a[5]) : rc;
	case SYS_listxattrat:
		return path ? sys_call(SYS_listxattr, path, a[3], a[4], 0, 0, 0) : 0;
	case SYS_name_to_handle_at:
		return path ? sys_call(nr, AT_FDCWD, path, a[2], a[3], a[4] & ~AT_EMPTY_PATH, 0)
			    : -EOPNOTSUPP;
	default: /* file_getattr, file_setattr */
		return -EOPNOTSUPP;
	}
}

static __attribute__((noinline)) long on_inode(long nr, const long a[6], struct shim_handle *h)
{
	char path[NODE_MAX];
	long rc;

	rc = on_inode_at(nr, a, has_node(h) ? (long)node_of(h, path) : 0);
	if (!rc && has_node(h))
		shim_claim_rights(shim_handle_link(h));
	return rc;
}

/* ---- by number ---- */

/* A path that is none: what the descriptor is. */
static bool is_empty(const char *path)
{
	char c = 0;

	return !path || (!guard_copy(&c, path, 1) && !c);
}

/*
 * Return @err in the place of an EBADF that the kernel gave because a memfd can be neither read nor
 * written: a file that can be has no such operation.
 */
static long unless_usable(long rc, bool ok, long err)
{
	return rc == -EBADF && ok ? err : rc;
}

static long on_lseek(struct shim_handle *h, int64_t offset, int whence)
{
	struct uapi_file *f = shim_handle_is_dead(h) ? NULL : shim_handle_file(h);

	return f ? uapi_lseek(f, offset, whence) : -ESPIPE;
}

static long on_handle(long nr, const long a[6], struct shim_handle *h)
{
	struct statfs sf;
	long rc;

	switch (nr) {
	case SYS_lseek:
		/* linux/fs.h, SEEK_MAX */
		if ((unsigned)a[2] > SEEK_HOLE)
			return -EINVAL;
		return on_lseek(h, a[1], (int)a[2]);
	case SYS_fsync:
	case SYS_fdatasync:
		return -EINVAL;
	case SYS_fstatfs:
		rc = sys_call(nr, a[0], (long)&sf, 0, 0, 0, 0);
		if (!rc && !has_node(h))
			sf.f_type = ANON_INODE_FS_MAGIC;
		return rc ? rc : guard_copy((void *)a[1], &sf, sizeof(sf));
	default:
		break;
	}
	rc = sys_call(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
	switch (nr) {
	case SYS_ftruncate: /* what a stream is here can be cut */
		return rc ? rc : -EINVAL;
	case SYS_fallocate:
		return unless_usable(rc, usable(a[0], true), -ENODEV);
	case SYS_readahead:
		return unless_usable(rc, usable(a[0], false), -EINVAL);
	case SYS_sync_file_range:
		return rc ? rc : -ESPIPE;
	default:
		return rc;
	}
}

static long between(long nr, const long a[6])
{
	long rc = sys_call(nr, a[0], a[1], a[2], a[3], a[4], a[5]);

	switch (nr) {
	case SYS_sendfile:
		return unless_usable(rc, usable(a[1], false) && usable(a[0], true), -EINVAL);
	case SYS_splice:
		return unless_usable(rc, usable(a[0], false) && usable(a[2], true), -EINVAL);
	case SYS_tee:
		return unless_usable(rc, usable(a[0], false) && usable(a[1], true), -EINVAL);
	default: /* copy_file_range: it asks first whether they are regular files */
		return unless_usable(rc, is_open(a[0]) && is_open(a[2]), -EINVAL);
	}
}

/* Make call @nr, which takes a path, on a link in /proc to a device. */
long shim_vfs_device_path(long nr, const long a[6])
{
	switch (nr) {
	case SYS_truncate:
		return -EINVAL;
	case SYS_setxattr:
	case SYS_removexattr:
	case SYS_getxattr:
		return shim_vfs_xattr(nr, (const char *)a[1], false);
	case SYS_setxattrat:
	case SYS_removexattrat:
	case SYS_getxattrat:
		return shim_vfs_xattr(nr, (const char *)a[3], false);
	case SYS_listxattr:
	case SYS_listxattrat:
		return 0;
	case SYS_inotify_add_watch:
	case SYS_fanotify_mark:
		return 1;
	default: /* anon_inode_setattr() */
		return -EOPNOTSUPP;
	}
}

struct vfs_args {
	long nr;
	const long *a;
	int second; /* the other descriptor, or -1 */
	bool inode;
	long *ret;
};

static long run_vfs(void *arg)
{
	struct vfs_args *v = arg;
	struct shim_handle *h = handle(v->a[0]);

	if (!h && v->second >= 0)
		h = handle(v->second);
	if (!h)
		return false;
	if (v->second >= 0)
		*v->ret = between(v->nr, v->a);
	else if (v->inode)
		*v->ret = on_inode(v->nr, v->a, h);
	else
		*v->ret = on_handle(v->nr, v->a, h);
	shim_handle_put(h);
	return true;
}

bool shim_vfs(long nr, const long a[6], long *ret)
{
	struct vfs_args v = { nr, a, -1, false, ret };
	bool empty = false;
	int own;

	switch (nr) {
	case SYS_sendfile:
	case SYS_tee:
		v.second = (int)a[1];
		break;
	case SYS_splice:
	case SYS_copy_file_range:
		v.second = (int)a[2];
		break;
	case SYS_ftruncate:
		shim_keep_ftruncate((int)a[0], a[1]);
		break;
	case SYS_fallocate:
		shim_keep_fallocate((int)a[0], (int)a[1], a[2], a[3]);
		break;
	case SYS_lseek:
	case SYS_fsync:
	case SYS_fdatasync:
	case SYS_flock:
	case SYS_fstatfs:
	case SYS_readahead:
	case SYS_sync_file_range:
		break;
	case SYS_utimensat:
	case SYS_fchmodat2:
	case SYS_fchownat:
	case SYS_setxattrat:
	case SYS_getxattrat:
	case SYS_listxattrat:
	case SYS_removexattrat:
	case SYS_file_getattr:
	case SYS_file_setattr:
	case SYS_name_to_handle_at:
		empty = true;
		v.inode = true;
		break;
	case SYS_fchmod:
	case SYS_fchown:
	case SYS_fsetxattr:
	case SYS_fremovexattr:
	case SYS_fgetxattr:
	case SYS_flistxattr:
		v.inode = true;
		break;
	default:
		return false;
	}
	if (!shim.on || !(shim_fd_maybe_handle((int)a[0]) || shim_fd_maybe_handle(v.second)))
		return false;
	/* of those that take a path: with none */
	if (empty && !is_empty((const char *)a[1]))
		return false;
	if (nr != SYS_flock)
		return shim_run(run_vfs, &v);
	own = lock_fd((int)a[0], 0, NULL);
	*ret = own < 0 ? own : sys_call(SYS_flock, own, a[1], 0, 0, 0, 0);
	return own != -ENOTTY;
}
