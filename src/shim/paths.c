/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/paths.c: which paths lead into the view, and what they are there. The view is a real tree
 * (machine_write_view) that stands below the run directory just as it would stand below "/", so a
 * path in it is the same path with the run directory in front, and relative symbolic links inside
 * of it work by themselves.
 *
 * A path is looked at as text; only ".." needs the file system, because what it means depends on
 * the links before it. A link outside that leads into the view is found when the kernel, for which
 * it leads nowhere, has said so: a path that works costs nothing.
 *
 * What is here runs on the program's stack, which may be small, with its signals open. So a path is
 * looked at in pieces, and what becomes of it has to be short. What is long, or has to be walked,
 * is for walk.c, on a stack of ours.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "base/guard.h"
#include "shim/handles.h"
#include "shim/paths.h"
#include "shim/scope.h"
#include "shim/shim.h"

/* besides the nodes of /dev (vfio/nodes.c) */
static const struct {
	const char *text;
	/* ends at a component; else any name may go on from here: pci0000:00, vfio_pci */
	bool whole;
} view[] = {
	{ "/sys/bus/pci", true },
	{ "/sys/devices/pci", false },
	{ "/sys/devices/virtual/iommu", true }, /* where the links of class/iommu lead */
	{ "/sys/kernel/iommu_groups", true },
	{ "/sys/class/iommu", true },
	{ "/sys/module/vfio", false },
	{ "/sys/module/uiommu", true },
	{ "/sys/module/pci_stub", true },
	/* of drivers that the devices can have at the start */
	{ "/sys/module/igb", true },
	{ "/sys/module/igbvf", true },
	{ "/sys/module/nvme", true },
	{ "/sys/class/vfio", false }, /* and vfio-dev */
	{ "/sys/devices/virtual/vfio", false },
	{ "/sys/class/misc/vfio", true },
	{ "/sys/devices/virtual/misc/vfio", true },
	/*
	 * nothing of the name is in the view: the host's is not ours to offer, as devices of the
	 * view could not be bound to it
	 */
	{ "/dev/iommu", true },
	{ "/sys/class/misc/iommu", true },
	{ "/sys/devices/virtual/misc/iommu", true },
	{ "/sys/class/misc/uiommu", true },
	{ "/sys/devices/virtual/misc/uiommu", true },
};

/* False for most paths: all of the view begin with one of two letters. */
static bool may_begin(const char *path)
{
	return path[0] == '/' && (path[1] == 's' || path[1] == 'd');
}

bool shim_in_view(const char *path)
{
	for (size_t i = 0; may_begin(path) && i < ARRAY_SIZE(view); i++) {
		size_t n = strlen(view[i].text);

		if (!strncmp(path, view[i].text, n) &&
		    (!view[i].whole || path[n] == '/' || path[n] == '\0'))
			return true;
	}
	return may_begin(path) && vfio_nodes_have(path);
}

bool shim_above_view(const char *path)
{
	size_t n = strlen(path);

	if (n && path[n - 1] == '/')
		n--;
	for (size_t i = 0; i < ARRAY_SIZE(view); i++)
		if (!strncmp(view[i].text, path, n) && view[i].text[n] == '/')
			return true;
	return vfio_nodes_below(path, n);
}

bool shim_near_view(const char *path)
{
	return !strncmp(path, "/sys/", 5) || !strncmp(path, "/dev/", 5) || shim_above_view(path);
}

/* ---- the text of a path, from its front to its end ---- */

#define PIECE 32u
/*
 * what has to be known of a path to tell whether it is near the view: more than the longest text
 * above
 */
#define NEAR_ROOM 64u

struct scan {
	char *out;   /* its components so far: single slashes, no "." and no ".." */
	size_t room; /* bytes there */
	size_t len;
	unsigned deep; /* components that found no room there any more */
	bool dotdot;
	bool climbs; /* over where it began */
	bool near;   /* ".." stands somewhere near the view */
};

/*
 * The component of @n bytes that stands behind s->len in the room, if that is long enough, has come
 * to its end.
 */
static void component(struct scan *s, size_t n, bool dot, bool dotdot)
{
	if (dot)
		return;
	if (!dotdot) {
		if (s->deep || s->len + n + 2 > s->room)
			s->deep++;
		else
			s->len += n + 1;
		return;
	}
	s->dotdot = true;
	s->out[s->len] = '\0';
	s->near |= shim_near_view(s->out);
	if (s->deep) {
		s->deep--;
		return;
	}
	s->climbs |= !s->len;
	while (s->len && s->out[--s->len] != '/')
		;
}

/*
 * Scan all of @path, and a slash at its end, which means "follow". False: it is the kernel's to
 * refuse.
 */
