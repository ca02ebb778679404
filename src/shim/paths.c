/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/paths.c: which paths lead into the view, and what they are there. The view is a real tree (machine_write_view) that stands below the run
 * directory just as it would stand below "/", so a path in it is the same path with the run directory in front, and relative symbolic
 * links inside of it work by themselves.
 *
 * A path is looked at as text; only ".." needs the file system, because what it means depends on the links before it. A link outside that leads into
 * the view is found when the kernel, for which it leads nowhere, has said so: a path that works costs nothing.
 */
#include "shim/shim.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include "base/guard.h"

static const struct {
	const char *text;
	bool whole; /* ends at a component; else any name may go on from here: pci0000:00, vfio_pci */
} view[] = {
	{ "/sys/bus/pci", true },
	{ "/sys/devices/pci", false },
	{ "/sys/devices/virtual/iommu", true }, /* where the links of class/iommu lead */
	{ "/sys/kernel/iommu_groups", true },
	{ "/sys/class/iommu", true },
	{ "/sys/module/vfio", false },
	{ "/sys/class/vfio", false }, /* and vfio-dev, which is not there */
	{ "/sys/devices/virtual/vfio", false },
	{ "/sys/class/misc/vfio", true },
	{ "/sys/devices/virtual/misc/vfio", true },
	{ "/sys/dev/char/10:196", true }, /* /dev/vfio/vfio */
	{ "/sys/dev/char/243:", false }, /* MACHINE_GROUP_MAJOR */
	{ "/dev/vfio", true },
	/* nothing of the name is in the view: the host's is not ours to offer, as devices of the view could not be bound to it */
	{ "/dev/iommu", true },
	{ "/sys/class/misc/iommu", true },
	{ "/sys/devices/virtual/misc/iommu", true },
};

static bool in_view(const char *path)
{
	for (size_t i = 0; i < ARRAY_SIZE(view); i++) {
		size_t n = strlen(view[i].text);

		if (!strncmp(path, view[i].text, n) &&
		    (!view[i].whole || path[n] == '/' || path[n] == '\0'))
			return true;
	}
	return false;
}

/* A directory in which the view, or one that leads there, has a name: "/", "/sys", "/sys/bus", "/dev" ... */
static bool above_view(const char *path)
{
	size_t n = strlen(path);

	if (n && path[n - 1] == '/')
		n--;
	for (size_t i = 0; i < ARRAY_SIZE(view); i++)
		if (!strncmp(view[i].text, path, n) && view[i].text[n] == '/')
			return true;
	return false;
}

bool shim_is_in_view(const char *path)
{
	return in_view(path);
}

bool shim_is_above(const char *path)
{
	return above_view(path);
}

static bool near_view(const char *path)
{
	return !strncmp(path, "/sys/", 5) || !strncmp(path, "/dev/", 5) || above_view(path);
}

/* Add @text to the @len bytes at @out: single slashes, no "." components. ".." is kept and reported. A slash at the end is kept: it means "follow". */
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

/* @in without "..", as if there were no links: good enough to see that a path goes nowhere near. */
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

/* Threads and signal handlers of the program may have little stack: what has a path on it does not come together in one frame. */
#define FRAME __attribute__((noinline))

/* What the kernel calls the path @virt, which has room in front for the run directory. */
static char *real_of(char *virt)
{
	return in_view(virt) ? memcpy(virt - shim.run_len, shim.run_dir, shim.run_len) : virt;
}

static long read_link(char *virt, char *buf, size_t size)
{
	long n = sys_call(SYS_readlinkat, AT_FDCWD, (long)real_of(virt), (long)buf, (long)size - 1, 0, 0);

	if (n >= 0)
		buf[n] = '\0';
	return n;
}

/* May one go up from there? What is before ".." has to be a directory that can be searched. There is room behind @virt. */
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
 * The kernel's walk, in place: no ".." remains, and links are followed, in the last component if @follow. *@through: it came through the view. False: it
 * ends on the way, and the kernel will say why.
 */
