/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/open.c: open and its kin. A path of the view becomes the one below the run directory; a file
 * of /dev/vfio becomes a handle; `config` of one of our functions becomes the hardware's config
 * space of this moment.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include "shim/handles.h"
#include "shim/mem.h"
#include "shim/pagemap.h"
#include "shim/paths.h"
#include "shim/scope.h"
#include "shim/shim.h"

int shim_open_node(const char *virt, int flags, struct uapi_file **out)
{
	const struct vfio_node *node;
	struct machine *m;
	unsigned id;
	int rc = 0;
	bool was;

	if (!shim_node_is_there(virt))
		return -ENOENT;
	m = shim_machine(&rc);
	if (!m)
		return rc;
	node = vfio_node_find(virt, &id, NULL);
	shim_handles_drain();
	was = shim_drain_off(true);
	do {
		/* what stands for hardware, which may have come or gone */
		if (node->numbered)
			rc = machine_sync(m);
		if (!rc)
			rc = uapi_open(machine_system(m), &shim_fds, virt, flags, out);
	} while (rc == -EAGAIN);
	/* now that it is open, it cannot go any more; before, it could */
	if (!rc && !shim_node_is_there(virt)) {
		uapi_file_put(*out);
		rc = -ENOENT;
	}
	shim_drain_off(was);
	return rc;
}

static long open_handle(const char *virt, int flags)
{
	struct uapi_file *f;
	int rc;

	if (shim.far) {
		if (!shim_node_is_there(virt))
			return -ENOENT;
		shim_handles_drain();
		return uapi_far_open(shim.far, &shim_fds, virt, flags);
	}
	rc = shim_open_node(virt, flags, &f);

	if (rc)
		return rc;
	/* fs/open.c, do_dentry_open(): asked of a file that is open already */
	rc = flags & O_DIRECT ? -EINVAL : shim_handle_install(f, flags);
	if (rc < 0)
		uapi_file_put(f);
	return rc;
}

static bool is_node(const char *virt)
{
	unsigned id;

	return vfio_node_find(virt, &id, NULL);
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

/* True if @flags let the program write: a write that has no effect would be a false success. */
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

	if (is_node(p->virt) && !(flags & O_PATH)) {
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
			report_warn("view-fixed", SHIM_WHO, -EACCES,
				    "%s: opened for writing: uvfio's view of sysfs is read-only",
				    p->virt);
			*fd = -EACCES;
		}
		return true;
	}
	*fd = shim_config_open(p->virt, flags);
	return *fd != -ENOENT;
}

/*
 * Open the path @p of the view if the kernel must not do it: true, and the descriptor or -errno in
 * *@fd.
 */
static bool open_view(const struct shim_path *p, int flags, long *fd)
{
	struct open_args a = { p, flags, fd };

	/* fs/open.c, build_open_flags(), of any path; before Linux 6.4 it would make a file here */
	if ((flags & (O_CREAT | O_DIRECTORY | O_PATH)) == (O_CREAT | O_DIRECTORY)) {
		*fd = -EINVAL;
		return true;
	}
	if (is_node(p->virt)) {
		/* it is none, and so the kernel will say of what stands there */
		if (flags & O_DIRECTORY || flags & O_PATH)
			return false;
	} else if (!opens_to_write(flags) && !shim_attr_shows(p->virt)) {
		return false;
	}
	return shim_run(run_open_view, &a);
}

/* Return the descriptor that @p is the path of, if it may be a handle or of the view; else -1. */
static int self_fd(const struct shim_path *p)
{
	return p->fd >= 0 && (shim_fd_maybe_handle(p->fd) || shim_fd_maybe_view(p->fd)) ? p->fd
											: -1;
}

struct node_args {
	int fd;
	char *node;
};

static long run_node(void *arg, char *text)
{
	struct node_args *a = arg;

	if (!shim_fd_link(a->fd, text, SHIM_PATH_LONG))
		return 0;
	if (!is_node(text) || strlen(text) >= VFIO_NODE_NAME)
		return text[0] == '/' ? 0 : -1;
	strcpy(a->node, text);
	return 1;
}

int shim_fd_node(int fd, char node[VFIO_NODE_NAME])
{
	struct node_args a = { fd, node };

	return (int)shim_run_with_room(run_node, &a);
}

int shim_path_of_handle(struct shim_path *p)
{
	int rc, dirfd = AT_FDCWD, fd = self_fd(p);
	char node[VFIO_NODE_NAME];

	if (fd < 0)
		return 0;
	rc = shim_fd_node(fd, node);
	if (rc == 1)
		shim_path_at(&dirfd, node, p);
	return rc;
}

/*
 * Open once more the file of which @p is a link in /proc, if it is one of ours: true and *@fd. A
 * device node is opened anew; an anonymous inode cannot be (fs/anon_inodes.c). An open of the link
 * itself, or with O_PATH, is the kernel's to do.
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

/* ---- /proc/self/fdinfo/N ---- */

