/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/left.c: handles that outlive the process that made them. The kernel keeps a group open for
 * as long as some process has a descriptor of it or of one of its devices, whatever became of the
 * one that opened it: it may have become another program, or have ended after a fork, or after it
 * passed the descriptor on. Its claim (machine/claim.c) is gone then, and the note in it says only
 * that it was not given up. /proc says where the descriptor is: a process that wants the group next
 * looks there, for a memfd with the group's tag in its name. That is slow, and done only then.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "shim/handles.h"
#include "shim/paths.h"
#include "shim/shim.h"

/* run, group (or "-"), process, access mode */
#define TAG_GROUP  "%016llx.%s."
#define TAG_FORMAT TAG_GROUP "%d.%d:"

/* The run's number: FNV-1a of its directory's name, which is drawn by lot. */
static unsigned long long run_id(void)
{
	unsigned long long h = 0xcbf29ce484222325ull;

	for (size_t i = 0; i < shim.run_len; i++)
		h = (h ^ (unsigned char)shim.run_dir[i]) * 0x100000001b3ull;
	return h;
}

void shim_left_tag(char *tag, size_t size, long group, int flags)
{
	char text[24] = "-";

	if (group >= 0)
		snprintf(text, sizeof(text), "%ld", group);
	snprintf(tag, size, TAG_FORMAT, run_id(), text, (int)shim.pid, flags & O_ACCMODE);
}

bool shim_left_read(const char *link, int *process, int *flags, const char **file)
{
	size_t prefix = sizeof(SHIM_MEMFD_LINK) - 1;
	char run[24];
	int at = 0;

	snprintf(run, sizeof(run), "%016llx.", run_id());
	if (strncmp(link, SHIM_MEMFD_LINK, prefix) || strncmp(link + prefix, run, strlen(run)) ||
	    sscanf(link + prefix, "%*[^.].%*[^.].%d.%d:%n", process, flags, &at) != 2 || !at)
		return false;
	*file = link + prefix + at;
	return true;
}

struct visit {
	bool (*fn)(void *arg, int fd, const char *link);
	void *arg;
	const char *process;
	char link[PATH_MAX + 32];
};

/* Visit all that getdents64 gave in @names, of directory @dir. */
static bool visit_all(struct visit *v, int dir, const char *names, long n)
{
	const struct dirent64 *d;
	long len;

	for (long at = 0; at < n; at += d->d_reclen) {
		d = (const struct dirent64 *)(names + at);
		if (d->d_name[0] < '0' || d->d_name[0] > '9')
			continue;
		len = sys_call(SYS_readlinkat, dir, (long)d->d_name, (long)v->link,
			       sizeof(v->link) - 1, 0, 0);
		if (len <= 0)
			continue;
		v->link[len] = '\0';
		if (v->fn(v->arg, atoi(d->d_name), v->link))
			return true;
	}
	return false;
}

bool shim_each_fd(const char *process, bool (*fn)(void *arg, int fd, const char *link), void *arg)
{
	struct visit v = { .fn = fn, .arg = arg };
	char path[48], names[2048] __attribute__((aligned(8)));
	bool found = false;
	long n;
	int dir;

	snprintf(path, sizeof(path), "/proc/%s/fd", process);
	dir = sys_open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (dir < 0)
		return false;
	while (!found &&
	       (n = sys_call(SYS_getdents64, dir, (long)names, sizeof(names), 0, 0, 0)) > 0)
		found = visit_all(&v, dir, names, n);
	sys_close(dir);
	return found;
}

/* ---- groups that another process has open ---- */

struct search {
	char name[64];
	size_t len;
	const char *process;
	int fd;
};

/*
 * True if @fd of the process holds the group: a device that was opened by its node does if somebody
 * has bound it.
 */
static bool is_of_group(void *arg, int fd, const char *link)
{
	struct search *s = arg;
	char path[48];
	bool bound;
	int own;

	s->fd = fd;
	if (strncmp(link, s->name, s->len))
		return false;
	if (!strstr(link, vfio_node_of_cdev(false)->path) &&
	    !strstr(link, vfio_node_of_cdev(true)->path))
		return true;
	snprintf(path, sizeof(path), "/proc/%s/fd/%d", s->process, fd);
	own = sys_open(path, O_RDONLY | O_CLOEXEC, 0);
	if (own < 0)
		return true;
	bound = !shim_adopt_is_free(own);
	sys_close(own);
	return bound;
}

