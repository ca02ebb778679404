/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine/view/tree.c: see tree.h. Straight to the kernel: a program that runs under the shim may
 * write a view, too.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/report.h"
#include "base/sys.h"
#include "machine/view/tree.h"

static void fail(struct tree *t, const char *path, long rc)
{
	if (t->err)
		return;
	t->err = (int)rc;
	report_err("view-write", "machine", (int)rc, "cannot write the view: %s: %m", path);
}

/* Put root and @path together. */
static int name_of(struct tree *t, const char *path, char full[PATH_MAX])
{
	int n = snprintf(full, PATH_MAX, "%s/%s", t->root, path);

	if (!t->err && (n < 0 || n >= PATH_MAX))
		fail(t, path, -ENAMETOOLONG);
	return t->err;
}

/*
 * If @rc says that @full is in no directory, make the directories above its last component. True:
 * try again.
 */
static bool make_way(struct tree *t, char *full, long rc)
{
	if (rc != -ENOENT || t->err)
		return false;
	for (char *p = full + strlen(t->root) + 1; (p = strchr(p, '/')); p++) {
		*p = 0;
		rc = sys_call(SYS_mkdirat, AT_FDCWD, (long)full, 0755, 0, 0, 0);
		if (rc < 0 && rc != -EEXIST)
			fail(t, full, rc);
		*p = '/';
	}
	return !t->err;
}

/* System call @nr on @full, once more if its directory had to be made first. */
#define CALL(t, full, nr, ...)                                            \
	({                                                                \
		long rc_ = sys_call(nr, __VA_ARGS__);                     \
		make_way(t, full, rc_) ? sys_call(nr, __VA_ARGS__) : rc_; \
	})

void tree_dir(struct tree *t, const char *path)
{
	char full[PATH_MAX];
	long rc;

	if (name_of(t, path, full))
		return;
	rc = CALL(t, full, SYS_mkdirat, AT_FDCWD, (long)full, 0755, 0, 0, 0);
	if (rc < 0 && rc != -EEXIST)
		fail(t, full, rc);
}

static void write_file(struct tree *t, unsigned mode, int flags, const char *path, const void *data,
		       size_t len)
{
	const char *p = data;
	char full[PATH_MAX];
	ssize_t n;
	long rc;
	int fd;

	if (name_of(t, path, full))
		return;
	fd = (int)CALL(t, full, SYS_openat, AT_FDCWD, (long)full,
		       O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC | flags, 0600, 0, 0);
	if (fd < 0) {
		fail(t, full, fd);
		return;
	}
	while (len) {
		n = sys_write(fd, p, len);
		if (n == -EINTR)
			continue;
		if (n <= 0) {
			fail(t, full, n ? n : -EIO);
			break;
		}
		p += n;
		len -= (size_t)n;
	}
	/* not left to the umask */
	rc = sys_call(SYS_fchmod, fd, mode, 0, 0, 0, 0);
	if (rc < 0)
		fail(t, full, rc);
	sys_close(fd);
}

void tree_lock(struct tree *t, const char *path)
{
	char full[PATH_MAX];
	struct stat st;
	long rc;
	int fd;

	if (name_of(t, path, full))
		return;
	fd = (int)CALL(t, full, SYS_openat, AT_FDCWD, (long)full,
		       O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600, 0, 0);
	if (fd < 0) {
		fail(t, full, fd);
		return;
	}
	rc = sys_call(SYS_fstat, fd, (long)&st, 0, 0, 0, 0);
	if (!rc && st.st_uid != (uid_t)sys_call(SYS_geteuid, 0, 0, 0, 0, 0, 0))
		rc = sys_call(SYS_fchown, fd, sys_call(SYS_geteuid, 0, 0, 0, 0, 0, 0),
			      sys_call(SYS_getegid, 0, 0, 0, 0, 0, 0), 0, 0, 0);
	if (!rc)
		rc = sys_call(SYS_fchmod, fd, 0600, 0, 0, 0, 0);
	if (rc < 0)
		fail(t, full, rc);
	sys_close(fd);
}

