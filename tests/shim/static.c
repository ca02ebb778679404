/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/shim/static.c: linked statically, so without the shim, but with its parent's filter: what
 * such a program ordinarily does.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
	char buf[64];
	int fd, st, m;

	fd = open("/proc/self/status", O_RDONLY);
	if (fd < 0 || pread(fd, buf, sizeof(buf), 0) <= 0)
		return 10;
	if (dup2(fd, 800) == 800 && pread(800, buf, sizeof(buf), 0) <= 0)
		return 11;
	/* a file of more than a terabyte, at an offset that has bits on both sides */
	m = memfd_create("large", 0);
	if (m < 0 || ftruncate(m, 3ll << 40))
		return 12;
	if (pread(m, buf, 8, (1ll << 40) - 4096) != 8 ||
	    pread(m, buf, 8, (1ll << 40) + (5ll << 32)) != 8)
		return 13;
	if (mmap(NULL, 4096, PROT_READ, MAP_SHARED, m, 4096) == MAP_FAILED)
		return 14;
	ioctl(1, FIONREAD, &st);
	if (!fork())
		_exit(7);
	wait(&st);
	return WIFEXITED(st) && WEXITSTATUS(st) == 7 ? 0 : 15;
}