static FRAME bool walk(char *path, bool follow, bool *through)
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
		*through |= in_view(out);
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
	char link[48];
	long n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = sys_call(SYS_readlinkat, AT_FDCWD, (long)link, (long)path, (long)size - 1, 0, 0);
	if (n <= 0 || path[0] != '/')
		return false;
	path[n] = '\0';
	shim_unmap(path, (size_t)n);
	return true;
}

bool shim_fd_is_dir(int fd, const char *virt)
{
	char path[PATH_MAX];

	return fd_path(fd, path, sizeof(path)) && !strcmp(path, virt);
}

/* Where a relative path starts, as the program knows it; false: nowhere near the view, unless @anywhere. */
static bool base_of(int dirfd, bool anywhere, char *base, size_t size)
{
	long n;

	if (dirfd != AT_FDCWD)
		return (anywhere || shim_fd_maybe_view(dirfd)) && fd_path(dirfd, base, size);
	if (!anywhere && !atomic_load_explicit(&shim.cwd_near, memory_order_relaxed))
		return false;
	n = sys_call(SYS_getcwd, (long)base, (long)size, 0, 0, 0, 0);
	if (n <= 0 || base[0] != '/')
		return false;
	shim_unmap(base, (size_t)n - 1); /* the end counts */
	return true;
}

/* The same at @out (PATH_MAX), as append() has it: its length. */
static FRAME ssize_t append_base(int dirfd, bool anywhere, char *out)
{
	char base[PATH_MAX];
	bool dotdot;
	ssize_t len;

	if (!base_of(dirfd, anywhere, base, sizeof(base)))
		return -ENOENT;
	len = append(out, 0, PATH_MAX, base, &dotdot);
	return len == 1 ? 0 : len; /* "/" */
}

/* @path from the root, at @out (PATH_MAX); false: not to be had, or @path is such that it does not go anywhere near the view. */
static FRAME bool absolute(int dirfd, const char *path, bool anywhere, char *out, bool *dotdot)
{
	char in[PATH_MAX];
	ssize_t len = 0;

	/* an unreadable or endless path is the kernel's to refuse */
	if (guard_strncpy(in, path, sizeof(in)) <= 0)
		return false;
	if (in[0] != '/')
		len = append_base(dirfd, anywhere || strstr(in, ".."), out);
	*dotdot = false;
	return len >= 0 && append(out, (size_t)len, PATH_MAX, in, dotdot) >= 0;
}

/* May @path, which has "..", have to do with the view? */
static FRAME bool goes_near(const char *path)
{
	char lex[PATH_MAX];

	lexical(path, lex);
	return near_view(lex) || near_view(path);
}

bool shim_path_start(int dirfd, const char *path, char *base, size_t size, bool *inside)
{
	char whole[PATH_MAX];

	if (!base_of(dirfd, true, base, size) || snprintf(whole, sizeof(whole), "%s/%s", base, path) >= (int)sizeof(whole))
		return false;
	*inside = in_view(base);
	return *inside || (above_view(base) && goes_near(whole));
}

/* p->real has the whole path behind the room for the run directory: what the kernel gets. NULL: what the program gave, which is the same. */
static const char *settle(struct shim_path *p, bool through, int *dirfd)
{
	char *out = p->real + shim.run_len;

	if (in_view(out)) {
		memcpy(p->real, shim.run_dir, shim.run_len);
		p->virt = out;
	} else {
		p->above = above_view(out);
		if (!through)
			return NULL;
	}
	*dirfd = AT_FDCWD;
	return p->virt ? p->real : out;
}

const char *shim_path_at(int *dirfd, const char *path, struct shim_path *p)
{
	char *out = p->real + shim.run_len;
	bool dotdot = false, through = false;
	const char *use;

	p->virt = NULL;
	p->above = p->walked = false;
	if (!shim.on || !absolute(*dirfd, path, false, out, &dotdot))
		return path;
	if (dotdot) {
		if (!goes_near(out))
			return path;
		/* one that ends in the view has to end there for the kernel, too: it stays as it is */
		if (!walk(out, false, &through) && !in_view(out))
			return path;
	}
	use = settle(p, through, dirfd);
	return use ? use : path;
}

