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
#include "shim/shim.h"

/* run, group (or "-"), process */
#define TAG_GROUP  "%016llx.%s."
#define TAG_FORMAT TAG_GROUP "%d:"

/* The run's number: FNV-1a of its directory's name, which is drawn by lot. */
static unsigned long long run_id(void)
{
	unsigned long long h = 0xcbf29ce484222325ull;

	for (size_t i = 0; i < shim.run_len; i++)
		h = (h ^ (unsigned char)shim.run_dir[i]) * 0x100000001b3ull;
	return h;
}

void shim_left_tag(char *tag, size_t size, const char *group_link)
{
	const char *group = group_link ? strrchr(group_link, '/') + 1 : "-";

	snprintf(tag, size, TAG_FORMAT, run_id(), group, (int)shim.pid);
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
	int fd;
};

static bool is_of_group(void *arg, int fd, const char *link)
{
	struct search *s = arg;

	s->fd = fd;
	return !strncmp(link, s->name, s->len);
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
	char text[64], run[24];
	int pid, at = 0;
	size_t n = strlen(link), prefix = sizeof(SHIM_MEMFD_LINK) - 1;

	snprintf(run, sizeof(run), "%016llx.", run_id());
	if (n >= sizeof(text) + prefix + 40 || strncmp(link, SHIM_MEMFD_LINK, prefix) ||
	    strncmp(link + prefix, run, strlen(run)))
		return false;
	if (sscanf(link + prefix, "%*[^.].%*[^.].%d:%n", &pid, &at) != 1 || !at)
		return false;
	snprintf(text, sizeof(text), "%s", link + prefix + at);
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
