/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/dirs.c: libc functions that walk directories by themselves: what they call inside of libc
 * does not come to our wrappers, so they get the path below the run directory, and what they say of
 * paths is translated back.
 */
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>

#include "shim/handles.h"
#include "shim/paths.h"
#include "shim/shim.h"

EXPORT DIR *opendir(const char *path)
{
	int fd = AT_FDCWD;
	struct shim_path p;
	const char *use;
	DIR *d;

	NEXT(opendir);
	use = shim_path(path, &p);
	do
		d = real(use);
	while (!d && shim_path_again(-errno, &fd, &use, true, &p));
	shim_path_done(&p);
	/* for openat(dirfd(d), ...) */
	if (d && (p.virt || p.above))
		shim_fd_mark(dirfd(d), false);
	if (d && p.above)
		shim_list_begin(d);
	return d;
}

#define READDIR(name, type)                                                      \
	EXPORT struct type *name(DIR *d)                                         \
	{                                                                        \
		struct type *e;                                                  \
		NEXT(name);                                                      \
		do                                                               \
			e = real(shim_list_at(d));                               \
		while (shim_list_again(d, e ? e->d_name : NULL));                \
		/* the tree has sockets where the kernel has device nodes */     \
		if (e && e->d_type == DT_SOCK && shim_fd_maybe_view(dirfd(d)) && \
		    shim_fd_has_node(dirfd(d), e->d_name))                       \
			e->d_type = DT_CHR;                                      \
		return e;                                                        \
	}
READDIR(readdir, dirent)
READDIR(readdir64, dirent64)

/*
 * A path for a function that takes its time and calls the program back: not in a struct shim_path,
 * which may have signals blocked.
 */
struct place {
	int dirfd;
	bool in_view;
	char *text; /* malloc; NULL: what the program gave */
};

static const char *enter(int dirfd, const char *path, struct place *at)
{
	struct shim_path p;
	const char *use;

	at->dirfd = dirfd;
	at->text = NULL;
	use = shim_path_at(&at->dirfd, path, &p);
	at->in_view = p.virt;
	if (use != path)
		at->text = strdup(use);
	shim_path_done(&p);
	/* without memory as the real one: no such file, of which there is none without a name */
	return use == path ? path : at->text ? at->text : "";
}

static void leave(struct place *at)
{
	free(at->text);
}

#define SCANDIR(name, type)                                                      \
	EXPORT int name(const char *restrict path, struct type ***restrict list, \
			int (*filter)(const struct type *),                      \
			int (*cmp)(const struct type **, const struct type **))  \
	{                                                                        \
		struct place at;                                                 \
		int rc;                                                          \
		NEXT(name);                                                      \
		rc = real(enter(AT_FDCWD, path, &at), list, filter, cmp);        \
		leave(&at);                                                      \
		return rc;                                                       \
	}
SCANDIR(scandir, dirent)
SCANDIR(scandir64, dirent64)

#define SCANDIRAT(name, type)                                                             \
	EXPORT int name(int dfd, const char *restrict path, struct type ***restrict list, \
			int (*filter)(const struct type *),                               \
			int (*cmp)(const struct type **, const struct type **))           \
	{                                                                                 \
		struct place at;                                                          \
		const char *use;                                                          \
		int rc;                                                                   \
		NEXT(name);                                                               \
		use = enter(dfd, path, &at);                                              \
		rc = real(at.dirfd, use, list, filter, cmp);                              \
		leave(&at);                                                               \
		return rc;                                                                \
	}
SCANDIRAT(scandirat, dirent)
SCANDIRAT(scandirat64, dirent64)

/* ---- ftw: the callback has no argument of its own, so what it needs is the thread's ---- */

struct walk {
	void *fn;
};
static __thread struct walk walk;

static const char *as_seen(const char *path)
{
	size_t n = shim.run_len;

	return !strncmp(path, shim.run_dir, n) && path[n] == '/' ? path + n : path;
}

static struct stat *stat_seen(const char *path, const struct stat *in, struct stat *copy)
{
	if (!in)
		return NULL;
	*copy = *in;
	shim_path_stat(path, copy);
	return copy;
}

static int on_nftw(const char *path, const struct stat *st, int type, struct FTW *pos)
{
	const char *seen = as_seen(path);
	struct FTW p = *pos;
	struct stat copy;

	p.base -= (int)(seen - path);
	return ((__nftw_func_t)(uintptr_t)walk.fn)(seen, stat_seen(seen, st, &copy), type, &p);
}

static int on_ftw(const char *path, const struct stat *st, int type)
{
	const char *seen = as_seen(path);
	struct stat copy;

	return ((__ftw_func_t)(uintptr_t)walk.fn)(seen, stat_seen(seen, st, &copy), type);
}

struct tree {
	struct place at;
	struct walk outer; /* a callback may walk another tree */
};

/* Begin a walk of the tree at @path with @fn; return the path to give to libc. */
static const char *begin_tree(struct tree *t, const char *path, void *fn)
{
	const char *use = enter(AT_FDCWD, path, &t->at);

	t->outer = walk;
	if (t->at.in_view)
		walk.fn = fn;
	return use;
}

static int end_tree(struct tree *t, int rc)
{
	walk = t->outer;
	leave(&t->at);
	return rc;
}

EXPORT int nftw(const char *path, __nftw_func_t fn, int fds, int flags)
{
	struct tree t;
	const char *use;

	NEXT(nftw);
	use = begin_tree(&t, path, (void *)(uintptr_t)fn);
	return end_tree(&t, real(use, t.at.in_view ? on_nftw : fn, fds, flags));
}

EXPORT int ftw(const char *path, __ftw_func_t fn, int fds)
{
	struct tree t;
	const char *use;

	NEXT(ftw);
	use = begin_tree(&t, path, (void *)(uintptr_t)fn);
	return end_tree(&t, real(use, t.at.in_view ? on_ftw : fn, fds));
}

/* The 64 variants' structures are the same on this processor. */
EXPORT int nftw64(const char *path, __nftw64_func_t fn, int fds, int flags)
{
	return nftw(path, (__nftw_func_t)(uintptr_t)fn, fds, flags);
}

EXPORT int ftw64(const char *path, __ftw64_func_t fn, int fds)
{
	return ftw(path, (__ftw_func_t)(uintptr_t)fn, fds);
}

/* ---- glob: of a pattern, the part before the first magic character is looked at ---- */

static void unmap_results(char **v, size_t from, size_t n)
{
	for (size_t i = from; i < from + n; i++)
		if (v[i])
			shim_unmap(v[i], strlen(v[i]));
}

#define GLOB(name, type)                                                                        \
	EXPORT int name(const char *restrict pattern, int flags, int (*err)(const char *, int), \
			type *restrict g)                                                       \
	{                                                                                       \
		size_t before = flags & GLOB_APPEND ? g->gl_pathc : 0;                          \
		struct place at;                                                                \
		int rc;                                                                         \
		NEXT(name);                                                                     \
		if (flags & GLOB_ALTDIRFUNC)                                                    \
			return real(pattern, flags, err, g);                                    \
		rc = real(enter(AT_FDCWD, pattern, &at), flags, err, g);                        \
		if (!rc && at.in_view)                                                          \
			unmap_results(g->gl_pathv,                                              \
				      (flags & GLOB_DOOFFS ? g->gl_offs : 0) + before,          \
				      g->gl_pathc - before);                                    \
		leave(&at);                                                                     \
		return rc;                                                                      \
	}
GLOB(glob, glob_t)
GLOB(glob64, glob64_t)
