/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/streams.c: fopen and freopen. What libc opens by itself inside of them does not come to
 * open.c, so a path of the view is opened here first.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "shim/handles.h"
#include "shim/pagemap.h"
#include "shim/paths.h"
#include "shim/scope.h"
#include "shim/shim.h"

/* fopen's mode as flags; -1: libc shall say what is wrong with it */
static int mode_flags(const char *mode)
{
	int flags;

	switch (*mode) {
	case 'r':
		flags = O_RDONLY;
		break;
	case 'w':
		flags = O_WRONLY | O_CREAT | O_TRUNC;
		break;
	case 'a':
		flags = O_WRONLY | O_CREAT | O_APPEND;
		break;
	default:
		return -1;
	}
	for (mode++; *mode && *mode != ','; mode++) {
		if (*mode == '+')
			flags = (flags & ~O_ACCMODE) | O_RDWR;
		else if (*mode == 'e')
			flags |= O_CLOEXEC;
		else if (*mode == 'x')
			flags |= O_EXCL;
	}
	return flags;
}

EXPORT FILE *fopen(const char *restrict path, const char *restrict mode)
{
	int flags = mode_flags(mode), dirfd = AT_FDCWD, fd;
	struct shim_path p;
	const char *use;
	bool ours;
	FILE *f;

	NEXT(fopen);
	SHIM_NOTE_FROM();
	use = shim_path(path, &p);
	if (!p.virt && flags >= 0)
		shim_keep_open(AT_FDCWD, path, flags);
	/* of what the kernel says of a handle, open() knows better, too */
	ours = p.virt || (p.info >= 0 && shim_fd_maybe_handle(p.info)) || shim_pagemap_path(path);
	while (!ours || flags < 0) {
		f = real(use, mode);
		if (!f && shim_path_again(-errno, &dirfd, &use, true, &p)) {
			ours = p.virt;
			continue;
		}
		shim_path_done(&p);
		return f;
	}
	fd = (int)shim_ret(shim_open(AT_FDCWD, p.virt ? p.virt : path, flags, 0666));
	shim_path_done(&p);
	if (fd < 0)
		return NULL;
	f = !p.virt && shim_pagemap_path(path) ? shim_pagemap_stream(fd, mode) : fdopen(fd, mode);
	if (!f)
		close(fd);
	return f;
}

EXPORT FILE *fopen64(const char *restrict path, const char *restrict mode)
	__attribute__((alias("fopen")));

static bool refuse_write(const struct shim_path *p, const char *mode)
{
	if (!p->virt || mode_flags(mode) == O_RDONLY || mode_flags(mode) == (O_RDONLY | O_CLOEXEC))
		return false;
	report_warn(REPORT_HINT("freopen", "; close the stream and open another one"), SHIM_WHO,
		    -EACCES, "%s: freopen for writing is not served", p->virt);
	errno = EACCES;
	return true;
}

EXPORT FILE *freopen(const char *restrict path, const char *restrict mode, FILE *restrict f)
{
	struct shim_path p;
	const char *use;

	NEXT(freopen);
	use = shim_path(path, &p);
	if (!p.virt && path && mode_flags(mode) >= 0)
		shim_keep_open(AT_FDCWD, path, mode_flags(mode));
	f = refuse_write(&p, mode) ? NULL : real(use, mode, f);
	shim_path_done(&p);
	return f;
}

EXPORT FILE *freopen64(const char *restrict path, const char *restrict mode, FILE *restrict f)
	__attribute__((alias("freopen")));
