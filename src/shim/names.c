/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/names.c: calls that change names, or what stands with a name: owner, mode, times, extended
 * attributes; and watches, which hang on a name. What stands with a name of the view is changed on
 * the file below the run directory, so that it can be seen again. Names themselves cannot be
 * changed there: the answer is what sysfs says.
 *
 * One table says where each system call has its paths; the functions of libc are these calls.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/time.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <utime.h>

#include "shim/calls.h"
#include "shim/mem.h"
#include "shim/nr.h"
#include "shim/paths.h"
#include "shim/scope.h"
#include "shim/shim.h"

enum role {
	NONE,
	APPLY, /* the call is made on the file below the run directory */
	FROM,  /* of two names */
	TO,
	MAKE,	/* a name that was not there */
	REMOVE, /* a name goes, of what is no directory */
	RMDIR,
	TRUNCATE,
	REFUSE, /* neither sysfs nor a device node has it */
	MOUNT,	/* the kernel's tree would be taken, in which the view is not */
};

/* by number */
static const struct call {
	struct {
		unsigned char role;
		signed char dir, path; /* which arguments; dir -1: there is none */
	} name[2];
	signed char flags; /* the argument with flags, or -1 */
	bool follow;	   /* without @flag, links are followed in the last component */
	unsigned flag;	   /* turns that around */
	const char *what;
} calls[] = {
	[SYS_chown] = { { { APPLY, -1, 0 } }, -1, true, 0, "chown" },
	[SYS_lchown] = { { { APPLY, -1, 0 } }, -1, false, 0, "lchown" },
	[SYS_fchownat] = { { { APPLY, 0, 1 } }, 4, true, AT_SYMLINK_NOFOLLOW, "chown" },
	[SYS_chmod] = { { { APPLY, -1, 0 } }, -1, true, 0, "chmod" },
	[SYS_fchmodat] = { { { APPLY, 0, 1 } }, -1, true, 0, "chmod" },
	[SYS_fchmodat2] = { { { APPLY, 0, 1 } }, 3, true, AT_SYMLINK_NOFOLLOW, "chmod" },
	[SYS_utime] = { { { APPLY, -1, 0 } }, -1, true, 0, "utime" },
	[SYS_utimes] = { { { APPLY, -1, 0 } }, -1, true, 0, "utimes" },
	[SYS_futimesat] = { { { APPLY, 0, 1 } }, -1, true, 0, "utimes" },
	[SYS_utimensat] = { { { APPLY, 0, 1 } }, 3, true, AT_SYMLINK_NOFOLLOW, "utimensat" },
	[SYS_inotify_add_watch] = { { { APPLY, -1, 1 } }, 2, true, IN_DONT_FOLLOW, "inotify" },
	[SYS_getxattr] = { { { APPLY, -1, 0 } }, -1, true, 0, "getxattr" },
	[SYS_lgetxattr] = { { { APPLY, -1, 0 } }, -1, false, 0, "getxattr" },
	[SYS_listxattr] = { { { APPLY, -1, 0 } }, -1, true, 0, "listxattr" },
	[SYS_llistxattr] = { { { APPLY, -1, 0 } }, -1, false, 0, "listxattr" },
	[SYS_setxattr] = { { { APPLY, -1, 0 } }, -1, true, 0, "setxattr" },
	[SYS_lsetxattr] = { { { APPLY, -1, 0 } }, -1, false, 0, "setxattr" },
	[SYS_removexattr] = { { { APPLY, -1, 0 } }, -1, true, 0, "removexattr" },
	[SYS_lremovexattr] = { { { APPLY, -1, 0 } }, -1, false, 0, "removexattr" },
	[SYS_setxattrat] = { { { APPLY, 0, 1 } }, 2, true, AT_SYMLINK_NOFOLLOW, "setxattr" },
	[SYS_getxattrat] = { { { APPLY, 0, 1 } }, 2, true, AT_SYMLINK_NOFOLLOW, "getxattr" },
	[SYS_listxattrat] = { { { APPLY, 0, 1 } }, 2, true, AT_SYMLINK_NOFOLLOW, "listxattr" },
	[SYS_removexattrat] = { { { APPLY, 0, 1 } }, 2, true, AT_SYMLINK_NOFOLLOW, "removexattr" },
	[SYS_name_to_handle_at] = { { { APPLY, 0, 1 } },
				    4,
				    false,
				    AT_SYMLINK_FOLLOW,
				    "name_to_handle_at" },
	[SYS_fanotify_mark] = { { { APPLY, 3, 4 } }, 1, true, FAN_MARK_DONT_FOLLOW, "fanotify" },
	[SYS_file_getattr] = { { { REFUSE, 0, 1 } }, 4, true, AT_SYMLINK_NOFOLLOW, "file_getattr" },
	[SYS_file_setattr] = { { { REFUSE, 0, 1 } }, 4, true, AT_SYMLINK_NOFOLLOW, "file_setattr" },
	[SYS_open_tree] = { { { MOUNT, 0, 1 } }, 2, true, AT_SYMLINK_NOFOLLOW, "open_tree" },
	[SYS_open_tree_attr] = { { { MOUNT, 0, 1 } }, 2, true, AT_SYMLINK_NOFOLLOW, "open_tree" },
	[SYS_mount_setattr] = { { { MOUNT, 0, 1 } },
				2,
				true,
				AT_SYMLINK_NOFOLLOW,
				"mount_setattr" },
	[SYS_fspick] = { { { MOUNT, 0, 1 } }, -1, true, 0, "fspick" },
	[SYS_move_mount] = { { { MOUNT, 0, 1 }, { MOUNT, 2, 3 } }, -1, false, 0, "mount" },
	[SYS_mount] = { { { MOUNT, -1, 0 }, { MOUNT, -1, 1 } }, -1, true, 0, "mount" },
	[SYS_umount2] = { { { MOUNT, -1, 0 } }, 1, true, UMOUNT_NOFOLLOW, "umount" },
	[SYS_pivot_root] = { { { MOUNT, -1, 0 }, { MOUNT, -1, 1 } }, -1, true, 0, "pivot_root" },
	[SYS_chroot] = { { { MOUNT, -1, 0 } }, -1, true, 0, "chroot" },
	[SYS_truncate] = { { { TRUNCATE, -1, 0 } }, -1, true, 0, "truncate" },
	[SYS_unlink] = { { { REMOVE, -1, 0 } }, -1, false, 0, "unlink" },
	[SYS_unlinkat] = { { { REMOVE, 0, 1 } }, 2, false, 0, "unlink" },
	[SYS_rmdir] = { { { RMDIR, -1, 0 } }, -1, false, 0, "rmdir" },
	[SYS_mkdir] = { { { MAKE, -1, 0 } }, -1, false, 0, "mkdir" },
	[SYS_mkdirat] = { { { MAKE, 0, 1 } }, -1, false, 0, "mkdir" },
	[SYS_mknod] = { { { MAKE, -1, 0 } }, -1, false, 0, "mknod" },
	[SYS_mknodat] = { { { MAKE, 0, 1 } }, -1, false, 0, "mknod" },
	[SYS_symlink] = { { { MAKE, -1, 1 } }, -1, false, 0, "symlink" },
	[SYS_symlinkat] = { { { MAKE, 1, 2 } }, -1, false, 0, "symlink" },
	[SYS_rename] = { { { FROM, -1, 0 }, { TO, -1, 1 } }, -1, false, 0, "rename" },
	[SYS_renameat] = { { { FROM, 0, 1 }, { TO, 2, 3 } }, -1, false, 0, "rename" },
	[SYS_renameat2] = { { { FROM, 0, 1 }, { TO, 2, 3 } }, -1, false, 0, "rename" },
	[SYS_link] = { { { FROM, -1, 0 }, { MAKE, -1, 1 } }, -1, false, 0, "link" },
	[SYS_linkat] = { { { FROM, 0, 1 }, { MAKE, 2, 3 } }, 4, false, AT_SYMLINK_FOLLOW, "link" },
};

