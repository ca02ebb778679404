/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine/run/uevent.c: what the kernel tells user programs of devices (lib/kobject_uevent.c):
 * "add@/devices/..." and its properties, each ended by a null character. A program that listens has
 * a datagram socket in uevents/ of the run directory (shim/uevents.c); who changes the view sends
 * to all of them, under its lock.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "base/sys.h"
#include "machine/run/internal.h"

#define MESSAGE_MAX 2048u /* UEVENT_BUFFER_SIZE */

static void send_to(int fd, int dir, const char *name, const char *text, size_t len)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	char path[SYS_FD_NAME];
	long rc;

	if (snprintf(a.sun_path, sizeof(a.sun_path), "%s/%s", sys_fd_name(path, dir), name) >=
	    (int)sizeof(a.sun_path))
		return;
	/* who does not read loses what it has no room for, as with the kernel's socket */
	rc = sys_call(SYS_sendto, fd, (long)text, (long)len, MSG_DONTWAIT | MSG_NOSIGNAL, (long)&a,
		      sizeof(a));
	if (rc == -ECONNREFUSED)
		sys_call(SYS_unlinkat, dir, (long)name, 0, 0, 0, 0);
}

void run_uevent_send(const char *run_dir, const char *text, size_t len)
{
	char path[PATH_MAX], buf[1024] __attribute__((aligned(8)));
	const struct dirent64 *e;
	long fd, n;
	int dir;

	if (run_path(run_dir, RUN_UEVENTS, path))
		return;
	dir = sys_open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (dir < 0)
		return; /* nobody listens */
	fd = fd_of_ours(SYS_socket, AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, 0);
	while (fd >= 0 &&
	       (n = sys_call(SYS_getdents64, dir, (long)buf, sizeof(buf), 0, 0, 0)) > 0) {
		for (long at = 0; at < n; at += e->d_reclen) {
			e = (const struct dirent64 *)(buf + at);
			if (*e->d_name != '.')
				send_to((int)fd, dir, e->d_name, text, len);
		}
	}
	if (fd >= 0)
		sys_close((int)fd);
	sys_close(dir);
}

/* Return the number of the event, of the run's: 1, 2, ... */
static unsigned long next_number(const char *run_dir)
{
	char path[PATH_MAX], text[24] = "";
	unsigned long n = 0;
	int fd;

	if (run_path(run_dir, "claims/uevents", path))
		return 1;
	fd = sys_open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return 1;
	if (sys_pread(fd, text, sizeof(text) - 1, 0) > 0)
		n = strtoul(text, NULL, 10);
	snprintf(text, sizeof(text), "%lu\n", ++n);
	sys_pwrite(fd, text, strlen(text), 0);
	sys_close(fd);
	return n;
}

static size_t append(char *text, size_t at, const char *key, const char *value)
{
	int n = snprintf(text + at, MESSAGE_MAX - at, "%s%s", key, value);

	return n < 0 || at + (size_t)n + 1 >= MESSAGE_MAX ? at : at + (size_t)n + 1;
}

void run_uevent(const char *run_dir, const char *action, const char *subsystem, const char *dir)
{
	char text[MESSAGE_MAX], path[PATH_MAX], number[24], *props = NULL, *line, *next;
	const char *devpath = dir + strlen("sys");
	bool bound = !strcmp(action, "bind");
	size_t at, len;
	int n;

	n = snprintf(text, sizeof(text), "%s@%s", action, devpath);
	if (n < 0 || n >= (int)sizeof(text))
		return;
	at = (size_t)n + 1;
	at = append(text, at, "ACTION=", action);
	at = append(text, at, "DEVPATH=", devpath);
	at = append(text, at, "SUBSYSTEM=", subsystem);
	n = snprintf(path, sizeof(path), "%s/%s/uevent", run_dir, dir);
	if (n > 0 && n < (int)sizeof(path) && run_read_file(path, 2 * MESSAGE_MAX, &props, &len))
		props = NULL;
	for (line = props; line && *line; line = next) {
		next = strchrnul(line, '\n');
		if (*next)
			*next++ = '\0';
		/* a device has none when it comes and when it goes */
		if (bound || strncmp(line, "DRIVER=", 7))
			at = append(text, at, line, "");
	}
	free(props);
	snprintf(number, sizeof(number), "%lu", next_number(run_dir));
	at = append(text, at, "SEQNUM=", number);
	run_uevent_send(run_dir, text, at);
}