static __attribute__((noinline)) bool scan(struct scan *s, const char *path)
{
	char piece[PIECE], before[2] = "";
	size_t n = 0, total, have, i, run;

	for (total = 0; total < PATH_MAX; total += have) {
		have = PIECE - ((uintptr_t)path + total) % PIECE;
		if (guard_copy_part(piece, path + total, have) != have)
			return false;
		for (i = 0; i < have; i++) {
			bool dot, dotdot;

			for (run = 0; i + run < have && piece[i + run] != '/' && piece[i + run];
			     run++)
				if (n + run < 2)
					before[n + run] = piece[i + run];
			if (run && !s->deep && s->len + n + run + 1 < s->room) {
				s->out[s->len] = '/';
				memcpy(s->out + s->len + 1 + n, piece + i, run);
			}
			n += run;
			i += run;
			if (i == have)
				break;
			dot = n == 1 && before[0] == '.';
			dotdot = n == 2 && before[0] == '.' && before[1] == '.';
			if (n)
				component(s, n, dot, dotdot);
			if (!piece[i]) {
				if ((!n || dot) && !s->deep &&
				    (!s->len || s->out[s->len - 1] != '/')) {
					if (s->len + 2 > s->room)
						s->deep++;
					else
						s->out[s->len++] = '/';
				}
				s->out[s->len] = '\0';
				return total + i < PATH_MAX;
			}
			n = 0;
		}
	}
	return false;
}

/*
 * True if a name at the root cannot be sys, dev or proc by its first letter, nor is "/", "." or the
 * end.
 */
static bool is_other(char c)
{
	return c != 's' && c != 'd' && c != 'p' && c != '/' && c != '.' && c;
}

/*
 * True if @path is the kernel's at first sight. Most paths are: by the first letter they go nowhere
 * near the view, and they have no "..". So are those that the kernel refuses: an empty path, one
 * without end, one that cannot be read. A relative path starts @far from the view.
 */
static __attribute__((noinline)) bool is_kernels(const char *path, bool far)
{
	char piece[PIECE], last = 0;
	size_t have, i, total;

	/*
	 * the lowest page and what is no address of a program: said without a signal, for which
	 * there may be no room
	 */
	for (total = 0; (uintptr_t)path + total >= 4096 && (uintptr_t)path + total < 1ull << 47 &&
			total < PATH_MAX;
	     total += have) {
		/* not over the end of a page */
		have = PIECE - ((uintptr_t)path + total) % PIECE;
		if (guard_copy_part(piece, path + total, have) != have)
			return true;
		if (!total && piece[0] &&
		    (piece[0] == '/' ? have < 2 || !is_other(piece[1]) : !far))
			return false;
		for (i = 0; i < have && piece[i]; i++) {
			if (piece[i] == '.' && last == '.')
				return false;
			last = piece[i];
		}
		if (i < have)
			return true;
	}
	return true;
}

enum where {
	OUTSIDE, /* the kernel gets what the program gave */
	HERE,	 /* in the view, and looked up */
	WALK,	 /* to be found out on a stack of ours */
};

/* Write the directory where a relative path starts to s->out. WALK: it does not fit there. */
static __attribute__((noinline)) enum where base_of(int dirfd, struct scan *s)
{
	long n;

	if (dirfd == AT_FDCWD) {
		/* the end counts */
		n = sys_call(SYS_getcwd, (long)s->out, (long)s->room, 0, 0, 0, 0) - 1;
		if (n == -ERANGE - 1)
			return WALK;
	} else {
		n = sys_readlink_fd(dirfd, s->out, s->room);
		if (n == (long)s->room - 1)
			return WALK;
	}
	if (n <= 0 || s->out[0] != '/')
		return OUTSIDE;
	s->out[n] = '\0';
	n = (long)shim_unmap(s->out, (size_t)n);
	s->len = n == 1 ? 0 : (size_t)n;
	return HERE;
}

/* Look the path up in p->real, where the run directory comes before it. */
static enum where look(int dirfd, const char *path, struct shim_path *p)
{
	bool room = shim.run_len + NEAR_ROOM <= sizeof(p->real), near;
	size_t at = room ? shim.run_len : 0;
	struct scan s = { .out = p->real + at, .room = sizeof(p->real) - at };
	char first;

	near = dirfd == AT_FDCWD ? atomic_load_explicit(&shim.cwd_near, memory_order_relaxed)
				 : shim_fd_maybe_view(dirfd);
	if (is_kernels(path, !near) || !guard_copy_part(&first, path, 1))
		return OUTSIDE;
	if (first != '/') {
		if (!near && (!scan(&s, path) || !s.climbs))
			return OUTSIDE;
		s.len = s.deep = 0;
		s.dotdot = s.near = false;
		switch (base_of(dirfd, &s)) {
		case OUTSIDE:
			return OUTSIDE;
		case WALK:
			return WALK;
		default:
			break;
		}
	}
	if (!scan(&s, path))
		return OUTSIDE;
	if (s.dotdot || s.deep)
		return s.near || shim_near_view(s.out) ? WALK : OUTSIDE;
	if (!shim_in_view(s.out)) {
		p->above = shim_above_view(s.out);
		p->fd = shim_path_self_fd(s.out);
		p->info = shim_path_self_info(s.out);
		return OUTSIDE;
	}
	if (!room)
		return WALK;
	memcpy(p->real, shim.run_dir, shim.run_len);
	p->virt = s.out;
	p->text = p->real;
	return HERE;
}

