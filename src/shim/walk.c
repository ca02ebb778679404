/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/walk.c: paths whose text alone does not tell where they lead: the kernel's walk, made once
 * more. All of it needs room for whole paths, and runs on a stack of ours (shim_run).
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/guard.h"
#include "shim/handles.h"
#include "shim/paths.h"
#include "shim/scope.h"
#include "shim/shim.h"

struct with_room {
	long (*fn)(void *arg, char *room);
	void *arg;
};

static long run_with_room(void *arg)
{
	const struct with_room *w = arg;
	char room[SHIM_PATH_LONG];

	return w->fn(w->arg, room);
}

long shim_run_with_room(long (*fn)(void *arg, char *room), void *arg)
{
	struct with_room w = { fn, arg };

	return shim_run(run_with_room, &w);
}

/*
 * Add @text to the @len bytes at @out: single slashes, no "." components. ".." is kept and
 * reported. A slash at the end is kept: it means "follow".
 */
static ssize_t append(char *out, size_t len, size_t size, const char *text, bool *dotdot)
{
	while (*text) {
		size_t n;

		while (*text == '/')
			text++;
		n = strcspn(text, "/");
		if (!n || (n == 1 && text[0] == '.')) {
			text += n;
			if (!*text) {
				/* "dir/" and "dir/." */
				if (len + 2 > size)
					return -ENAMETOOLONG;
				if (!len || out[len - 1] != '/')
					out[len++] = '/';
			}
			continue;
		}
		if (n == 2 && text[0] == '.' && text[1] == '.')
			*dotdot = true;
		if (len + n + 2 > size)
			return -ENAMETOOLONG;
		if (!len || out[len - 1] != '/')
			out[len++] = '/';
		memcpy(out + len, text, n);
		len += n;
		text += n;
	}
	out[len] = '\0';
	return (ssize_t)len;
}

/* Return the path that the kernel has for @virt, which has room in front for the run directory. */
static char *real_of(char *virt)
{
	return shim_in_view(virt) ? memcpy(virt - shim.run_len, shim.run_dir, shim.run_len) : virt;
}

static long read_link(char *virt, char *buf, size_t size)
{
	long n = sys_call(SYS_readlinkat, AT_FDCWD, (long)real_of(virt), (long)buf, (long)size - 1,
			  0, 0);

	if (n >= 0)
		buf[n] = '\0';
	return n;
}

/*
 * True if ".." may come behind @virt, which has to be a directory that can be searched. There is
 * room behind @virt.
 */
static bool is_way(char *virt, size_t len)
{
	long rc;

	if (!len)
		return true;
	strcpy(virt + len, "/.");
	rc = sys_call(SYS_faccessat, AT_FDCWD, (long)real_of(virt), F_OK, 0, 0, 0);
	virt[len] = '\0';
	return !rc;
}

/*
 * Walk @path as the kernel does, in place: no ".." remains, and links are followed, in the last
 * component if @follow. *@through: it came through the view. False: it ends on the way, and the
 * kernel will say why.
 */
static bool walk(char *path, bool follow, bool *through)
{
	char todo[PATH_MAX], link[PATH_MAX], real[2 * PATH_MAX + 4], *out = real + shim.run_len;
	bool slash = path[strlen(path) - 1] == '/';
	size_t len = 0;
	unsigned links = 0;
	char *p = todo;

	*through = false;
	out[0] = '\0';
	strcpy(todo, path);
	for (;;) {
		size_t n, before = len;
		bool last;
		long l;

		while (*p == '/')
			p++;
		n = strcspn(p, "/");
		last = !p[n];
		if (!n)
			break;
		if (n == 1 && p[0] == '.') {
			p += n;
			continue;
		}
		if (n == 2 && p[0] == '.' && p[1] == '.') {
			if (!is_way(out, len))
				return false;
			while (len && out[--len] != '/')
				;
			out[len] = '\0';
			p += n;
			continue;
		}
		if (len + n + 2 > PATH_MAX)
			return false;
		out[len++] = '/';
		memcpy(out + len, p, n);
		len += n;
		out[len] = '\0';
		p += n;
		*through |= shim_in_view(out);
		if (last && !follow)
			break;
		l = read_link(out, link, sizeof(link));
		if (l == -EINVAL || (l < 0 && last))
			continue; /* no link */
		/* 40: as the kernel, MAXSYMLINKS of linux/namei.h */
		if (l < 0 || ++links > 40 || (size_t)l + strlen(p) + 2 > sizeof(link))
			return false;
		l = (long)shim_unmap(link, (size_t)l);
		strcpy(link + l, p);
		strcpy(todo, link);
		p = todo;
		len = link[0] == '/' ? 0 : before;
		out[len] = '\0';
	}
	if ((!len || slash) && (!len || out[len - 1] != '/'))
		out[len++] = '/';
	out[len] = '\0';
	strcpy(path, out);
	return true;
}

static bool fd_path(int fd, char *path, size_t size)
{
	long n = sys_readlink_fd(fd, path, size);

	if (n <= 0 || path[0] != '/')
		return false;
	shim_unmap(path, (size_t)n);
	return true;
}

struct name {
	int fd;
	const char *text;
};

static long is_node(void *arg, char *path)
{
	struct name *n = arg;
	unsigned id;
	size_t len;

	if (!fd_path(n->fd, path, SHIM_PATH_LONG))
		return false;
	len = strlen(path);
	if (len + strlen(n->text) + 2 > SHIM_PATH_LONG)
		return false;
	path[len] = '/';
	strcpy(path + len + 1, n->text);
	return vfio_node_find(path, &id, NULL) != NULL;
}

