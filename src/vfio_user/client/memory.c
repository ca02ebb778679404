/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_user/client/memory.c: the file behind the program's memory, which another process can map:
 * that of a shared mapping. The kernel says which one it is (/proc/self/maps); a descriptor of it
 * comes from the mapping itself, which takes a privilege (map_files), from one that the program has
 * open, or by its path. It counts only if it is that inode.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/maps.h"
#include "vfio_user/client/internal.h"

#define PATH 512u

/* What is mapped where somebody looks. */
struct looking {
	uint64_t at, end; /* of what is asked for */
	uint64_t to;	  /* so far it is the same */
	bool found, shared;
	uint64_t vma_start, vma_end; /* the first one's */
	uint64_t offset;	     /* of @at in the file */
	dev_t dev;
	ino_t ino;
	char path[PATH];
};

static bool on_area(const struct maps_area *a, void *arg)
{
	struct looking *g = arg;
	bool shared = a->shared && a->ino;

	if (!g->found) {
		g->found = true;
		g->shared = shared && a->start <= g->at;
		g->vma_start = a->start;
		g->vma_end = a->end;
		g->offset = a->offset + (g->at - a->start);
		g->dev = a->dev;
		g->ino = a->ino;
		snprintf(g->path, sizeof(g->path), "%s", a->path);
		/* what is not there, or no file's, is one piece with what follows of that kind */
		g->to = shared && !g->shared ? a->start : a->end;
		return g->to < g->end && g->shared == shared;
	}
	if (g->shared) {
		if (!shared || a->start != g->to || a->dev != g->dev || a->ino != g->ino ||
		    a->offset != g->offset + (a->start - g->at))
			return false;
	} else if (shared) {
		g->to = a->start;
		return false;
	}
	g->to = a->end;
	return g->to < g->end;
}

/* ---- a descriptor of the file ---- */

/* True if @fd is of the inode, which is memory or a file, and no device. */
static bool is_it(const struct looking *g, int fd)
{
	struct stat st;

	return !sys_failed(sys_call(SYS_fstat, fd, (long)&st, 0, 0, 0, 0)) && S_ISREG(st.st_mode) &&
	       st.st_dev == g->dev && st.st_ino == g->ino;
}

/* Open @path, if it is the inode: a descriptor, or -1. */
static int open_it(const struct looking *g, const char *path, bool write)
{
	int fd = sys_open(path, (write ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0);

	if (fd >= 0 && !is_it(g, fd)) {
		sys_close(fd);
		fd = -1;
	}
	return fd;
}

/* linux/dirent.h: what getdents64 writes */
struct dirent64_head {
	uint64_t ino;
	int64_t off;
	uint16_t reclen;
	uint8_t type;
	char name[];
};

/* Look among the descriptors of the process. */
static int find_open(const struct looking *g, bool write)
{
	int dir = sys_open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0), fd = -1;
	_Alignas(8) char buf[2048];
	char name[SYS_FD_NAME];
	long n;

	if (dir < 0)
		return -1;
	while (fd < 0 && (n = sys_call(SYS_getdents64, dir, (long)buf, sizeof(buf), 0, 0, 0)) > 0) {
		for (long at = 0; at < n && fd < 0;) {
			const struct dirent64_head *d = (void *)(buf + at);

			at += d->reclen;
			if (d->name[0] < '0' || d->name[0] > '9' || !is_it(g, atoi(d->name)))
				continue;
			fd = open_it(g, sys_fd_name(name, atoi(d->name)), write);
		}
	}
	sys_close(dir);
	return fd;
}

/* Return a private descriptor of the file, or -1. */
static int find_file(const struct looking *g, bool write)
{
	char path[64];
	int fd, own;

	snprintf(path, sizeof(path), "/proc/self/map_files/%llx-%llx",
		 (unsigned long long)g->vma_start, (unsigned long long)g->vma_end);
	fd = open_it(g, path, write);
	if (fd < 0)
		fd = find_open(g, write);
	if (fd < 0 && g->path[0] == '/')
		fd = open_it(g, g->path, write);
	if (fd < 0)
		return -1;
	own = fd_make_private(fd);
	if (own < 0)
		sys_close(fd);
	return own < 0 ? -1 : own;
}

int vu_memory_at(uint64_t vaddr, uint64_t size, bool write, struct vu_memory *out)
{
	struct looking g = { .at = vaddr, .end = vaddr + size };
	int rc = maps_areas(vaddr, on_area, &g);

	if (rc < 0)
		return rc;
	*out = (struct vu_memory){ .size = size, .fd = -1 };
	if (g.found && g.to > vaddr && g.to < g.end)
		out->size = g.to - vaddr;
	if (!g.shared)
		return 0;
	out->fd = find_file(&g, write);
	out->offset = g.offset;
	return 0;
}
