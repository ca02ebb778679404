/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/links.c: calls that tell a path, which is translated back: readlink, realpath, getcwd; and
 * chdir, which changes what a relative one means.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/guard.h"
#include "shim/handles.h"
#include "shim/paths.h"
#include "shim/scope.h"
#include "shim/shim.h"

/* True if @text, which the kernel wrote and may have cut, begins with @with as far as it goes. */
static bool begins(const char *text, size_t n, const char *with, size_t len)
{
	return !memcmp(text, with, n < len ? n : len);
}

/*
 * Read the link at @use to @buf. The program may look at what stands behind the text there, which
 * must stay; so the text of a link that may be ours is read to another place first.
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

/* Return the directory in new memory of @size, or of as much as it needs (libc's extension). */
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
