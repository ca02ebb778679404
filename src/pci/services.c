/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pci/services.c: descriptors and threads for models. Both are kept out of
 * the program's sight as the core's own are.
 */
#include "base/sys.h"
#include "base/thread.h"
#include "pci/internal.h"

int uvfio_fd_keep(struct uvfio_dev *dev, int fd)
{
	return fd_make_private(fd);
}

void uvfio_fd_close(struct uvfio_dev *dev, int fd)
{
	fd_close_private(fd);
}

int uvfio_thread_start(struct uvfio_dev *dev, pthread_t *thread, void *(*fn)(void *arg), void *arg,
		       const char *name)
{
	return thread_start(thread, fn, arg, name);
}

unsigned uvfio_cpus(const struct uvfio_dev *dev)
{
	return thread_cpus();
}