/* Return 0 if the directory of the last name of @p exists, or -errno. */
static long parent_stands(struct shim_path *p)
{
	char *end = p->text + strlen(p->text), kept;
	struct stat st;
	long rc;

	while (end[-1] == '/')
		end--;
	while (end[-1] != '/')
		end--;
	kept = *end;
	*end = '\0';
	rc = sys_call(SYS_newfstatat, AT_FDCWD, (long)p->text, (long)&st, 0, 0, 0);
	*end = kept;
	return rc;
}

/*
 * The errno, in the kernel's order (fs/namei.c, may_create() and may_delete(); fs/open.c,
 * vfs_truncate()). sysfs has directories of root's in which it knows none of these operations. In
 * /dev/vfio, which is a real directory to the kernel, root could do some of it. @outside: the other
 * name is not in the view.
 */
struct refusal {
	const struct call *c;
	enum role role;
	struct shim_path *p;
	bool outside;
};

static long refuse(void *arg)
{
	const struct refusal *r = arg;
	const struct call *c = r->c;
	enum role role = r->role;
	struct shim_path *p = r->p;
	struct stat st;
	long rc = sys_call(SYS_newfstatat, AT_FDCWD, (long)p->text, (long)&st,
			   role == TRUNCATE ? 0 : AT_SYMLINK_NOFOLLOW, 0, 0);

	if (!rc && role == MAKE)
		return -EEXIST;
	if (rc == -ENOENT && (role == MAKE || role == TO))
		rc = parent_stands(p);
	if (rc)
		return rc;
	if (role == REFUSE)
		return -EOPNOTSUPP;
	if (role == MOUNT)
		return report_warn("view-fixed", SHIM_WHO, -EPERM,
				   "%s: %s: uvfio's view of sysfs and /dev is no file system",
				   p->virt, c->what);
	if (r->outside)
		return -EXDEV;
	if (role == FROM)
		return 0; /* the other name has more to say */
	if (role == TRUNCATE) {
		shim_path_stat(p->virt, &st);
		if (!S_ISREG(st.st_mode))
			return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
		rc = -EACCES;
	} else {
		rc = sys_call(SYS_geteuid, 0, 0, 0, 0, 0, 0) ? -EACCES : -EPERM;
	}
	if (rc == -EPERM && role == REMOVE && S_ISDIR(st.st_mode))
		return -EISDIR;
	if (rc == -EPERM && role == RMDIR && !S_ISDIR(st.st_mode))
		return -ENOTDIR;
	report_warn("view-fixed", SHIM_WHO, (int)rc,
		    "%s: %s: uvfio's view of sysfs and /dev cannot be changed", p->virt, c->what);
	return rc;
}