bool shim_left_open(unsigned group)
{
	char names[2048] __attribute__((aligned(8))), text[16];
	const struct dirent64 *d;
	struct search s;
	bool found = false;
	long n;
	int proc;

	snprintf(text, sizeof(text), "%u", group);
	s.len = (size_t)snprintf(s.name, sizeof(s.name), SHIM_MEMFD_LINK TAG_GROUP, run_id(), text);
	proc = sys_open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (proc < 0)
		return false;
	while (!found &&
	       (n = sys_call(SYS_getdents64, proc, (long)names, sizeof(names), 0, 0, 0)) > 0)
		for (long at = 0; at < n && !found; at += d->d_reclen) {
			d = (const struct dirent64 *)(names + at);
			s.process = d->d_name;
			if (d->d_name[0] < '0' || d->d_name[0] > '9' ||
			    !shim_each_fd(d->d_name, is_of_group, &s))
				continue;
			found = true;
			report_warn("group-left-open", SHIM_WHO, -EBUSY,
				    "group %u: process %s still has it open as its descriptor %d, "
				    "though not who opened it",
				    group, d->d_name, s.fd);
		}
	sys_close(proc);
	return found;
}

/* ---- after an exec ---- */

static bool say(void *arg, int fd, const char *link)
{
	char text[64];
	const char *file;
	int pid, flags;

	/* one that nobody has used yet works here */
	if (!shim_left_read(link, &pid, &flags, &file) || shim_adopt_is_free(fd))
		return false;
	snprintf(text, sizeof(text), "%s", file);
	if (strchr(text, ' '))
		*strchr(text, ' ') = '\0';
	/* what a child has by accident does no harm */
	if (pid == shim.pid)
		report_warn("handle-foreign", SHIM_WHO, 0,
			    "descriptor %d, %s, was kept open over an exec: it answers ENODEV in "
			    "the new program, for a device ends with the program that opened it",
			    fd, text);
	else
		report_info("handle-foreign", SHIM_WHO, 0,
			    "descriptor %d is %s of process %d: it answers ENODEV here", fd, text,
			    pid);
	return false;
}

void shim_left_say(void)
{
	if (log_level() >= LOG_WARN)
		shim_each_fd("self", say, NULL);
}

/* ---- what the link of a handle in /proc says ---- */

size_t shim_link_text(char *text, size_t len)
{
	static const char tail[] = " (deleted)";
	size_t prefix = sizeof(SHIM_MEMFD_LINK) - 1, t = sizeof(tail) - 1;
	const char *colon;

	if (len < prefix || memcmp(text, SHIM_MEMFD_LINK, prefix))
		return len;
	colon = memchr(text + prefix, ':', len - prefix);
	if (!colon)
		return len;
	prefix = (size_t)(colon + 1 - text);
	if (len >= prefix + t && !memcmp(text + len - t, tail, t))
		len -= t;
	memmove(text, text + prefix, len - prefix);
	return len - prefix;
}

bool shim_link_is_ours(const char *text, size_t len)
{
	size_t prefix = sizeof(SHIM_MEMFD_LINK) - 1;

	return !memcmp(text, SHIM_MEMFD_LINK, len < prefix ? len : prefix);
}

bool shim_fd_link(int fd, char *text, size_t size)
{
	size_t n;
	long rc;

	if (shim_foreign_link(fd, text, size))
		return true;
	rc = sys_readlink_fd(fd, text, size);
	if (rc < 0)
		return false;
	n = shim_unmap(text, (size_t)rc);
	text[n] = '\0';
	return n != (size_t)rc;
}

bool shim_foreign_link(int fd, char *text, size_t size)
{
	size_t n;
	long rc;

	rc = sys_readlink_fd(fd, text, size);
	if (rc < 0)
		return false;
	n = shim_link_text(text, (size_t)rc);
	text[n] = '\0';
	/* kvm.c's stand-in has a name like ours, but is no VFIO file */
	return n != (size_t)rc && strncmp(text, "anon_inode:kvm", 14);
}

bool shim_is_foreign(int fd)
{
	char text[128];

	if (!shim_foreign_link(fd, text, sizeof(text)))
		return false;
	report_warn(REPORT_LIMITED("handle-foreign"), SHIM_WHO, -ENODEV,
		    "descriptor %d is %s of another process (or from before an exec): a device "
		    "lives in the process that opened it",
		    fd, text);
	return true;
}