/*
 * Walk the path: true if @p has changed. A text that is too long for @p is kept in memory of its
 * own, and signals are blocked until shim_path_done(): a handler that leaves by longjmp would leave
 * the memory behind.
 */
static __attribute__((noinline)) bool walk(int dirfd, const char *path, bool again, bool follow,
					   struct shim_path *p)
{
	struct shim_walk w = {
		.dirfd = dirfd, .path = path, .again = again, .follow = follow, .p = p
	};
	bool had = p->room;
	long room;

	if (!shim_run(shim_walk, &w))
		return false;
	if (!w.is_long || had)
		return true;
	shim_block_signals(&p->mask);
	room = sys_call(SYS_mmap, 0, SHIM_PATH_LONG, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (!sys_failed(room))
		p->room = (char *)room;
	if (!p->room || !shim_run(shim_walk, &w)) {
		/* no memory: it leads nowhere */
		p->real[0] = '\0';
		p->text = p->real;
	}
	if (!p->room)
		shim_restore_signals(&p->mask);
	return true;
}

void shim_path_done(struct shim_path *p)
{
	if (!p->room)
		return;
	sys_call(SYS_munmap, (long)p->room, SHIM_PATH_LONG, 0, 0, 0, 0);
	p->room = NULL;
	shim_restore_signals(&p->mask);
}

const char *shim_path_at(int *dirfd, const char *path, struct shim_path *p)
{
	enum where w;

	p->virt = NULL;
	p->text = p->room = NULL;
	p->above = p->walked = false;
	p->fd = p->info = -1;
	w = shim.on ? look(*dirfd, path, p) : OUTSIDE;
	if (w == OUTSIDE || (w == WALK && !walk(*dirfd, path, false, false, p)))
		return path;
	*dirfd = AT_FDCWD;
	return p->text;
}

bool shim_path_again(long rc, int *dirfd, const char **use, bool follow, struct shim_path *p)
{
	if ((rc != -ENOENT && rc != -ENOTDIR) || !shim.on || p->virt || p->walked)
		return false;
	p->walked = true;
	if (!walk(*dirfd, *use, true, follow, p))
		return false;
	p->fd = -1;
	*dirfd = AT_FDCWD;
	*use = p->text;
	return true;
}

size_t shim_unmap(char *text, size_t len)
{
	size_t run = shim.run_len;

	if (!shim.on || len < run || memcmp(text, shim.run_dir, run) ||
	    (len > run && text[run] != '/'))
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
	char cwd[SHIM_PATH_SHORT];
	long n = sys_call(SYS_getcwd, (long)cwd, sizeof(cwd), 0, 0, 0, 0);
	bool near;

	if (n == -ERANGE)
		near = shim_run(shim_cwd_is_near, NULL);
	else
		near = n <= 0 || shim_near_view(cwd) || !strncmp(cwd, shim.run_dir, shim.run_len);
	atomic_store_explicit(&shim.cwd_near, near, memory_order_relaxed);
}

void shim_path_stat(const char *virt, struct stat *st)
{
	const struct vfio_node *node;
	unsigned id;

	/* the tree has sockets in the nodes' place, a handle's memfd is a file */
	if (!virt || (!S_ISREG(st->st_mode) && !S_ISSOCK(st->st_mode)))
		return;
	node = vfio_node_find(virt, &id, NULL);
	if (!node)
		return;
	st->st_rdev = makedev(node->major, node->minor + id);
	st->st_mode = (st->st_mode & 07777) | S_IFCHR;
	st->st_size = 0;
	st->st_blocks = 0;
}

/* Read the number at *@text, which moves behind it; -1: none. */
static int number(const char **text)
{
	const char *p = *text;
	long v = 0;

	for (; *p >= '0' && *p <= '9' && v < INT_MAX / 10; p++)
		v = v * 10 + (*p - '0');
	if (p == *text)
		return -1;
	*text = p;
	return (int)v;
}

/* Return N if @path is that of @dir/N of this process in /proc, or -1. */
static int of_self(const char *path, const char *dir)
{
	size_t len = strlen(dir);
	const char *at;
	int n;

	if (strncmp(path, "/proc/", 6))
		return -1;
	path += 6;
	at = path;
	n = number(&at);
	if (!strncmp(path, "self/", 5))
		path += 5;
	else if (!strncmp(path, "thread-self/", 12))
		path += 12;
	else if (n >= 0 && *at == '/' && n == sys_call(SYS_getpid, 0, 0, 0, 0, 0, 0))
		path = at + 1;
	else
		return -1;
	/* of a thread: they share the table, but for those that a program made otherwise */
	if (!strncmp(path, "task/", 5))
		path += 5 + strspn(path + 5, "0123456789") + 1;
	if (strncmp(path, dir, len))
		return -1;
	path += len;
	n = number(&path);
	return *path ? -1 : n;
}

int shim_path_self_fd(const char *path)
{
	int n;

	if (strncmp(path, "/dev/fd/", 8))
		return of_self(path, "fd/");
	path += 8;
	n = number(&path);
	return *path ? -1 : n;
}

int shim_path_self_info(const char *path)
{
	return of_self(path, "fdinfo/");
}
