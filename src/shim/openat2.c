/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/openat2.c: openat2(2): openat with conditions on the way that a path takes. Whether the way
 * is allowed is the kernel's to say: it is asked for a descriptor of the place alone (O_PATH) on
 * the tree below the run directory, in which the same names lead to the same places; and what is
 * there is then opened as openat would do it.
 */
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/guard.h"
#include "shim/handles.h"
#include "shim/paths.h"
#include "shim/scope.h"
#include "shim/shim.h"

#define SCOPED (RESOLVE_BENEATH | RESOLVE_IN_ROOT)

static long call(int dirfd, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve)
{
	struct open_how how = { .flags = flags, .mode = mode, .resolve = resolve };

	return sys_call(SYS_openat2, dirfd, (long)path, (long)&how, sizeof(how), 0, 0);
}

struct start {
	struct shim_path p;
	char real[PATH_MAX]; /* its directory, below the run directory */
	const char *path;    /* what to ask for */
	int dirfd;	     /* from where; to be closed if it is @own */
	int own;
	bool crosses; /* from the root of the file system to /dev or /sys */
};

/*
 * The tree in which a path that may not leave its start is looked up. A start that is in the view
 * is one of the run directory anyway; one above it ("/", "/dev") has its like there. False: it has
 * nothing to do with the view.
 */
static bool start_scoped(struct start *s, const char *path, uint64_t resolve)
{
	char *base = s->real + shim.run_len;
	bool inside;

	/* under RESOLVE_IN_ROOT the start is the root; RESOLVE_BENEATH does not allow it */
	if (resolve & RESOLVE_IN_ROOT)
		path += strspn(path, "/");
	if (*path == '/' ||
	    !shim_path_start(s->dirfd, path, base, sizeof(s->real) - shim.run_len, &inside))
		return false;
	s->path = *path ? path : ".";
	if (inside)
		return true;
	memcpy(s->real, shim.run_dir, shim.run_len);
	s->crosses = !strcmp(base, "/");
	s->own = sys_open(s->real, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
	s->dirfd = s->own;
	return s->own >= 0;
}

/* Do the same for a path that may go anywhere. */
static bool start_free(struct start *s, const char *path)
{
	s->path = shim_path_at(&s->dirfd, path, &s->p);
	s->crosses = *path == '/';
	if (!s->p.virt) {
		shim_path_done(&s->p);
		return false;
	}
	/*
	 * from the run directory, which may be on another file system than the root (a tmpfs on
	 * /tmp)
	 */
	if (!strncmp(s->path, shim.run_dir, shim.run_len) && s->path[shim.run_len] == '/') {
		s->own = sys_open(shim.run_dir, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
		if (s->own >= 0) {
			s->dirfd = s->own;
			s->path += shim.run_len + 1;
		}
	}
	return true;
}

static __attribute__((noinline)) long resolve_open(int dirfd, const char *user_path,
						   const struct open_how *how)
{
	struct start s = { .dirfd = dirfd, .own = -1 };
	uint64_t at = O_PATH | (how->flags & (O_NOFOLLOW | O_DIRECTORY | O_CLOEXEC)),
		 resolve = how->resolve;
	char path[PATH_MAX], text[PATH_MAX];
	long fd, rc = 0;

	if (guard_strncpy(path, user_path, sizeof(path)) <= 0)
		return -ENOTTY;
	if (!(resolve & SCOPED ? start_scoped(&s, path, resolve) : start_free(&s, path)))
		return -ENOTTY;
	if (resolve & RESOLVE_NO_XDEV && s.crosses) {
		rc = call(AT_FDCWD, s.p.virt && !strncmp(s.p.virt, "/sys", 4) ? "/sys" : "/dev",
			  O_PATH | O_CLOEXEC, 0, RESOLVE_NO_XDEV);
		if (rc >= 0)
			sys_close((int)rc);
	}
	fd = rc == -EXDEV ? rc : call(s.dirfd, s.path, at, 0, resolve);
	shim_path_done(&s.p);
	if (s.own >= 0)
		sys_close(s.own);
	if (fd == -ENOENT && how->flags & O_CREAT)
		return report_warn("view-fixed", SHIM_WHO, -EACCES,
				   "openat2: uvfio's view of sysfs and /dev cannot be changed");
	if (fd < 0)
		return fd;
	if (!shim_fd_link((int)fd, text, sizeof(text))) {
		/* it left the view */
		sys_close((int)fd);
		return -ENOTTY;
	}
	shim_fd_mark((int)fd, false);
	if (how->flags & O_PATH)
		return fd;
	shim_close((int)fd);
	return shim_open(AT_FDCWD, text, (int)how->flags, (mode_t)how->mode);
}

struct args {
	int dirfd;
	const char *path;
	const struct open_how *how;
};

static long run(void *arg)
{
	struct args *a = arg;

	return resolve_open(a->dirfd, a->path, a->how);
}

long shim_openat2(int dirfd, const char *path, const void *user_how, size_t size)
{
	struct open_how how;
	struct args a = { dirfd, path, &how };
	long rc;

	if (!shim.on)
		return sys_call(SYS_openat2, dirfd, (long)path, (long)user_how, (long)size, 0, 0);
	/*
	 * the kernel looks at @how first: then it says that no path was given, or opens where we
	 * are
	 */
	rc = sys_call(SYS_openat2, AT_FDCWD, (long)"", (long)user_how, (long)size, 0, 0);
	if (rc >= 0)
		sys_close((int)rc);
	else if (rc != -ENOENT)
		return rc;
	if (guard_copy(&how, user_how, sizeof(how)))
		return -EFAULT;
	/* what is not in the cache may be EAGAIN, and need not be */
	how.resolve &= ~(uint64_t)RESOLVE_CACHED;
	if (!how.resolve && !(how.flags >> 32))
		return shim_open(dirfd, path, (int)how.flags, (mode_t)how.mode);
	rc = shim_run(run, &a);
	return rc == -ENOTTY
		       ? sys_call(SYS_openat2, dirfd, (long)path, (long)user_how, (long)size, 0, 0)
		       : rc;
}

EXPORT int openat2(int dirfd, const char *path, const struct open_how *how, size_t size);
EXPORT int openat2(int dirfd, const char *path, const struct open_how *how, size_t size)
{
	return (int)shim_ret(shim_openat2(dirfd, path, how, size));
}