/*
 * Write what stands there of a handle to @text; @path, of the same PATH_MAX bytes, is room. As
 * fs/proc/fd.c, and what vfio_device_show_fdinfo() adds. Return its length.
 */
static __attribute__((noinline)) size_t write_info(int fd, struct uapi_file *f, char *text,
						   char *path)
{
	long fl = shim_fcntl(fd, F_GETFL, 0), fdfl = shim_fcntl(fd, F_GETFD, 0), len;
	char addr[PCI_ADDRESS_TEXT];
	struct pci_address a;
	struct stat st = { 0 };
	size_t n;

	sys_call(SYS_fstat, fd, (long)&st, 0, 0, 0, 0);
	n = (size_t)snprintf(text, PATH_MAX, "pos:\t%llu\nflags:\t0%lo\nmnt_id:\t%d\nino:\t%lu\n",
			     (unsigned long long)uapi_file_pos(f),
			     (unsigned long)fl | (fdfl & FD_CLOEXEC ? O_CLOEXEC : 0), 6,
			     (unsigned long)st.st_ino);
	if (!uapi_file_address(f, &a))
		return n;
	pci_address_print(&a, addr);
	snprintf(path, PATH_MAX, "%.4000s/sys/bus/pci/devices/%s", shim.run_dir, addr);
	/* "../../../devices/pci0000:01/0000:01:00.0" */
	len = sys_call(SYS_readlinkat, AT_FDCWD, (long)path, (long)path, PATH_MAX / 2, 0, 0);
	if (len <= 8)
		return n;
	return n + (size_t)snprintf(text + n, PATH_MAX - n, "vfio-device-syspath: /sys%.*s\n",
				    (int)len - 8, path + 8);
}

struct info_args {
	int fd, flags;
};

static long run_open_info(void *arg, char *text)
{
	const struct info_args *a = arg;
	struct shim_handle *h = shim_handle_get(a->fd, NULL, NULL);
	struct uapi_file *f = h && !shim_handle_is_dead(h) ? shim_handle_file(h) : NULL;
	char name[SYS_FD_NAME];
	long fd = -ENOENT;
	size_t n;

	if (f) {
		n = write_info(a->fd, f, text, text + PATH_MAX);
		fd = shim_memfd("fdinfo");
		if (fd >= 0 && sys_pwrite((int)fd, text, n, 0) != (ssize_t)n) {
			sys_close((int)fd);
			fd = -ENOMEM;
		}
	}
	if (h)
		shim_handle_put(h);
	if (fd < 0)
		return fd;
	n = (size_t)sys_call(SYS_openat, AT_FDCWD, (long)sys_fd_name(name, (int)fd),
			     O_RDONLY | (a->flags & O_CLOEXEC), 0, 0, 0);
	sys_close((int)fd);
	return (long)n;
}

/*
 * Open the information about a handle, which the kernel would give of a memfd; false: @p is none.
 */
static bool open_info(const struct shim_path *p, int flags, long *fd)
{
	struct info_args a = { p->info, flags };

	if (p->info < 0 || !shim_fd_maybe_handle(p->info) || flags & O_PATH ||
	    (flags & O_ACCMODE) != O_RDONLY)
		return false;
	*fd = shim_run_with_room(run_open_info, &a);
	return *fd != -ENOENT;
}

typedef int open_fn(int dirfd, const char *path, int flags, ...);

static long do_open(int dirfd, const char *path, int flags, mode_t mode, open_fn *call)
{
	struct shim_path p;
	const char *use = shim_path_at(&dirfd, path, &p);
	int self = self_fd(&p);
	long fd;

	do {
		if (p.virt ? open_view(&p, flags, &fd)
			   : (self >= 0 && open_again(&p, flags, &fd)) ||
				     open_info(&p, flags, &fd)) {
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
	if (fd >= 0 && shim_pagemap_path(path))
		shim_pagemap_opened((int)fd);
	if (fd >= 0 && self >= 0)
		shim_fd_copy_marks(self, (int)fd);
	shim_path_done(&p);
	return fd;
}

void shim_keep_open(int dirfd, const char *path, int flags)
{
	if (flags & O_TRUNC && !(flags & (O_PATH | O_EXCL | O_DIRECTORY)) && dirfd == AT_FDCWD)
		shim_keep_truncate(path, 0);
}

long shim_open(int dirfd, const char *path, int flags, mode_t mode)
{
	shim_keep_open(dirfd, path, flags);
	return do_open(dirfd, path, flags, mode, NULL);
}

static int open_ret(int dirfd, const char *path, int flags, mode_t mode)
{
	/* libc's, which is a cancellation point */
	NEXT(openat);
	shim_keep_open(dirfd, path, flags);
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
