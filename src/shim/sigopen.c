/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/sigopen.c: which thread of the program has a signal open. The kernel knows it of each
 * thread, and says it in /proc, so that no list of threads and their masks is needed.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "shim/handles.h"
#include "shim/signals.h"

/* The kernel's mask of thread @name, by its status in /proc. */
static bool mask_of(int tasks, const char *name, uint64_t *mask)
{
	char path[32], text[2048], *line;
	size_t n = strlen(name);
	ssize_t got;
	int fd;

	if (n > 20)
		return false;
	memcpy(path, name, n);
	memcpy(path + n, "/status", 8);
	fd = (int)sys_call(SYS_openat, tasks, (long)path, O_RDONLY | O_CLOEXEC, 0, 0, 0);
	if (fd < 0)
		return false;
	got = sys_read(fd, text, sizeof(text) - 1);
	sys_close(fd);
	text[got > 0 ? got : 0] = '\0';
	line = strstr(text, "\nSigBlk:");
	if (!line)
		return false;
	*mask = strtoull(line + 8, NULL, 16);
	return true;
}

long shim_open_thread(void *arg)
{
	struct shim_open_thread *w = arg;
	uint64_t bit = w->sig == SIGBUS ? BIT(SIGBUS) : CARRIER, mask;
	int tasks = sys_open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0),
	    me = (int)sys_call(SYS_gettid, 0, 0, 0, 0, 0, 0);
	char buf[2048] __attribute__((aligned(8)));
	long n, at;

	if (tasks < 0)
		return 0;
	while (!w->tid &&
	       (n = sys_call(SYS_getdents64, tasks, (long)buf, sizeof(buf), 0, 0, 0)) > 0) {
		for (at = 0; at < n && !w->tid; at += ((struct dirent64 *)(buf + at))->d_reclen) {
			const char *name = ((struct dirent64 *)(buf + at))->d_name;
			int tid = (int)strtol(name, NULL, 10);

			if (tid > 0 && tid != me && mask_of(tasks, name, &mask) && !(mask & bit) &&
			    mask != SHIM_SERVICE_MASK)
				w->tid = tid;
		}
	}
	sys_close(tasks);
	return 0;
}

/* True if descriptor @fd is a signalfd that shows the signal. */
static bool is_signalfd(void *arg, int fd, const char *link)
{
	const struct shim_open_thread *w = arg;
	char path[40], text[512], *line;
	ssize_t n;
	int info;

	if (strcmp(link, "anon_inode:[signalfd]"))
		return false;
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	info = sys_open(path, O_RDONLY | O_CLOEXEC, 0);
	if (info < 0)
		return false;
	n = sys_read(info, text, sizeof(text) - 1);
	sys_close(info);
	text[n > 0 ? n : 0] = '\0';
	line = strstr(text, "sigmask:");
	return line && strtoull(line + 8, NULL, 16) & BIT(w->sig);
}

long shim_has_signalfd(void *arg)
{
	return shim_each_fd("self", is_signalfd, arg);
}