bool shim_fd_has_node(int fd, const char *name)
{
	struct name n = { fd, name };

	return shim_run_with_room(is_node, &n);
}

/* Write the directory where a relative path starts, as the program knows it, to @base. */
static bool base_of(int dirfd, char *base, size_t size)
{
	long n;

	if (dirfd != AT_FDCWD)
		return fd_path(dirfd, base, size);
	n = sys_call(SYS_getcwd, (long)base, (long)size, 0, 0, 0, 0);
	if (n <= 0 || base[0] != '/')
		return false;
	shim_unmap(base, (size_t)n - 1); /* the end counts */
	return true;
}

/* Write the same to @out (PATH_MAX), as append() has it: its length or -errno. */
static ssize_t append_base(int dirfd, char *out)
{
	char base[PATH_MAX];
	bool dotdot;
	ssize_t len;

	if (!base_of(dirfd, base, sizeof(base)))
		return -ENOENT;
	len = append(out, 0, PATH_MAX, base, &dotdot);
	return len == 1 ? 0 : len; /* "/" */
}

/* Write @path from the root to @out (PATH_MAX); false: it cannot be had. */
static bool absolute(int dirfd, const char *path, char *out, bool *dotdot)
{
	char in[PATH_MAX];
	ssize_t len = 0;

	/* an unreadable or endless path is the kernel's to refuse */
	if (guard_strncpy(in, path, sizeof(in)) <= 0)
		return false;
	if (in[0] != '/')
		len = append_base(dirfd, out);
	*dotdot = false;
	return len >= 0 && append(out, (size_t)len, PATH_MAX, in, dotdot) >= 0;
}

/*
 * Write @in without ".." to @out, as if there were no links: good enough to see that a path goes
 * nowhere near the view.
 */
static void lexical(const char *in, char *out)
{
	size_t len = 0;

	while (*in) {
		size_t n;

		while (*in == '/')
			in++;
		n = strcspn(in, "/");
		if (n == 2 && in[0] == '.' && in[1] == '.') {
			while (len && out[--len] != '/')
				;
		} else if (n) {
			out[len++] = '/';
			memcpy(out + len, in, n);
			len += n;
		}
		in += n;
	}
	out[len] = '\0';
}

/* True if @path may have to do with the view. */
static bool goes_near(const char *path)
{
	char lex[PATH_MAX];

	lexical(path, lex);
	return shim_near_view(lex) || shim_near_view(path);
}

bool shim_path_start(int dirfd, const char *path, char *base, size_t size, bool *inside)
{
	char whole[PATH_MAX];

	if (!base_of(dirfd, base, size) ||
	    snprintf(whole, sizeof(whole), "%s/%s", base, path) >= (int)sizeof(whole))
		return false;
	*inside = shim_in_view(base);
	return *inside || (shim_above_view(base) && goes_near(whole));
}

long shim_walk(void *arg)
{
	struct shim_walk *w = arg;
	struct shim_path *p = w->p;
	char real[SHIM_PATH_LONG], *out = real + shim.run_len, *text;
	bool dotdot, through = false, in_view;
	size_t n;

	if (!absolute(w->dirfd, w->path, out, &dotdot))
		return 0;
	if (w->again) {
		if (!walk(out, w->follow, &through) || !through)
			return 0;
		/*
		 * one that ends in the view has to end there for the kernel, too: it stays as it is
		 */
	} else if (dotdot && !walk(out, false, &through) && !shim_in_view(out)) {
		return 0;
	}
	in_view = shim_in_view(out);
	if (!in_view)
		p->above = shim_above_view(out);
	if (!in_view && !through)
		return 0;
	text = in_view ? memcpy(real, shim.run_dir, shim.run_len) : out;
	n = strlen(text) + 1;
	w->is_long = n > sizeof(p->real);
	if (w->is_long && !p->room)
		return 1;
	p->text = memcpy(w->is_long ? p->room : p->real, text, n);
	p->virt = in_view ? p->text + shim.run_len : NULL;
	return 1;
}

long shim_cwd_is_near(void *unused)
{
	char cwd[PATH_MAX];
	long n = sys_call(SYS_getcwd, (long)cwd, sizeof(cwd), 0, 0, 0, 0);

	return n <= 0 || shim_near_view(cwd) || !strncmp(cwd, shim.run_dir, shim.run_len);
}

long shim_walk_link(void *arg)
{
	struct shim_text *t = arg;
	char text[SHIM_PATH_LONG];
	size_t n;
	long rc = sys_call(SYS_readlinkat, t->dirfd, (long)t->path, (long)text, sizeof(text) - 1, 0,
			   0);

	if (rc < 0)
		return rc;
	n = shim_link_text(text, (size_t)rc);
	text[n] = '\0';
	n = shim_unmap(text, n);
	if (n > t->size)
		n = t->size;
	rc = guard_copy(t->buf, text, n);
	return rc ? rc : (long)n;
}

long shim_walk_cwd(void *arg)
{
	struct shim_text *t = arg;
	char text[SHIM_PATH_LONG];
	size_t n;
	long rc = sys_call(SYS_getcwd, (long)text, sizeof(text), 0, 0, 0, 0);

	if (rc < 0)
		return rc;
	n = shim_unmap(text, (size_t)rc - 1) + 1;
	if (n > t->size)
		return -ERANGE;
	rc = guard_copy(t->buf, text, n);
	return rc ? rc : (long)n;
}