static __attribute__((noinline)) long refused(const struct call *c, enum role role,
					      struct shim_path *p, bool outside)
{
	struct refusal r = { c, role, p, outside };

	return shim_run(refuse, &r);
}

/* True if the call is about one extended attribute, whose name comes with the path. */
static bool is_xattr(long nr)
{
	return !strncmp(calls[nr].what, "getx", 4) || !strncmp(calls[nr].what, "setx", 4) ||
	       !strncmp(calls[nr].what, "removex", 7);
}

static bool is_node(const char *virt)
{
	unsigned id;

	return vfio_node_find(virt, &id, NULL);
}

static bool changes_rights(long nr)
{
	switch (nr) {
	case SYS_chown:
	case SYS_lchown:
	case SYS_fchownat:
	case SYS_chmod:
	case SYS_fchmodat:
	case SYS_fchmodat2:
		return true;
	}
	return false;
}

static long run_claim_rights(void *arg, char *path)
{
	const struct vfio_node *node;
	const char *virt = arg, *group;
	struct stat st;
	unsigned id;
	long n;

	node = vfio_node_find(virt, &id, NULL);
	if (!node || !node->numbered)
		return 0;
	if (node->kind == VFIO_FILE_DEVICE || node->kind == VFIO_FILE_V3_DEVICE) {
		snprintf(path, SHIM_PATH_LONG, "%s%s%u/device/iommu_group", shim.run_dir,
			 node->sysfs, id);
		n = sys_call(SYS_readlinkat, AT_FDCWD, (long)path, (long)path, SHIM_PATH_LONG - 1,
			     0, 0);
		if (n < 0)
			return n;
		path[n] = '\0';
		group = strrchr(path, '/');
		id = (unsigned)strtoul(group ? group + 1 : path, NULL, 10);
	}
	snprintf(path, SHIM_PATH_LONG, "%s%s", shim.run_dir, virt);
	if (sys_call(SYS_newfstatat, AT_FDCWD, (long)path, (long)&st, AT_SYMLINK_NOFOLLOW, 0, 0))
		return 0;
	snprintf(path, SHIM_PATH_LONG, "%s/claims/group-%u", shim.run_dir, id);
	sys_call(SYS_fchownat, AT_FDCWD, (long)path, st.st_uid, st.st_gid, AT_SYMLINK_NOFOLLOW, 0);
	return sys_call(SYS_fchmodat, AT_FDCWD, (long)path, st.st_mode & 07777, 0, 0, 0);
}

/*
 * Give the lock of a group (machine/claim.c) the owner and mode of @virt, its node or that of a
 * device in it, which have just changed: a process that may open one may claim the group.
 */