void tree_data(struct tree *t, unsigned mode, const char *path, const void *data, size_t len)
{
	write_file(t, mode, O_EXCL, path, data, len);
}

void tree_replace(struct tree *t, unsigned mode, const char *path, const void *data, size_t len)
{
	char next[PATH_MAX];

	snprintf(next, sizeof(next), "%s.new", path);
	write_file(t, mode, O_TRUNC, next, data, len);
	tree_move(t, next, path);
}

/* Return the text of a file, to be freed; NULL: no memory, and the tree has failed. */
static char *format(struct tree *t, const char *path, const char *fmt, va_list ap)
{
	char *text;

	if (vasprintf(&text, fmt, ap) >= 0)
		return text;
	fail(t, path, -ENOMEM);
	return NULL;
}

void tree_text(struct tree *t, unsigned mode, const char *path, const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	text = format(t, path, fmt, ap);
	va_end(ap);
	if (text)
		tree_data(t, mode, path, text, strlen(text));
	free(text);
}

void tree_node(struct tree *t, unsigned mode, const char *path)
{
	char full[PATH_MAX];
	long rc;

	if (name_of(t, path, full))
		return;
	rc = CALL(t, full, SYS_mknodat, AT_FDCWD, (long)full, S_IFSOCK | mode, 0, 0, 0);
	if (!rc) /* whatever the umask is */
		rc = sys_call(SYS_fchmodat, AT_FDCWD, (long)full, mode, 0, 0, 0);
	if (rc < 0)
		fail(t, path, (int)rc);
}

void tree_link(struct tree *t, const char *path, const char *target)
{
	char full[PATH_MAX];
	long rc;

	if (name_of(t, path, full))
		return;
	rc = CALL(t, full, SYS_symlinkat, (long)target, AT_FDCWD, (long)full, 0, 0, 0);
	if (rc < 0)
		fail(t, full, rc);
}

void tree_remove(struct tree *t, const char *path)
{
	char full[PATH_MAX];
	long rc;

	if (name_of(t, path, full))
		return;
	rc = sys_call(SYS_unlinkat, AT_FDCWD, (long)full, 0, 0, 0, 0);
	if (rc == -EISDIR)
		rc = sys_call(SYS_unlinkat, AT_FDCWD, (long)full, AT_REMOVEDIR, 0, 0, 0);
	if (rc < 0 && rc != -ENOENT && rc != -ENOTDIR)
		fail(t, full, rc);
}

/* Remove what is in the directory @full, which is open as @fd. */
static void empty(struct tree *t, const char *path, int fd)
{
	char buf[1024] __attribute__((aligned(8))), name[PATH_MAX];
	struct dirent64 *e;
	long n;
	bool any;

	/* entries that go shift the others: it is read anew until nothing is left */
	do {
		any = false;
		sys_call(SYS_lseek, fd, 0, SEEK_SET, 0, 0, 0);
		n = sys_call(SYS_getdents64, fd, (long)buf, sizeof(buf), 0, 0, 0);
		for (long at = 0; at < n && !t->err; at += e->d_reclen) {
			e = (struct dirent64 *)(buf + at);
			if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
				continue;
			if (snprintf(name, sizeof(name), "%s/%s", path, e->d_name) >=
			    (int)sizeof(name)) {
				fail(t, path, -ENAMETOOLONG);
				return;
			}
			tree_remove_all(t, name);
			any = true;
		}
	} while (any && !t->err);
}

void tree_remove_all(struct tree *t, const char *path)
{
	char full[PATH_MAX];
	int fd;

	if (name_of(t, path, full))
		return;
	fd = sys_open(full, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
	if (fd >= 0) {
		empty(t, path, fd);
		sys_close(fd);
	}
	tree_remove(t, path);
}

void tree_move(struct tree *t, const char *from, const char *to)
{
	char a[PATH_MAX], b[PATH_MAX];
	long rc;

	if (name_of(t, from, a) || name_of(t, to, b))
		return;
	rc = CALL(t, b, SYS_renameat, AT_FDCWD, (long)a, AT_FDCWD, (long)b, 0, 0);
	if (rc < 0)
		fail(t, a, rc);
}
