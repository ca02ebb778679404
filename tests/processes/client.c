/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/processes/client.c: a VFIO program that does what it is told, so that a script can have
 * several of them do things in an order. Commands come by standard input, one a line, and each is
 * answered by a line: `open GROUP ADDRESS` takes the group and the device, `config ADDRESS` looks
 * whether sysfs shows config space, `close GROUP`, `write FILE TEXT`. libc alone.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/vfio.h"

#define GROUPS 16

static struct vfio opened[GROUPS];

static int take(unsigned n, const char *addr)
{
	char group[32];

	snprintf(group, sizeof(group), "/dev/vfio/%u", n);
	if (!vfio_open_device(&opened[n], group, addr))
		return 0;
	vfio_close(&opened[n]);
	return -1;
}

static int config(const char *addr)
{
	char path[128];
	unsigned vendor = 0;
	int fd, n;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/config", addr);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return -1;
	n = (int)read(fd, &vendor, 2);
	close(fd);
	errno = EIO;
	return n == 2 && vendor && vendor != 0xffff ? 0 : -1;
}

static int put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY), n, e;

	if (fd < 0)
		return -1;
	n = (int)write(fd, text, strlen(text));
	e = errno;
	close(fd);
	errno = e;
	return n < 0 ? -1 : 0;
}

int main(void)
{
	char line[256], a[200], b[64];
	unsigned n;
	int rc;

	setvbuf(stdout, NULL, _IOLBF, 0);
	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		if (sscanf(line, "open %u %63s", &n, b) == 2 && n < GROUPS)
			rc = take(n, b);
		else if (sscanf(line, "close %u", &n) == 1 && n < GROUPS)
			rc = (vfio_close(&opened[n]), 0);
		else if (sscanf(line, "config %63s", b) == 1)
			rc = config(b);
		else if (sscanf(line, "write %199s %63s", a, b) == 2)
			rc = put(a, b);
		else
			return 2;
		printf("%s\n", rc ? strerrorname_np(errno) : "ok");
	}
	return 0;
}
