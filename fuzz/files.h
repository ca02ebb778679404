/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz/files.h: a program's table of descriptors, an array, for a fuzz target and for threads that
 * open, use and close at the same time. Each file that includes it has one of its own.
 */
#ifndef FUZZ_FILES_H
#define FUZZ_FILES_H
#include <errno.h>
#include <pthread.h>

#include "hostile.h"
#include "uapi/uapi.h"

static pthread_mutex_t fds_lock = PTHREAD_MUTEX_INITIALIZER;
static struct uapi_file *fds[NUM_FDS];

/* The file at @i, held, or NULL. */
static struct uapi_file *get(unsigned i)
{
	struct uapi_file *f;

	pthread_mutex_lock(&fds_lock);
	f = fds[i];
	if (f)
		uapi_file_get(f);
	pthread_mutex_unlock(&fds_lock);
	return f;
}

static struct uapi_file *fget(void *arg, int fd, int *err)
{
	*err = fd == null_fd || fd == events[0] ? 0 : -EBADF;
	return fd < FIRST_FD || fd >= FIRST_FD + NUM_FDS ? NULL : get((unsigned)fd - FIRST_FD);
}

static int install(void *arg, struct uapi_file *file, int flags)
{
	int ret = -EMFILE;

	pthread_mutex_lock(&fds_lock);
	for (int i = 0; i < NUM_FDS && ret < 0; i++) {
		if (!fds[i]) {
			fds[i] = file;
			ret = FIRST_FD + i;
		}
	}
	pthread_mutex_unlock(&fds_lock);
	return ret;
}

static const struct uapi_fds table = { .fget = fget, .install = install };

static void close_fd(unsigned i)
{
	struct uapi_file *f;

	pthread_mutex_lock(&fds_lock);
	f = fds[i];
	fds[i] = NULL;
	pthread_mutex_unlock(&fds_lock);
	if (f)
		uapi_file_put(f);
}

#endif
