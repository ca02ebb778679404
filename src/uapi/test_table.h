/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * uapi/test_table.h: for unit tests of this folder: a program's descriptors as an array. Number 15
 * is open, and somebody else's.
 */
#ifndef UAPI_TEST_TABLE_H
#define UAPI_TEST_TABLE_H
#include <errno.h>

#include "uapi/uapi.h"

static struct uapi_file *fds[15];

static struct uapi_file *table_fget(void *arg, int fd, int *err)
{
	*err = fd == 15 ? 0 : -EBADF;
	if (fd < 0 || fd >= 15 || !fds[fd])
		return NULL;
	uapi_file_get(fds[fd]);
	return fds[fd];
}

static int table_install(void *arg, struct uapi_file *f, int flags)
{
	for (int fd = 0; fd < 15; fd++) {
		if (!fds[fd]) {
			fds[fd] = f;
			return fd;
		}
	}
	return -EMFILE;
}

static const struct uapi_fds test_table = { .fget = table_fget, .install = table_install };
#endif