bool shim_path_again(long rc, int *dirfd, const char **use, bool follow, struct shim_path *p)
{
	char *out = p->real + shim.run_len;
	bool dotdot, through;
	int dir = *dirfd;

	if ((rc != -ENOENT && rc != -ENOTDIR) || !shim.on || p->virt || p->walked)
		return false;
	p->walked = true;
	if (!absolute(dir, *use, true, out, &dotdot) || !walk(out, follow, &through) || !through)
		return false;
	*use = settle(p, through, dirfd);
	return true;
}

void shim_path_of_view(struct shim_path *p, const char *virt)
{
	memcpy(p->real, shim.run_dir, shim.run_len);
	p->virt = p->real + shim.run_len;
	snprintf(p->real + shim.run_len, sizeof(p->real) - shim.run_len, "%s", virt);
	p->above = p->walked = false;
}

size_t shim_unmap(char *text, size_t len)
{
	size_t run = shim.run_len;

	if (!shim.on || len < run || memcmp(text, shim.run_dir, run) || (len > run && text[run] != '/'))
		return len;
	if (len == run) {
		text[0] = '/';
		text[1] = '\0';
		return 1;
	}
	memmove(text, text + run, len - run);
	text[len - run] = '\0';
	return len - run;
}

void shim_cwd_changed(void)
{
	char cwd[PATH_MAX];
	long n = sys_call(SYS_getcwd, (long)cwd, sizeof(cwd), 0, 0, 0, 0);
	bool near = n <= 0 || near_view(cwd) || !strncmp(cwd, shim.run_dir, shim.run_len);

	atomic_store_explicit(&shim.cwd_near, near, memory_order_relaxed);
}

void shim_path_stat(const char *virt, struct stat *st)
{
	static const char dir[] = "/dev/vfio/";
	unsigned id = 0;
	const char *p;

	if (!virt || strncmp(virt, dir, sizeof(dir) - 1))
		return;
	p = virt + sizeof(dir) - 1;
	/* the tree has sockets in the nodes' place, a handle's memfd is a file */
	if (!S_ISREG(st->st_mode) && !S_ISSOCK(st->st_mode))
		return;
	if (!strcmp(p, "vfio")) {
		st->st_rdev = makedev(SHIM_CONTAINER_MAJOR, SHIM_CONTAINER_MINOR);
	} else {
		for (; *p >= '0' && *p <= '9'; p++)
			id = id * 10 + (unsigned)(*p - '0');
		if (*p)
			return;
		st->st_rdev = makedev(MACHINE_GROUP_MAJOR, id);
	}
	st->st_mode = (st->st_mode & 07777) | S_IFCHR;
	st->st_size = 0;
	st->st_blocks = 0;
}

int shim_path_self_fd(const char *path)
{
	char own[32];
	size_t n;
	long v = 0;

	if (!strncmp(path, "/proc/self/fd/", 14)) {
		path += 14;
	} else if (!strncmp(path, "/dev/fd/", 8)) {
		path += 8;
	} else if (!strncmp(path, "/proc/thread-self/fd/", 21)) {
		path += 21;
	} else {
		if (strncmp(path, "/proc/", 6))
			return -1;
		n = (size_t)snprintf(own, sizeof(own), "/proc/%ld/", sys_call(SYS_getpid, 0, 0, 0, 0, 0, 0));
		if (!strncmp(path, own, n))
			path += n;
		else if (!strncmp(path, "/proc/self/", 11))
			path += 11;
		else
			return -1;
		/* of a thread: they share the table, but for those that a program made otherwise */
		if (!strncmp(path, "task/", 5))
			path += 5 + strspn(path + 5, "0123456789") + 1;
		if (strncmp(path, "fd/", 3))
			return -1;
		path += 3;
	}
	if (!*path)
		return -1;
	for (; *path >= '0' && *path <= '9' && v < INT_MAX / 10; path++)
		v = v * 10 + (*path - '0');
	return *path ? -1 : (int)v;
}
