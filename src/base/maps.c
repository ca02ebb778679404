/* SPDX-License-Identifier: BSD-3-Clause */
/* base/maps.c: /proc/self/maps, line by line, past malloc; or one mapping of it by its address. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/ioctl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "base/maps.h"
#include "base/sys.h"

#define MAPS "/proc/self/maps"

static atomic_int kept_fd = -1;

int maps_keep(void)
{
	int fd = sys_open(MAPS, O_RDONLY | O_CLOEXEC, 0), private;

	if (fd < 0)
		return fd;
	private = fd_make_private(fd);
	if (private < 0) {
		sys_close(fd);
		return private;
	}
	fd_close_private(atomic_exchange(&kept_fd, private));
	return 0;
}

/* The one that is kept, or one for the caller to close. */
static int open_maps(bool *kept)
{
	int fd = atomic_load(&kept_fd);

	*kept = fd >= 0;
	return *kept ? fd : sys_open(MAPS, O_RDONLY | O_CLOEXEC, 0);
}

int maps_each(bool (*fn)(const char *line, void *arg), void *arg)
{
	bool kept;
	int fd = open_maps(&kept);
	char buf[2 * PATH_MAX], *line, *end; /* a line has a path, and 100 characters before it */
	bool more = true;
	off_t at = 0; /* threads may read the one that is kept at the same time */
	size_t have = 0;
	ssize_t n = 0;

	if (fd < 0)
		return fd;
	while (more && (n = sys_pread(fd, buf + have, sizeof(buf) - 1 - have, at)) > 0) {
		at += n;
		have += (size_t)n;
		buf[have] = '\0';
		for (line = buf; more && (end = strchr(line, '\n')); line = end + 1) {
			*end = '\0';
			more = fn(line, arg);
		}
		have -= (size_t)(line - buf);
		memmove(buf, line, have);
	}
	if (!kept)
		sys_close(fd);
	return n < 0 ? (int)n : 0;
}

const char *maps_bounds(const char *line, uint64_t *start, uint64_t *end)
{
	char *rest;

	*start = strtoull(line, &rest, 16);
	*end = strtoull(*rest ? rest + 1 : rest, &rest, 16);
	return *rest ? rest + 1 : rest;
}

/* ---- by address ---- */

/* linux/fs.h, since Linux 6.11 */
struct procmap_query {
	uint64_t size, query_flags, query_addr;
	uint64_t start, end, flags, page_size, offset, inode;
	uint32_t dev_major, dev_minor;
	uint32_t name_size, build_id_size;
	uint64_t name, build_id;
};
#define PROCMAP_QUERY	 _IOWR('f', 17, struct procmap_query)
#define COVERING_OR_NEXT 0x10u /* in query_flags */
/* in flags */
#define PROCMAP_VMA_READABLE 1u
#define PROCMAP_VMA_WRITABLE 2u
#define PROCMAP_VMA_SHARED   8u

/* Find the first mapping that ends above @at. 0; -ENOENT: there is none; -ENOTTY: an old kernel. */
static int query(int fd, uint64_t at, struct maps_area *a, char path[PATH_MAX])
{
	struct procmap_query q = { .size = sizeof(q),
				   .query_flags = COVERING_OR_NEXT,
				   .query_addr = at,
				   .name = (uintptr_t)path,
				   .name_size = PATH_MAX };
	int rc = sys_ioctl(fd, PROCMAP_QUERY, &q);

	if (rc == -ENAMETOOLONG) {
		q.name = q.name_size = 0;
		rc = sys_ioctl(fd, PROCMAP_QUERY, &q);
	}
	if (rc < 0)
		return rc;
	if (!q.name_size)
		path[0] = '\0';
	*a = (struct maps_area){ .start = q.start,
				 .end = q.end,
				 .offset = q.offset,
				 .ino = (ino_t)q.inode,
				 .dev = makedev(q.dev_major, q.dev_minor),
				 .shared = q.flags & PROCMAP_VMA_SHARED,
				 .readable = q.flags & PROCMAP_VMA_READABLE,
				 .writable = q.flags & PROCMAP_VMA_WRITABLE,
				 .path = path };
	return 0;
}

struct lines {
	uint64_t from;
	bool (*fn)(const struct maps_area *a, void *arg);
	void *arg;
};

static bool on_line(const char *line, void *arg)
{
	struct lines *l = arg;
	struct maps_area a = { 0 };
	const char *rights = maps_bounds(line, &a.start, &a.end);
	unsigned major, minor;
	char *at;

	if (a.end <= l->from)
		return true;
	if (strlen(rights) > 4) {
		a.readable = rights[0] == 'r';
		a.writable = rights[1] == 'w';
		a.shared = rights[3] == 's';
	}
	a.offset = strtoull(rights + (strlen(rights) > 4 ? 4 : 0), &at, 16);
	major = (unsigned)strtoul(at, &at, 16);
	minor = (unsigned)strtoul(*at == ':' ? at + 1 : at, &at, 16);
	a.dev = makedev(major, minor);
	a.ino = strtoull(at, &at, 10);
	while (*at == ' ')
		at++;
	a.path = at;
	return l->fn(&a, l->arg);
}

int maps_areas(uint64_t from, bool (*fn)(const struct maps_area *a, void *arg), void *arg)
{
	struct lines l = { .from = from, .fn = fn, .arg = arg };
	char path[PATH_MAX];
	struct maps_area a;
	bool kept;
	int fd = open_maps(&kept), rc;

	if (fd < 0)
		return fd;
	do
		rc = query(fd, l.from, &a, path);
	while (!rc && (l.from = a.end, fn(&a, arg)));
	if (!kept)
		sys_close(fd);
	if (rc == -ENOENT)
		return 0;
	/* any other error, too, since none has a meaning in this call */
	return rc ? maps_each(on_line, &l) : 0;
}
