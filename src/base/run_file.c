/* SPDX-License-Identifier: BSD-3-Clause */
/* base/run_file.c: see run_file.h. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/run_file.h"
#include "base/sys.h"

long run_file_map(const char *dir, const char *name, size_t least, size_t *size)
{
	char path[PATH_MAX];
	struct stat st;
	long p;
	int fd;

	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = sys_open(path, O_RDWR | O_CLOEXEC | O_NOCTTY, 0);
	if (fd < 0)
		return fd;
	p = sys_call(SYS_fstat, fd, (long)&st, 0, 0, 0, 0);
	if (!p && (size_t)st.st_size < least)
		p = -EINVAL;
	if (!p) {
		*size = (size_t)st.st_size;
		p = sys_call(SYS_mmap, 0, st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	}
	sys_close(fd);
	return p;
}