void shim_claim_rights(const char *virt)
{
	shim_run_with_room(run_claim_rights, (void *)(uintptr_t)virt);
}

struct place {
	struct shim_path p;
	const char *use;
	int dir;
};

/* Make the call with its names, @n of them: one or two. */
static inline __attribute__((always_inline)) long call_with(long nr, const long args[6],
							    struct place *at, unsigned n)
{
	const struct call *c = &calls[nr];
	bool flagged = c->flags >= 0 && (unsigned long)args[c->flags] & c->flag,
	     follow = c->follow != flagged, again;
	long a[6], rc;
	unsigned i;

	memcpy(a, args, sizeof(a));
	for (i = 0; i < n; i++) {
		at[i].dir = c->name[i].dir < 0 ? AT_FDCWD : (int)a[c->name[i].dir];
		at[i].use = shim_path_at(&at[i].dir, (const char *)a[c->name[i].path], &at[i].p);
		if (n > 1 || !follow || at[i].p.virt)
			continue;
		rc = shim_path_of_handle(&at[i].p);
		if (rc < 0 && (rc = shim_vfs_device_path(nr, a)) <= 0)
			goto out;
		if (at[i].p.virt)
			at[i].use = at[i].p.text;
	}
	if (n == 1 && at->p.virt && is_xattr(nr) && is_node(at->p.virt)) {
		rc = shim_vfs_xattr(
			nr, (const char *)a[c->name->path + 1 + 1 * (c->name->dir >= 0)], true);
		if (rc != 1)
			goto out;
	}
	do {
		for (i = 0; i < n; i++) {
			enum role role = c->name[i].role;

			if (nr == SYS_unlinkat && a[2] & AT_REMOVEDIR)
				role = RMDIR;
			if (at[i].p.virt && role != APPLY) {
				rc = refused(c, role, &at[i].p, n == 2 && !at[!i].p.virt);
				if (rc)
					goto out;
			}
			if (c->name[i].dir >= 0)
				a[c->name[i].dir] = at[i].dir;
			a[c->name[i].path] = (long)at[i].use;
		}
		rc = sys_call(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
		again = false;
		for (i = 0; i < n; i++)
			again |= shim_path_again(rc, &at[i].dir, &at[i].use, follow && i == 0,
						 &at[i].p);
	} while (again);
	if (n == 1 && !rc && at->p.virt && changes_rights(nr))
		shim_claim_rights(at->p.virt);
out:
	/* backwards: what the first one has to put right was there before the second */
	for (i = n; i-- > 0;)
		shim_path_done(&at[i].p);
	return rc;
}

static __attribute__((noinline)) long call_one(long nr, const long a[6])
{
	struct place at[1];

	return call_with(nr, a, at, 1);
}

struct two {
	long nr;
	const long *a;
};

static long run_two(void *arg)
{
	const struct two *t = arg;
	struct place at[2];

	return call_with(t->nr, t->a, at, 2);
}

/* True if name @i stays as it is. */
static __attribute__((noinline)) bool is_outside(const struct call *c, unsigned i, const long a[6])
{
	int dir = c->name[i].dir < 0 ? AT_FDCWD : (int)a[c->name[i].dir];
	struct shim_path p;
	bool outside;

	shim_path_at(&dir, (const char *)a[c->name[i].path], &p);
	outside = !p.text;
	shim_path_done(&p);
	return outside;
}

/*
 * Make a call with two names. If one has to do with the view, the two are too much for the
 * program's stack.
 */
static __attribute__((noinline)) long call_two(long nr, const long a[6])
{
	struct two t = { nr, a };
	long rc = -ENOENT;

	if (!shim.on || (is_outside(&calls[nr], 0, a) && is_outside(&calls[nr], 1, a)))
		rc = sys_call(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
	if (shim.on && (rc == -ENOENT || rc == -ENOTDIR))
		rc = shim_run(run_two, &t);
	return rc;
}

bool shim_names(long nr, const long a[6], long *ret)
{
	if (nr < 0 || nr >= (long)ARRAY_SIZE(calls) || !calls[nr].what)
		return false;
	*ret = calls[nr].name[1].role == NONE ? call_one(nr, a) : call_two(nr, a);
	return true;
}

static long names(long nr, long a, long b, long c, long d, long e)
{
	long rc = -ENOSYS;

	const long v[6] = { a, b, c, d, e, 0 };

	if (!shim_vfs(nr, v, &rc))
		shim_names(nr, v, &rc);
	return shim_ret(rc);
}

/* ---- libc's functions ---- */

EXPORT int chown(const char *path, uid_t uid, gid_t gid)
{
	return (int)names(SYS_chown, (long)path, uid, gid, 0, 0);
}

EXPORT int lchown(const char *path, uid_t uid, gid_t gid)
{
	return (int)names(SYS_lchown, (long)path, uid, gid, 0, 0);
}

EXPORT int fchownat(int dirfd, const char *path, uid_t uid, gid_t gid, int flags)
{
	return (int)names(SYS_fchownat, dirfd, (long)path, uid, gid, flags);
}

EXPORT int chmod(const char *path, mode_t mode)
{
	return (int)names(SYS_chmod, (long)path, mode, 0, 0, 0);
}

static __attribute__((noinline)) int chmod_with_flags(int dirfd, const char *path, mode_t mode,
						      int flags)
{
	struct shim_path p;
	const char *use;
	int rc;

	/* libc emulates the flags where the kernel has no fchmodat2 */
	NEXT(fchmodat);
	use = shim_path_at(&dirfd, path, &p);
	do
		rc = real(dirfd, use, mode, flags);
	while (rc && shim_path_again(-errno, &dirfd, &use, !(flags & AT_SYMLINK_NOFOLLOW), &p));
	if (!rc && p.virt)
		shim_claim_rights(p.virt);
	shim_path_done(&p);
	return rc;
}

EXPORT int fchmodat(int dirfd, const char *path, mode_t mode, int flags)
{
	return flags ? chmod_with_flags(dirfd, path, mode, flags)
		     : (int)names(SYS_fchmodat, dirfd, (long)path, mode, 0, 0);
}

EXPORT int lchmod(const char *path, mode_t mode)
{
	return fchmodat(AT_FDCWD, path, mode, AT_SYMLINK_NOFOLLOW);
}

EXPORT int utimensat(int dirfd, const char *path, const struct timespec t[2], int flags)
{
	long at = (long)path;

	/* as libc: the system call without a path is futimens() */
	return at ? (int)names(SYS_utimensat, dirfd, at, (long)t, flags, 0)
		  : (int)shim_ret(-EINVAL);
}

EXPORT int utime(const char *path, const struct utimbuf *t)
{
	return (int)names(SYS_utime, (long)path, (long)t, 0, 0, 0);
}

EXPORT int utimes(const char *path, const struct timeval t[2])
{
	return (int)names(SYS_utimes, (long)path, (long)t, 0, 0, 0);
}

EXPORT int futimesat(int dirfd, const char *path, const struct timeval t[2])
{
	return (int)names(SYS_futimesat, dirfd, (long)path, (long)t, 0, 0);
}

EXPORT int lutimes(const char *path, const struct timeval t[2])
{
	struct timespec ts[2];

	for (int i = 0; t && i < 2; i++) {
		if (t[i].tv_usec < 0 || t[i].tv_usec >= 1000000)
			return (int)shim_ret(-EINVAL);
		ts[i] = (struct timespec){ .tv_sec = t[i].tv_sec, .tv_nsec = t[i].tv_usec * 1000 };
	}
	return utimensat(AT_FDCWD, path, t ? ts : NULL, AT_SYMLINK_NOFOLLOW);
}

EXPORT int fanotify_mark(int fd, unsigned flags, uint64_t mask, int dirfd, const char *path)
{
	return (int)names(SYS_fanotify_mark, fd, flags, (long)mask, dirfd, (long)path);
}

EXPORT int name_to_handle_at(int dirfd, const char *path, struct file_handle *handle, int *mount,
			     int flags)
{
	return (int)names(SYS_name_to_handle_at, dirfd, (long)path, (long)handle, (long)mount,
			  flags);
}

EXPORT int mount(const char *from, const char *to, const char *type, unsigned long flags,
		 const void *data)
{
	return (int)names(SYS_mount, (long)from, (long)to, (long)type, (long)flags, (long)data);
}

EXPORT int umount2(const char *path, int flags)
{
	return (int)names(SYS_umount2, (long)path, flags, 0, 0, 0);
}

EXPORT int umount(const char *path)
{
	return umount2(path, 0);
}

EXPORT int chroot(const char *path)
{
	return (int)names(SYS_chroot, (long)path, 0, 0, 0, 0);
}

EXPORT int inotify_add_watch(int fd, const char *path, uint32_t mask)
{
	return (int)names(SYS_inotify_add_watch, fd, (long)path, mask, 0, 0);
}

#define GET_XATTR(name)                                                                    \
	EXPORT ssize_t name(const char *path, const char *attr, void *value, size_t n)     \
	{                                                                                  \
		return names(SYS_##name, (long)path, (long)attr, (long)value, (long)n, 0); \
	}
GET_XATTR(getxattr)
GET_XATTR(lgetxattr)

#define LIST_XATTR(name)                                                         \
	EXPORT ssize_t name(const char *path, char *list, size_t n)              \
	{                                                                        \
		return names(SYS_##name, (long)path, (long)list, (long)n, 0, 0); \
	}
LIST_XATTR(listxattr)
LIST_XATTR(llistxattr)

#define SET_XATTR(name)                                                                     \
	EXPORT int name(const char *path, const char *attr, const void *value, size_t n,    \
			int flags)                                                          \
	{                                                                                   \
		return (int)names(SYS_##name, (long)path, (long)attr, (long)value, (long)n, \
				  flags);                                                   \
	}
SET_XATTR(setxattr)
SET_XATTR(lsetxattr)

#define REMOVE_XATTR(name)                                                      \
	EXPORT int name(const char *path, const char *attr)                     \
	{                                                                       \
		return (int)names(SYS_##name, (long)path, (long)attr, 0, 0, 0); \
	}
REMOVE_XATTR(removexattr)
REMOVE_XATTR(lremovexattr)

EXPORT int truncate64(const char *path, off64_t len)
{
	shim_keep_truncate(path, len);
	return (int)names(SYS_truncate, (long)path, len, 0, 0, 0);
}
EXPORT int truncate(const char *path, off_t len) __attribute__((alias("truncate64")));

EXPORT int unlink(const char *path)
{
	return (int)names(SYS_unlink, (long)path, 0, 0, 0, 0);
}

EXPORT int unlinkat(int dirfd, const char *path, int flags)
{
	return (int)names(SYS_unlinkat, dirfd, (long)path, flags, 0, 0);
}

EXPORT int rmdir(const char *path)
{
	return (int)names(SYS_rmdir, (long)path, 0, 0, 0, 0);
}

EXPORT int remove(const char *path)
{
	return unlink(path) && (errno != EISDIR || rmdir(path)) ? -1 : 0;
}

EXPORT int mkdir(const char *path, mode_t mode)
{
	return (int)names(SYS_mkdir, (long)path, mode, 0, 0, 0);
}

EXPORT int mkdirat(int dirfd, const char *path, mode_t mode)
{
	return (int)names(SYS_mkdirat, dirfd, (long)path, mode, 0, 0);
}

EXPORT int mknodat(int dirfd, const char *path, mode_t mode, dev_t dev)
{
	if ((uint32_t)dev != dev)
		return (int)shim_ret(-EINVAL);
	return (int)names(SYS_mknodat, dirfd, (long)path, mode, (long)dev, 0);
}

EXPORT int mknod(const char *path, mode_t mode, dev_t dev)
{
	return mknodat(AT_FDCWD, path, mode, dev);
}

EXPORT int mkfifoat(int dirfd, const char *path, mode_t mode)
{
	return mknodat(dirfd, path, mode | S_IFIFO, 0);
}

EXPORT int mkfifo(const char *path, mode_t mode)
{
	return mkfifoat(AT_FDCWD, path, mode);
}

EXPORT int symlink(const char *target, const char *path)
{
	return (int)names(SYS_symlink, (long)target, (long)path, 0, 0, 0);
}

EXPORT int symlinkat(const char *target, int dirfd, const char *path)
{
	return (int)names(SYS_symlinkat, (long)target, dirfd, (long)path, 0, 0);
}

EXPORT int rename(const char *from, const char *to)
{
	return (int)names(SYS_rename, (long)from, (long)to, 0, 0, 0);
}

EXPORT int renameat(int fromfd, const char *from, int tofd, const char *to)
{
	return (int)names(SYS_renameat, fromfd, (long)from, tofd, (long)to, 0);
}

EXPORT int renameat2(int fromfd, const char *from, int tofd, const char *to, unsigned flags)
{
	return (int)names(SYS_renameat2, fromfd, (long)from, tofd, (long)to, flags);
}

EXPORT int link(const char *from, const char *to)
{
	return (int)names(SYS_link, (long)from, (long)to, 0, 0, 0);
}

EXPORT int linkat(int fromfd, const char *from, int tofd, const char *to, int flags)
{
	return (int)names(SYS_linkat, fromfd, (long)from, tofd, (long)to, flags);
}
