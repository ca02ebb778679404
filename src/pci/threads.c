/* SPDX-License-Identifier: BSD-3-Clause */
/* A model's threads are as the core's own: base/thread.h. */
#include "base/thread.h"
#include "pci/internal.h"

int uvfio_thread_start(struct uvfio_dev *dev, pthread_t *thread, void *(*fn)(void *arg), void *arg,
		       const char *name)
{
	return thread_start(thread, fn, arg, name);
}

unsigned uvfio_cpus(const struct uvfio_dev *dev)
{
	return thread_cpus();
}
