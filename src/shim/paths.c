/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/paths.c: which paths lead into the view, and what they are there. The view is a real tree (machine_write_view) that stands below the run
 * directory just as it would stand below "/", so a path in it is the same path with the run directory in front, and relative symbolic
 * links inside of it work by themselves.
 *
 * A path is looked at as text; only ".." needs the file system, because what it means depends on the links before it.
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
	{ "/dev/vfio", true },
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

static bool near_view(const char *path)
{
	return !strncmp(path, "/sys/", 5) || !strncmp(path, "/dev/", 5);
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

static long read_link(const char *virt, char *buf, size_t size)
{
	char real[2 * PATH_MAX];
	long n;

	if (in_view(virt)) {
		memcpy(real, shim.run_dir, shim.run_len);
		strcpy(real + shim.run_len, virt);
		virt = real;
	}
	n = sys_call(SYS_readlinkat, AT_FDCWD, (long)virt, (long)buf, (long)size - 1, 0, 0);
	if (n >= 0)
		buf[n] = '\0';
	return n;
}

/* The kernel's walk, for a path with "..": links are followed in all components but the last. In place; false: leave it to the kernel. */
static bool walk(char *path)
{
	char todo[PATH_MAX], out[PATH_MAX], link[PATH_MAX];
	size_t len = 0;
	unsigned links = 0;
	char *p = todo;

	strcpy(todo, path);
	while (*p) {
		size_t n, before = len;
		bool last;
		long l;

		while (*p == '/')
			p++;
		n = strcspn(p, "/");
		last = !p[n];
		if (!n)
			break;
		if (n == 2 && p[0] == '.' && p[1] == '.') {
			while (len && out[--len] != '/')
				;
			out[len] = '\0';
			p += n;
			continue;
		}
		if (len + n + 2 > sizeof(out))
			return false;
		out[len++] = '/';
		memcpy(out + len, p, n);
		len += n;
		out[len] = '\0';
		p += n;
		if (last)
			break;
		l = read_link(out, link, sizeof(link));
		if (l == -EINVAL)
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
	if (!len)
		out[len++] = '/';
	if (path[strlen(path) - 1] == '/' && out[len - 1] != '/')
		out[len++] = '/';
	out[len] = '\0';
	strcpy(path, out);
	return true;
}

/* Where a relative path starts, as the program knows it; false: nowhere near the view. */
static bool base_of(int dirfd, bool dotdot, char *base, size_t size)
{
	char link[48];
	long n;

	if (dirfd == AT_FDCWD) {
		if (!atomic_load_explicit(&shim.cwd_near, memory_order_relaxed) && !dotdot)
			return false;
		n = sys_call(SYS_getcwd, (long)base, (long)size, 0, 0, 0, 0);
		if (n <= 0 || base[0] != '/')
			return false;
		n--; /* the end counts */
	} else {
		if (!shim_fd_maybe_view(dirfd))
			return false;
		snprintf(link, sizeof(link), "/proc/self/fd/%d", dirfd);
		n = sys_call(SYS_readlinkat, AT_FDCWD, (long)link, (long)base, (long)size - 1, 0, 0);
		if (n <= 0 || base[0] != '/')
			return false;
	}
	base[n] = '\0';
	shim_unmap(base, (size_t)n);
	return true;
}

static bool has_dotdot(const char *s)
{
	for (; (s = strstr(s, "..")); s += 2)
		return true;
	return false;
}

const char *shim_path_at(int *dirfd, const char *path, struct shim_path *p)
{
	char in[PATH_MAX], lex[PATH_MAX];
	/* room in front for the run directory */
	char *out = p->real + shim.run_len;
	bool dotdot = false;
	ssize_t len = 0;

	p->virt = NULL;
	if (!shim.on)
		return path;
	/* an unreadable or endless path is the kernel's to refuse */
	if (guard_strncpy(in, path, sizeof(in)) <= 0)
		return path;
	if (in[0] != '/') {
		if (!base_of(*dirfd, has_dotdot(in), lex, sizeof(lex)))
			return path;
		len = append(out, 0, PATH_MAX, lex, &dotdot);
		if (len == 1)
			len = 0; /* "/" */
		dotdot = false;
	}
	if (len >= 0)
		len = append(out, (size_t)len, PATH_MAX, in, &dotdot);
	if (len < 0)
		return path;
	if (dotdot) {
		lexical(out, lex);
		if (!near_view(lex) && !near_view(out))
			return path;
		if (!walk(out))
			return path;
	}
	if (!in_view(out))
		return path;
	memcpy(p->real, shim.run_dir, shim.run_len);
	p->virt = out;
	*dirfd = AT_FDCWD;
	return p->real;
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
	bool near = n <= 0 || !strcmp(cwd, "/") || !strcmp(cwd, "/sys") || !strcmp(cwd, "/dev") ||
		    near_view(cwd) || !strncmp(cwd, shim.run_dir, shim.run_len);

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
	if (!S_ISREG(st->st_mode))
		return;
	if (!strcmp(p, "vfio")) {
		st->st_rdev = makedev(SHIM_CONTAINER_MAJOR, SHIM_CONTAINER_MINOR);
	} else {
		for (; *p >= '0' && *p <= '9'; p++)
			id = id * 10 + (unsigned)(*p - '0');
		if (*p)
			return;
		st->st_rdev = makedev(SHIM_GROUP_MAJOR, id);
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
	} else {
		if (strncmp(path, "/proc/", 6))
			return -1;
		n = (size_t)snprintf(own, sizeof(own), "/proc/%ld/fd/", sys_call(SYS_getpid, 0, 0, 0, 0, 0, 0));
		if (strncmp(path, own, n))
			return -1;
		path += n;
	}
	if (!*path)
		return -1;
	for (; *path >= '0' && *path <= '9' && v < INT_MAX / 10; path++)
		v = v * 10 + (*path - '0');
	return *path ? -1 : (int)v;
}
